"""Small helpers that know nothing of the pipeline: digests, paths, atomic writing."""
