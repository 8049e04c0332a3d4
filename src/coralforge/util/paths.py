"""Paths as users type them."""

from __future__ import annotations

import contextlib
from pathlib import Path


def typed(text: str) -> Path:
    """A path with ``~`` and ``~user`` replaced. As a shell does, ``~nobody-of-that-name`` is left as it is."""
    path = Path(text)
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path


def resolved(path: Path) -> Path:
    """``path.resolve()``; where that cannot be (a loop of links, a name that is too long) just the absolute path."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are of one file, by whatever names and links; also where there is none yet."""
    if resolved(one) == resolved(other):
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


def absence(path: Path) -> str:
    """The words for a path where a file is wanted, and none is."""
    return "is not a file" if path.exists() else "does not exist"
