"""The one seam to Docker: what a container is asked to do, and who does it."""
