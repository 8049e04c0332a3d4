"""Bazel's way out to other machines, as ``remote:`` in pipeline.yaml says: ``connected`` wraps a build in it."""

from coralforge.pipeline.remote.connect import connected

__all__ = ["connected"]
