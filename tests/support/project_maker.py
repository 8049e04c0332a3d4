"""Copies of what the engine reads of a checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

from coralforge.config.load import load_pipeline
from coralforge.settings import Project
from tests.conftest import ROOT

DEFAULT_RELEASE = load_pipeline(ROOT / "pipeline.yaml").release
"""The release that is built where a test names none."""
PROJECT_FOLDERS = ("docker", "releases", "sample", "scripts", "simulator", "src", "templates", "toolchains")
PROJECT_FILES = ("LICENSE", "pipeline.yaml", "requirements-models.lock", "requirements-convert.lock")


def copy_project_files(destination: Path) -> Project:
    """A project in ``destination`` whose files may be changed."""
    for name in PROJECT_FOLDERS:
        shutil.copytree(ROOT / name, destination / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in PROJECT_FILES:
        shutil.copy(ROOT / name, destination)
    return Project(destination)
