"""Ways in which one file can be damaged, hidden from whoever looks at lengths and times only."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, Path, random.Random], None]
"""Damages the first path; the second is another one of its kind, which must not be changed but by a swap."""


def flip(path: Path, other: Path, rng: random.Random) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    if not data:
        data = bytearray(b"\1")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    _write(path, bytes(data))


def truncate(path: Path, other: Path, rng: random.Random) -> None:
    """The end is gone."""
    data = path.read_bytes()
    _write(path, data[: rng.randrange(len(data))] if data else b"more")


def delete(path: Path, other: Path, rng: random.Random) -> None:
    """It is gone."""
    path.unlink()


def swap(path: Path, other: Path, rng: random.Random) -> None:
    """Each of two files has the bytes of the other one; their lengths may be the same."""
    mine, theirs = path.read_bytes(), other.read_bytes()
    _write(path, theirs)
    _write(other, mine)


def to_folder(path: Path, other: Path, rng: random.Random) -> None:
    """A folder has its name."""
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {one.__name__: one for one in (flip, truncate, delete, swap, to_folder)}


def farm(source: Path, target: Path) -> None:
    """A copy of a folder that shares its files: what damages or writes one must replace it, as ``_write`` does."""
    shutil.copytree(source, target, symlinks=True, copy_function=_share)


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or another's file
        shutil.copy2(source, target)


def _write(path: Path, data: bytes) -> None:
    """Other bytes under the same name, of the same mode and time; other names of the file keep the old ones."""
    status = path.stat()
    path.unlink()
    path.write_bytes(data)
    path.chmod(status.st_mode & 0o7777)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
