"""A bundle as it is sent to a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 4096
_DIGITS = 12


@dataclass(frozen=True)
class Package:
    """An archive that was checked, with what the board is told of it."""

    archive: Path
    name: str
    """Of the bundle: begins with ``coralforge-``."""
    digest: str
    """Its SHA-256."""
    sums: tuple[tuple[str, str], ...]
    """SHA-256 and path, within the top folder, of each file."""
    unpacked: int
    """Bytes that its files take on a disk, about."""

    @property
    def release(self) -> str:
        """Name of the folder on the board."""
        return f"{self.name}-{self.digest[:_DIGITS]}"

    @property
    def size(self) -> int:
        """Bytes of the archive."""
        return self.archive.stat().st_size

    @classmethod
    def of(cls, archive: Path, name: str, digest: str, folder: Path, files: Mapping[str, str]) -> Package:
        """The package of an archive that was unpacked to ``folder``; ``files`` are digests by path.

        Paths with characters that cannot be shown are left out of the sums.
        """
        paths = [path for path in folder.rglob("*") if not path.is_symlink()]
        space = sum(-(-path.stat().st_size // _BLOCK) * _BLOCK for path in paths if path.is_file())
        sums = [(digest, name) for name, digest in sorted(files.items()) if name.isprintable() and "\\" not in name]
        return cls(archive, name, digest, tuple(sums), space + _BLOCK * sum(path.is_dir() for path in paths))
