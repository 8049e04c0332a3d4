"""Reads the top of protocol buffers, without a schema's code and without loading what is inside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10  # bytes of a number
_SHORT = 200  # bytes of a text that is shown


class NotOne(Exception):
    """Not a protocol buffer, or one that is cut off."""


@dataclass(frozen=True)
class Source:
    """A file that is read in pieces, from wherever they are."""

    stream: IO[bytes]
    size: int

    def at(self, place: int, count: int) -> bytes:
        """Up to ``count`` bytes; fewer at the end."""
        return os.pread(self.stream.fileno(), count, place) if 0 <= place < self.size else b""


@dataclass(frozen=True)
class Field:
    """One field: ``value`` of a number, or where its bytes begin and how many they are."""

    number: int
    packed: bool
    """Whether it has bytes: a text, or a message."""
    value: int = 0
    start: int = 0
    size: int = 0


def fields(source: Source, start: int, end: int, most: int = 64) -> Iterator[Field]:
    """The first fields of the message between two places of a file.

    Raises:
        NotOne: a field that no message has, or that reaches beyond the end.
    """
    place = start
    for _ in range(most):
        if place >= end:
            return
        key, place = _number(source, place)
        number, kind = key >> 3, key & 7
        if not number:
            raise NotOne
        if kind == _VARINT:
            value, place = _number(source, place)
            yield Field(number, False, value)
        elif kind == _BYTES:
            size, place = _number(source, place)
            if place + size > end:
                raise NotOne
            yield Field(number, True, 0, place, size)
            place += size
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
            yield Field(number, False)
        else:
            raise NotOne


def text(source: Source, field: Field) -> str:
    """The text of a field, cut where it is long; empty if it is none.

    Raises:
        NotOne: not UTF-8, or letters that nobody sees.
    """
    try:
        decoded = source.at(field.start, min(field.size, _SHORT)).decode(
            "utf-8", "strict" if field.size <= _SHORT else "ignore"
        )
    except UnicodeDecodeError as error:
        raise NotOne from error
    if not decoded.isprintable():
        raise NotOne
    return decoded


def _number(source: Source, place: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(source.at(place, _LONGEST)):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, place + count + 1
    raise NotOne
