"""Cross-compiles, checks and bundles what a C++ program needs to use a Coral Edge TPU."""

__version__ = "0.1.0"
