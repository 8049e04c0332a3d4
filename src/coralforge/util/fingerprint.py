"""Content digests of small folders and values: what cache keys are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

IGNORED = {"__pycache__", ".git", ".DS_Store"}


def of_paths(*paths: Path, without: str = "") -> str:
    """SHA-256 (hex) over names, exec bits and contents of files and folders, in a fixed order.

    Files and folders named ``without`` are left out, at any depth.

    Raises:
        FileNotFoundError: one of ``paths`` is not there. A key that leaves it out silently would lie.
    """
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(_files(path, without)):
            name = file.relative_to(path.parent).as_posix()
            executable = "x" if file.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{name}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()


def _files(path: Path, without: str) -> Iterable[Path]:
    if path.is_dir():
        for child in path.iterdir():
            if child.name not in {*IGNORED, without} and not child.name.endswith(("~", ".swp", ".pyc")):
                yield from _files(child, without)
    elif path.exists():
        yield path
    elif not path.is_symlink():  # a dangling link has no content; a name that is not there is a mistake
        raise FileNotFoundError(f"{path} is an input of a cache key, and is not there")


def of_file(path: Path) -> str:
    """SHA-256 (hex) of a file of any size. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def of_mapping(values: Mapping[str, str]) -> str:
    """SHA-256 (hex) of a mapping, independent of its order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
