"""Cross-compiles, checks and bundles what a C++ program needs to use a Coral Edge TPU."""

__version__ = "0.1.0"
__released__ = "2026-11-24"
"""The day of that version in CHANGELOG.md: the time of what may not have none, in place of the time of a build."""
