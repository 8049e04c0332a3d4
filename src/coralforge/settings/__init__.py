"""All that a run depends on but the content of files: what was said, and where things stand."""

from coralforge.settings.cascade import resolve
from coralforge.settings.places import Cache, Project
from coralforge.settings.values import (
    XNNPACK,
    Options,
    Settings,
    with_test_sources,
    without_remote,
    without_xnnpack,
)

__all__ = [
    "XNNPACK",
    "Cache",
    "Options",
    "Project",
    "Settings",
    "resolve",
    "with_test_sources",
    "without_remote",
    "without_xnnpack",
]
