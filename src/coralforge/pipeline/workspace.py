"""The Bazel workspace with what an option adds to it.

``toolchains/bazel`` alone is the workspace of a build without options, and its digest is in the key of every set of
libraries. So what only an option needs is in a folder of its own, and is laid over a copy: with the option off, neither
the key nor a byte of the workspace knows of it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge.settings import Project

SOURCES_FILE = "sources.bzl"
TABLE = "\nREPOSITORIES = {\n"


@dataclass(frozen=True)
class ComposedProject(Project):
    """The project, with another Bazel workspace than its own."""

    workspace: Path = Path()

    @property
    def bazel(self) -> Path:
        return self.workspace


def with_xnnpack(project: Project, destination: Path) -> Project:
    """The project with a workspace, at ``destination``, that has XNNPACK and TensorFlow Lite's delegate for it."""
    shutil.copytree(project.bazel, destination)
    shutil.copytree(project.xnnpack, destination, dirs_exist_ok=True)
    file = destination / SOURCES_FILE
    head, table, tail = file.read_text(encoding="utf-8").partition(TABLE)
    assert table, f"{SOURCES_FILE} has no table of repositories"
    load = '\nload("//:xnnpack.bzl", "XNNPACK_REPOSITORIES")\n'
    file.write_text(f"{head}{load}\nREPOSITORIES = XNNPACK_REPOSITORIES | {{\n{tail}", encoding="utf-8")
    return ComposedProject(project.root, destination)
