"""Reads tar archives front to back: plain, gzip, bzip2, xz or zstd, also the data part of a Debian package.

Written by hand because Python's ``tarfile`` takes a truncated or damaged archive for a complete one (a header that
cannot be read in the middle ends it silently), reads headers of any size into memory, and its safe filter had holes.
Nothing here touches the disk but the archive itself.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal, cast

import zstandard

BLOCK = 512
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"!<arch>\n": "ar"}
_WINDOW = 1 << 27
_HEADER_LIMIT = 1 << 20
_TYPES: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "dir",
}
_ZERO = bytes(BLOCK)

Kind = Literal["file", "dir", "symlink", "hardlink"]


class BadArchive(Exception):
    """The archive is damaged, truncated, of an unknown kind or has an entry that is not taken.

    ``reason`` is the reason of the error that the user sees.
    """

    def __init__(self, text: str, reason: str = "archive-corrupt") -> None:
        super().__init__(text)
        self.text = text
        self.reason = reason


@dataclass(frozen=True)
class Entry:
    """One entry of the archive. ``name`` and ``link`` are as found, ``size`` is in bytes."""

    name: str
    kind: Kind
    size: int
    executable: bool
    link: str


class Limited:
    """The unpacked bytes of an archive, front to back, with a cap on their number and their ratio to the packed."""

    def __init__(self, raw: IO[bytes], packed: int, cap: int, ratio: int) -> None:
        self._raw = raw
        self._cap = min(cap, max(packed * ratio, 64 << 20))
        self._done = 0

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or fewer at the end. Raises BadArchive for damage and for more than the cap."""
        pieces: list[bytes] = []
        while size > 0:
            try:
                piece = self._raw.read(min(size, 1 << 20))
            except (EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError, MemoryError) as error:
                raise BadArchive(f"cannot be decompressed: {error}") from None
            except OSError as error:
                if error.errno is not None:
                    raise
                raise BadArchive(f"cannot be decompressed: {error}") from None
            if not piece:
                break
            self._done += len(piece)
            if self._done > self._cap:
                raise BadArchive(f"unpacks to more than {self._cap:,} bytes", "archive-too-big")
            size -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def exactly(self, size: int, what: str) -> bytes:
        """``size`` bytes; raises BadArchive when the archive ends before."""
        data = self.read(size)
        if len(data) < size:
            raise BadArchive(f"is truncated in {what}")
        return data


def open_archive(stream: IO[bytes], packed: int, cap: int, ratio: int) -> Limited:
    """The tar inside ``stream`` (an open archive of ``packed`` bytes, seekable), whatever it is packed in.

    Raises:
        BadArchive: no known kind of archive.
    """
    kind = _kind(stream)
    if kind == "ar":
        packed = _to_data_member(stream)
        stream = cast(IO[bytes], _Slice(stream, packed))
        kind = _kind(stream)
    if kind == "gzip":
        return Limited(cast(IO[bytes], gzip.GzipFile(fileobj=stream)), packed, cap, ratio)
    if kind == "bzip2":
        return Limited(cast(IO[bytes], bz2.BZ2File(stream)), packed, cap, ratio)
    if kind == "xz":
        return Limited(cast(IO[bytes], lzma.LZMAFile(stream)), packed, cap, ratio)
    if kind == "zstd":
        reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(stream, read_across_frames=True)
        return Limited(cast(IO[bytes], reader), packed, cap, ratio)
    return Limited(stream, packed, cap, ratio)


def _kind(stream: IO[bytes]) -> str:
    start = stream.tell()
    head = stream.read(BLOCK)
    stream.seek(start)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if len(head) == BLOCK and _checksum_fits(head):
        return "tar"
    raise BadArchive("is no tar archive and no Debian package that is known here", "archive-unknown")


