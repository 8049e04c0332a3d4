"""Reads single files of a packed bundle without unpacking it."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from coralforge.bundle.manifest import MAX_BYTES, NAME, Manifest


def packed_file(archive: Path, name: str, limit: int) -> bytes | None:
    """A file of a bundle's archive; None where there is none of up to ``limit`` bytes."""
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                if PurePosixPath(member.name).parts[1:] == (name,) and member.isfile() and member.size <= limit:
                    stream = packed.extractfile(member)
                    return stream.read() if stream else None
    except (OSError, EOFError, tarfile.TarError):
        pass
    return None


def packed_manifest(archive: Path) -> Manifest | None:
    """The manifest in a bundle's archive; None where there is none that can be read."""
    data = packed_file(archive, NAME, MAX_BYTES)
    try:
        return Manifest.model_validate_json(data) if data is not None else None
    except ValidationError:
        return None
