"""Reads the manifest of a packed bundle without unpacking it."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from coralforge.bundle.manifest import MAX_BYTES, NAME, Manifest


def packed_manifest(archive: Path) -> Manifest | None:
    """The manifest in a bundle's archive; None where there is none that can be read."""
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                if PurePosixPath(member.name).parts[1:] == (NAME,) and member.isfile() and member.size <= MAX_BYTES:
                    stream = packed.extractfile(member)
                    return Manifest.model_validate_json(stream.read()) if stream else None
    except (OSError, EOFError, tarfile.TarError, ValidationError):
        pass
    return None