class _Slice:
    """The bytes from here to ``size`` further on of a file, as a file of its own."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._start = stream.tell()
        self._size = size

    def tell(self) -> int:
        return self._stream.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        return self._stream.seek(self._start + base + offset) - self._start

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _to_data_member(stream: IO[bytes]) -> int:
    """Move to the data part of a Debian package (an ar archive, deb(5)); returns its size in bytes."""
    stream.seek(8)
    while header := stream.read(60):
        name = header[:16].rstrip(b" ").rstrip(b"/")
        digits = header[48:58].strip()
        if len(header) < 60 or header[58:] != b"`\n" or not digits.isdigit():
            raise BadArchive("has a damaged package header")
        size = int(digits)
        if name.startswith(b"data.tar"):
            return size
        stream.seek(size + size % 2, os.SEEK_CUR)
    raise BadArchive("is truncated: a package without its data part")


def entries(tar: Limited) -> Iterator[Entry]:
    """The entries in order. The caller reads the ``size`` bytes and the padding of each file before the next one.

    Raises:
        BadArchive: damaged, truncated, or an entry of a kind that is not taken (devices, sparse files, ...).
    """
    special: dict[str, str] = {}
    last = "its first header"
    while True:
        header = tar.read(BLOCK)
        if header == _ZERO:
            return
        if len(header) < BLOCK:
            raise BadArchive(f"is truncated after {last}")
        if not _checksum_fits(header):
            raise BadArchive(f"has a damaged header after {last}")
        flag = header[156:157]
        if flag in b"xgLK" and flag:
            special = _special(tar, header, flag, special)
            continue
        entry = _entry(header, flag, special)
        special = {}
        last = f"entry {entry.name!r}"
        yield entry


def padding(size: int) -> int:
    """Bytes between the end of a file's data and the next header."""
    return -size % BLOCK


def _checksum_fits(header: bytes) -> bool:
    digits = header[148:156].strip(b" \0")
    try:
        return int(digits, 8) == sum(header[:148]) + 256 + sum(header[156:])
    except ValueError:
        return False


def _number(field: bytes) -> int:
    """A number field: octal digits, or base-256 for large ones (GNU)."""
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        if field[0] == 0xFF:
            raise BadArchive("has an entry with a negative number")
        return value
    try:
        value = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise BadArchive("has an entry with a number that cannot be read") from None
    if value < 0:
        raise BadArchive("has an entry with a negative number")
    return value


def _text(field: bytes) -> str:
    # Names are bytes; surrogateescape gives exactly these bytes back to the file system.
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _special(tar: Limited, header: bytes, flag: bytes, so_far: dict[str, str]) -> dict[str, str]:
    """A header that says more about the next one: long names of GNU tar, records of POSIX pax."""
    size = _number(header[124:136])
    if size > _HEADER_LIMIT:
        raise BadArchive(f"has an extended header of {size:,} bytes", "archive-unsafe")
    data = tar.exactly(size + padding(size), "an extended header")[:size]
    if flag == b"g":
        return so_far
    if flag == b"x":
        return {**so_far, **_pax(data)}
    return {**so_far, "path" if flag == b"L" else "linkpath": _text(data)}


def _pax(data: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    while data:
        digits, space, _ = data.partition(b" ")
        if not space or not digits.isdigit() or not len(digits) + 1 < int(digits) <= len(data):
            raise BadArchive("has an extended header that cannot be read")
        record, data = data[len(digits) + 1 : int(digits)], data[int(digits) :]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise BadArchive("has an extended header that cannot be read")
        name = key.decode("utf-8", "replace")
        if name.startswith("GNU.sparse"):
            raise BadArchive("has a sparse file, which is not taken", "archive-unsafe")
        records[name] = value[:-1].decode("utf-8", "surrogateescape")
    return records


def _entry(header: bytes, flag: bytes, special: dict[str, str]) -> Entry:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345] != 0:
        name = f"{_text(header[345:500])}/{name}"
    name = special.get("path", name)
    size = special.get("size", "")
    if size and not size.isdigit():
        raise BadArchive(f"has an entry {name!r} with a size that cannot be read")
    kind = _TYPES.get(flag)
    if kind is None:
        what = {b"3": "a device", b"4": "a device", b"6": "a named pipe", b"S": "a sparse file"}
        text = what.get(flag, f"of an unknown type ({flag!r})")
        raise BadArchive(f"has an entry {name!r} that is {text}", "archive-unsafe")
    if kind == "file" and name.endswith("/"):
        kind = "dir"  # how tar wrote folders before POSIX
    bytes_ = (int(size) if size else _number(header[124:136])) if kind == "file" else 0
    executable = bool(_number(header[100:108]) & 0o100)
    return Entry(name, kind, bytes_, executable, special.get("linkpath", _text(header[157:257])))
