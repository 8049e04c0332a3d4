"""Findings in the bytes of a file: paths of the build machine, and the stamp of the TensorFlow commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 4 << 20
_OVERLAP = 512  # longer than any match plus what is looked at before it
_BEFORE = 16
_MAX_FOUND = 5
_STAMP = re.compile(rb"TENSORFLOW_COMMIT=([0-9A-Za-z._-]{0,64})")
_REST = re.compile(rb"[!#-&(-;=?-~]{0,160}")  # printable, without space, quotes and angle brackets
# A path begins where the text before it cannot belong to the same path; compiler options stand close before theirs.
_INSIDE = re.compile(rb"[A-Za-z0-9_.~+%)}/-]\Z")
_OPTION = re.compile(rb"-(?:I|L|B|isystem|iquote|idirafter|resource-dir)\Z")


@dataclass(frozen=True)
class Contents:
    """``paths`` are forbidden paths found (at most five), ``stamps`` the commits the file is stamped with."""

    paths: tuple[str, ...]
    stamps: frozenset[str]


def scan(path: Path, forbidden: tuple[str, ...]) -> Contents:
    """Look through one file of any size, a few megabytes at a time. Raises OSError."""
    prefixes = [prefix.encode() for prefix in forbidden]
    paths: dict[str, None] = {}
    stamps: set[str] = set()
    for window, first, limit in _windows(path):
        # A match that begins in the overlap is left to the next window, which has the whole of it.
        for prefix in prefixes:
            for start in _occurrences(window, prefix, first, limit):
                if len(paths) < _MAX_FOUND:
                    rest = _REST.match(window, start)
                    paths[(rest.group() if rest else prefix).decode("ascii", "replace")] = None
        stamps.update(
            match.group(1).decode("ascii") for match in _STAMP.finditer(window, first) if match.start() < limit
        )
    return Contents(tuple(paths), frozenset(stamps))


def _windows(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Overlapping parts of a file: the bytes, and where in them a match may begin (from, to)."""
    with path.open("rb") as stream:
        window = stream.read(_CHUNK)
        first = 0
        while True:
            more = stream.read(_CHUNK)
            if not more:
                yield window, first, len(window)
                return
            limit = len(window) - _OVERLAP
            yield window, first, limit
            window = window[limit - _BEFORE :] + more
            first = _BEFORE


def _occurrences(window: bytes, prefix: bytes, first: int, limit: int) -> Iterator[int]:
    start = window.find(prefix, first)
    while 0 <= start < limit:
        before = window[max(0, start - _BEFORE) : start]
        if not _INSIDE.search(before) or _OPTION.search(before):
            yield start
        start = window.find(prefix, start + 1)
