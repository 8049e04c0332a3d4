"""The zip archive that TensorFlow Lite's metadata tools append to a model: labels and other files for who uses it.

Python's zipfile and TensorFlow Lite's own reader find it from the end of the file, so the model in front can be
replaced. Offsets in the archive count from the start of the file and are written anew.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_END = struct.Struct("<4sHHHHIIH")
_ENTRY = struct.Struct("<4s24sHHH8sI")  # lengths of name, extra field and comment; the offset of the file's header
_MOST = 65_535  # bytes of the comment after the end record
_OFFSET_IN_END, _OFFSET_IN_ENTRY = 16, 42


@dataclass(frozen=True)
class _Archive:
    """Where the parts of an archive are in a file, and by how much its offsets are off."""

    start: int
    directory: int
    end: int
    entries: tuple[int, ...]
    """The places of the directory's entries."""
    shift: int


def archive_in(data: bytes) -> bytes:
    """The archive behind a model; empty if there is none, or none that can be read."""
    found = _find(data)
    return data[found.start :] if found is not None and found.start >= 8 else b""


def with_archive(model: bytes, archive: bytes) -> bytes:
    """A model with an archive, as ``archive_in`` gives it, behind it; unchanged if it has one already."""
    found = _find(archive)
    if found is None or archive_in(model):
        return model
    moved = bytearray(archive)
    by = len(model) + found.shift - found.start
    for place in (*(entry + _OFFSET_IN_ENTRY for entry in found.entries), found.end + _OFFSET_IN_END):
        (old,) = struct.unpack_from("<I", archive, place)
        struct.pack_into("<I", moved, place, old + by)
    return model + bytes(moved)


def _find(data: bytes) -> _Archive | None:
    end = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - _MOST))
    if end < 0 or len(data) < end + _END.size:
        return None
    _, _, _, _, count, size, offset, comment = _END.unpack_from(data, end)
    directory = end - size
    if directory < 0 or end + _END.size + comment != len(data):
        return None
    try:
        return _read(data, directory, end, count, directory - offset)
    except struct.error:
        return None


def _read(data: bytes, directory: int, end: int, count: int, shift: int) -> _Archive | None:
    entries: list[int] = []
    start, place = directory, directory
    for _ in range(count):
        mark, _, name, extra, comment, _, offset = _ENTRY.unpack_from(data, place)
        if mark != b"PK\1\2" or not 0 <= offset + shift < directory:
            return None
        entries.append(place)
        start = min(start, offset + shift)
        place += _ENTRY.size + name + extra + comment
    if place != end or (entries and data[start : start + 4] != b"PK\3\4"):
        return None
    return _Archive(start, directory, end, tuple(entries), shift)
