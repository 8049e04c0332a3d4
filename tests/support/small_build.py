"""A build by Bazel of one small part of the libraries: libusb, eleven actions that compile, archive and link."""

from __future__ import annotations

from pathlib import Path

from coralforge.settings import Project
from tests.support.project_maker import copy_project_files

NAME = "build-small"
_SCRIPT = """\
#!/usr/bin/env python3
from bazel_build import built_file, install, run, run_bazel


def main(request):
    run_bazel(request, ["@libusb//:libusb-1.0.so"])
    install(built_file("@libusb//:libusb-1.0.so"), "libusb-1.0.so.0")


if __name__ == "__main__":
    run(main)
"""


def add_script(folder: Path) -> Project:
    """A project in the new ``folder`` that also has ``scripts/NAME``."""
    folder.mkdir()
    project = copy_project_files(folder)
    (project.scripts / NAME).write_text(_SCRIPT)
    return project
