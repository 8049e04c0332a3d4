"""The records of a source on its way: wanted, one address to try, fetched, an unpacked tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coralforge.config.arch import Arch
from coralforge.config.base import Place
from coralforge.config.release import Source


@dataclass(frozen=True)
class Candidate:
    """One address to try: a place of the source as it is, or the same file in a mirror."""

    place: Place
    address: str
    """A URL, or an absolute path of a file in a mirror folder."""


@dataclass(frozen=True)
class Fetched:
    """A verified archive in the download cache."""

    name: str
    place: Place
    path: Path
    address: str
    """Where the bytes came from: a URL or a file in a mirror folder."""


@dataclass(frozen=True)
class Tree:
    """An unpacked, read-only source tree and where it came from."""

    name: str
    path: Path
    digest: str
    """Identity for caches: ``sha256:...`` of the archive, or ``git-tree:...`` of a local checkout."""
    address: str
    """The place's address (never the mirror's, so that manifests do not depend on where bytes came from)."""
    pinned: bool
    """False for a local checkout whose tree is not the pinned one."""
    prebuilt: bool
    note: str
    source: Source


@dataclass(frozen=True)
class Wanted:
    """A source to fetch for one architecture."""

    name: str
    source: Source
    arch: Arch
    replaceable: bool = True
    """Whether a checkout can stand in for it: ``--source NAME=DIR``."""
