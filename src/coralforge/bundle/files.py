"""Copies files into a bundle with modes that depend on nothing of the host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from coralforge.errors import CoralforgeError, build_error

EXECUTABLE, PLAIN = 0o755, 0o644


def open_folders(root: Path) -> None:
    """Folders that a container's user can enter, whatever the umask is."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(EXECUTABLE)


def copy_tree(source: Path, target: Path, left_out: set[str]) -> None:
    """Copy a folder, but for entries named in ``left_out``. Raises CoralforgeError: ``bundle-incomplete``."""
    if not source.is_dir() or not any(source.iterdir()):
        raise incomplete(f"{source} is missing or empty")
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        if entry.name in left_out:
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(entry.readlink())
        elif entry.is_dir():
            copy_tree(entry, target / entry.name, set())
        else:
            # The mode tells what a file is: Bazel makes every output executable, a store every file read-only.
            copy_file(entry, target / entry.name, EXECUTABLE if target.name == "bin" else PLAIN)


def copy_file(source: Path, target: Path, mode: int) -> None:
    """Copy one file, and give it ``mode``. Raises CoralforgeError: ``bundle-incomplete``."""
    if not source.is_file():
        raise incomplete(f"{source} is missing, or no file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    target.chmod(mode)


def new_path(path: Path, root: Path) -> Path:
    """``path``, whose folders are made; it must not exist yet and must be below ``root``.

    Raises:
        CoralforgeError: ``bundle-conflict``, exit code 5.
    """
    if path.exists() or path.is_symlink() or ".." in path.parts or not path.is_relative_to(root):
        raise build_error(
            f"two parts of the bundle want to be {path.name}, or it is outside the bundle",
            reason="bundle-conflict",
            details=str(path),
            remedy="rename the template; what an SDK holds is listed in docs/bundle.md",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def incomplete(what: str) -> CoralforgeError:
    """Reason ``bundle-incomplete``, exit code 5: a part that an earlier stage should have made is not there."""
    return build_error(
        "the bundle's parts are not complete",
        reason="bundle-incomplete",
        details=what,
        remedy="run `invoke clean`, then `invoke bundle` again; report it if that does not help",
    )
