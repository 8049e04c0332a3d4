"""Reads zip archives from anywhere: nothing is unpacked to disk, and nothing takes more memory than it is allowed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

LARGEST = 4 << 20  # bytes of a directory: some 80,000 members
_PIECE = 1 << 20  # bytes that are unpacked at once
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may ask for gigabytes before the first byte
_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError, RuntimeError, KeyError)


class BadZip(Exception):
    """A damaged or hostile archive; the message is the end of a sentence that starts with the file's name."""


class _Careful:
    """The part of a file that zipfile uses, with an end to what it reads at once, which is the whole directory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST:
            raise zipfile.BadZipFile(f"its directory is larger than {LARGEST >> 20} MiB")
        return self._stream.read(size)

    def seekable(self) -> bool:
        return True


@contextmanager
def opened(stream: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """The archive that ends where ``stream`` ends.

    Raises:
        BadZip: also for what goes wrong in the body.
    """
    try:
        with zipfile.ZipFile(_Careful(stream)) as archive:
            yield archive
    except _ERRORS as error:
        raise BadZip(f"its archive is damaged ({(str(error).splitlines() or ['cut off'])[0][:200]})") from error


def member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The bytes of one member.

    Raises:
        BadZip: larger than ``limit`` bytes, packed in a rare way, or under a password.
        Exception: one that ``opened`` turns into ``BadZip``.
    """
    info = archive.getinfo(name)
    if info.compress_type not in _METHODS or info.flag_bits & 1:
        raise BadZip("its archive is packed in a way that is not taken here (neither stored nor deflated, or secret)")
    data = bytearray()
    with archive.open(info) as stream:
        while piece := stream.read(_PIECE):
            data += piece
            if len(data) > limit:
                raise BadZip(f"a file in its archive is larger than {limit:,} bytes")
    return bytes(data)
