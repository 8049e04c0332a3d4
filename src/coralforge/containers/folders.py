"""Folders that are mounted into containers, for users other than the one who made them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from coralforge.containers.spec import Runner


def readable_copy(source: Path, destination: Path, without: tuple[str, ...] = ()) -> Path:
    """Copy project files for a container: any user may read them, whatever the checkout's umask was."""
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", *without))
    for folder, _, files in os.walk(destination):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder) / file
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    return destination


def writable_folder(path: Path, runner: Runner) -> Path:
    """A folder that the container's user may write to."""
    path.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        os.chown(path, *runner.owner())
    path.chmod(0o755)
    return path
