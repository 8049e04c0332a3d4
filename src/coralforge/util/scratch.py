"""Folders and files of one process, which the next one removes when that process was killed.

Each is locked (flock) by whoever made it, and the kernel ends the lock with the process. So what nobody holds is a
leftover, however its maker ended, and no process id or time has to be believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

MARK = ".coralforge-"


@contextlib.contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder (mode 0700) below ``parent``, which is made; gone at the end. Leftovers beside it go too.

    Raises:
        OSError: it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with alone(parent):
        remove_leftovers(parent, lambda name: MARK in name)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}{MARK}", dir=parent))
        held = hold(folder)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # the next one tries again
            remove_tree(folder)
        os.close(held)


def hold(place: Path | int) -> int:
    """Lock a folder, or an open file, for as long as the returned number is open.

    Raises:
        OSError: the folder cannot be read.
    """
    number = place if isinstance(place, int) else os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _lock(number, wait=True)
    return number


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else makes or removes anything in ``folder``: that which is new there is not held yet for a moment."""
    held = None
    with contextlib.suppress(PermissionError):  # it may be written, but not read: nor can anybody look for leftovers
        held = hold(folder)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


def remove_leftovers(folder: Path, ours: Callable[[str], bool]) -> None:
    """Remove all in ``folder`` whose name is one of ours, and which nobody holds. To be called :func:`alone`."""
    with contextlib.suppress(PermissionError):
        for entry in list(os.scandir(folder)):
            if ours(entry.name):
                _remove_unheld(folder / entry.name)


def remove_tree(path: Path) -> None:
    """Remove a file or folder, also one with read-only folders in it; absent is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for folder, _, _ in os.walk(path):
            mode = Path(folder).stat().st_mode
            if not mode & stat.S_IWUSR:
                Path(folder).chmod(mode | stat.S_IRWXU)
        shutil.rmtree(path)


def _remove_unheld(path: Path) -> None:
    with contextlib.suppress(OSError):  # another user's; or it is gone already
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if _lock(number, wait=False):
                remove_tree(path)
        finally:
            os.close(number)


def _lock(number: int, wait: bool) -> bool:
    """Whether the lock was had. Where the file system has none, nothing is held, and nothing removed."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
