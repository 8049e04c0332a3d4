"""Looks for two texts that Keras writes into its HDF5 files, without HDF5's library, which damaged files can crash.

An attribute is found by its name, wherever its object keeps it. Its value stands behind it, or, for texts of any
length, in a heap whose address does.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from itertools import islice

from coralforge.tflite.protobuf import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_REACH = 8 << 20  # bytes at both ends that are searched
_VERSION = re.compile(rb"[0-9]{1,3}(?:\.[0-9a-z-]{1,20}){1,4}")
_FIRST, _THIRD = 1, 3  # versions of the attribute message
_TEXT, _OF_ANY_LENGTH = 3, 9  # classes of types
_HEAP = struct.Struct("<HHIQ")
_SMALL = 4096  # bytes of an attribute's head
_NAME = b"keras_version"
_TRIES, _OBJECTS = 16, 1000  # places with that name, and objects of a heap, that are looked at
_LONGEST = 100  # bytes of a version


@dataclass(frozen=True)
class Head:
    """Keras' attributes in an HDF5 file. ``version`` is empty where there is none that can be read."""

    version: str
    model: bool
    """Whether a model's layers are described, and not only weights are there."""
    weights: bool
    whole: bool
    """Whether all of the file was looked at."""


def read_head(source: Source) -> Head:
    """Whatever can be told of the file; damaged files give less."""
    ends = [(0, source.at(0, _REACH))]
    if source.size > _REACH:
        start = max(_REACH, source.size - _REACH)
        ends.append((start, source.at(start, _REACH)))
    version = ""
    for start, data in ends:
        for found in islice(re.finditer(_NAME, data), _TRIES):
            version = version or _value(source, start + found.start())
    return Head(
        version,
        any(b"model_config" in data for _, data in ends),
        any(b"layer_names" in data or b"layers" in data for _, data in ends),
        source.size <= 2 * _REACH,
    )


def _value(source: Source, name: int) -> str:
    """The value of the attribute whose name stands at ``name``; empty if there is none."""
    head = source.at(name - 9, _SMALL).ljust(_SMALL, b"\0")
    for version, front, size in ((_FIRST, 1, 8), (_THIRD, 0, 9)):
        if head[front] != version:
            continue
        named, kind, space = struct.unpack_from("<HHH", head, front + 2)
        pad = 8 if version == _FIRST else 1
        place = front + size + _padded(named, pad)
        value = place + _padded(kind, pad) + _padded(space, pad)
        if not len(_NAME) <= named <= len(_NAME) + 1 or value + 16 > len(head):
            continue
        return _read(source, head, place, value)
    return ""


def _read(source: Source, head: bytes, kind: int, value: int) -> str:
    if head[kind] & 15 == _TEXT:
        return _version(head[value : value + _LONGEST])
    if head[kind] & 15 == _OF_ANY_LENGTH:
        length, address, index = struct.unpack_from("<IQI", head, value)
        return _version(_from_heap(source, address, index)[:length])
    return ""


def _from_heap(source: Source, address: int, wanted: int) -> bytes:
    """An object of a global heap: behind the head each has a number, a length and its bytes, filled up to 8."""
    if source.at(address, 4) != b"GCOL":
        return b""
    place = address + 16
    for _ in range(_OBJECTS):
        head = source.at(place, _HEAP.size)
        if len(head) < _HEAP.size:
            break
        index, _, _, size = _HEAP.unpack(head)
        if index == wanted:
            return source.at(place + _HEAP.size, min(size, _LONGEST))
        if not index:
            break
        place += _HEAP.size + _padded(size, 8)
    return b""


def _version(data: bytes) -> str:
    found = _VERSION.match(data)
    return found.group().decode("ascii") if found else ""


def _padded(size: int, to: int) -> int:
    return (size + to - 1) // to * to
