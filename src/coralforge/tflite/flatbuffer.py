"""Walks a flatbuffer before anything is unpacked, so that no byte sequence costs more than it should.

FlatBuffers' Python runtime has no verifier: offsets may point anywhere, and many offsets to one large table make
the object API unpack it as often as they say. This walk follows the same offsets, checks that what they point to
lies inside the file, and counts. What it lets through can be unpacked in time and memory bounded by the file's size.

Field numbers are those of TensorFlow Lite's schema.fbs (version 3, as of LiteRT 2.3).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TABLES = 200_000
_SLACK = 1 << 16
_REPEATS = 4  # how often the average byte may be reached; converters share few things

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


class Malformed(Exception):
    """Damaged bytes; the message is the end of a sentence that starts with the file's name."""


@dataclass(frozen=True)
class Numbers:
    """A vector of scalars of ``size`` bytes each."""

    size: int


@dataclass(frozen=True)
class Text:
    """A string."""


@dataclass(frozen=True)
class Texts:
    """A vector of strings."""


@dataclass(frozen=True)
class One:
    """Another table."""

    table: str


@dataclass(frozen=True)
class Many:
    """A vector of tables."""

    table: str


@dataclass(frozen=True)
class Either:
    """A union; ``tag`` is the field with its type. Types that hold only scalars and vectors of them need no name."""

    tag: int
    tables: Mapping[int, str]


Field = Numbers | Text | Texts | One | Many | Either
Tables = Mapping[str, Mapping[int, Field]]


@dataclass(frozen=True)
class Form:
    """A kind of flatbuffer: its identifier (empty: it has none), the table it starts with, and fields by number."""

    name: str
    identifier: bytes
    root: str
    tables: Tables


_TABLES: Tables = {
    "Model": {
        1: Many("OperatorCode"),
        2: Many("SubGraph"),
        3: Text(),
        4: Many("Buffer"),
        5: Numbers(4),
        6: Many("Metadata"),
        7: Many("SignatureDef"),
        8: Many("ExternalBufferGroup"),
        9: Many("ExternalBuffer"),
    },
    "OperatorCode": {1: Text()},
    "SubGraph": {0: Many("Tensor"), 1: Numbers(4), 2: Numbers(4), 3: Many("Operator"), 4: Text()},
    "Tensor": {
        0: Numbers(4),
        3: Text(),
        4: One("QuantizationParameters"),
        6: One("SparsityParameters"),
        7: Numbers(4),
        9: Many("VariantSubType"),
    },
    "QuantizationParameters": {0: Numbers(4), 1: Numbers(4), 2: Numbers(4), 3: Numbers(8), 5: Either(4, {})},
    "SparsityParameters": {0: Numbers(4), 1: Numbers(4), 2: Many("DimensionMetadata")},
    "DimensionMetadata": {3: Either(2, {}), 5: Either(4, {})},
    "VariantSubType": {0: Numbers(4)},
    "Operator": {
        1: Numbers(4),
        2: Numbers(4),
        4: Either(3, {111: "VarHandleOptions"}),
        5: Numbers(1),
        7: Numbers(1),
        8: Numbers(4),
        12: Either(11, {5: "StablehloCustomCallOptions", 21: "StableHLOCompositeOptions"}),
    },
    "VarHandleOptions": {0: Text(), 1: Text()},
    "StablehloCustomCallOptions": {0: Text(), 2: Text()},
    "StableHLOCompositeOptions": {0: Text()},
    "Buffer": {0: Numbers(1)},
    "Metadata": {0: Text()},
    "SignatureDef": {0: Many("TensorMap"), 1: Many("TensorMap"), 2: Text()},
    "TensorMap": {0: Text()},
    "ExternalBufferGroup": {0: Text()},
    "ExternalBuffer": {4: Text()},
    "": {},
}


TFLITE = Form("a TensorFlow Lite model", b"TFL3", "Model", _TABLES)


def walk(data: bytes | memoryview, form: Form = TFLITE) -> None:
    """Check that ``data`` is of the form and that all its offsets stay inside it.

    Raises:
        Malformed: it is not, or it is made to cost far more than its size.
    """
    if len(data) < 8 or (form.identifier and data[4:8] != form.identifier):
        raise Malformed(f"it does not have the identifier {form.identifier.decode()} of {form.name}")
    try:
        _Walk(data, form).table(form.root, _U32.unpack_from(data, 0)[0])
    except struct.error as error:
        raise Malformed("an offset points outside of the file; it may be cut off or damaged") from error


def slots_of(data: bytes | memoryview, place: int) -> tuple[tuple[int, ...], int]:
    """Where a table keeps its fields, in bytes from ``place`` (0: left out), and the table's size.

    Raises:
        Malformed: no table has such a layout.
        struct.error: it lies outside of the data.
    """
    vtable = place - int(_I32.unpack_from(data, place)[0])
    if vtable < 0:
        raise Malformed("a table's layout lies before the file")
    length, size = _U16.unpack_from(data, vtable)[0], _U16.unpack_from(data, vtable + 2)[0]
    if length < 4 or length % 2 or size < 4:
        raise Malformed("a table's layout is impossible")
    return struct.unpack_from(f"<{length // 2 - 2}H", data, vtable + 4), size


def follow(data: bytes | memoryview, place: int) -> int:
    """Where the offset at ``place`` points to."""
    return place + int(_U32.unpack_from(data, place)[0])


class _Walk:
    def __init__(self, data: bytes | memoryview, form: Form) -> None:
        self.data = data
        self.known = form.tables
        self.tables = 0
        self.budget = _REPEATS * len(data) + _SLACK

    def table(self, name: str, place: int) -> None:
        """Check one table and all below it. The depth is bounded: no table of the schema can hold its like."""
        self.tables += 1
        if self.tables > MAX_TABLES:
            raise Malformed(f"it has more than {MAX_TABLES} tables")
        slots, size = slots_of(self.data, place)
        self._spend(place, size)
        for number, field in self.known[name].items():
            slot = slots[number] if number < len(slots) else 0
            if slot:
                self._field(field, slots, place, follow(self.data, place + slot))

    def _field(self, field: Field, slots: tuple[int, ...], place: int, target: int) -> None:
        if isinstance(field, One):
            self.table(field.table, target)
        elif isinstance(field, Either):
            tag = slots[field.tag] if field.tag < len(slots) else 0
            kind = self.data[place + tag] if tag and place + tag < len(self.data) else 0
            self.table(field.tables.get(kind, ""), target)
        else:
            count = _U32.unpack_from(self.data, target)[0]
            each = field.size if isinstance(field, Numbers) else 1 if isinstance(field, Text) else 4
            self._spend(target + 4, count * each)
            if isinstance(field, (Many, Texts)):
                for index in range(count):
                    self._entry(field, follow(self.data, target + 4 + 4 * index))

    def _entry(self, field: Many | Texts, target: int) -> None:
        if isinstance(field, Many):
            self.table(field.table, target)
        else:
            self._spend(target + 4, _U32.unpack_from(self.data, target)[0])

    def _spend(self, start: int, size: int) -> None:
        if start + size > len(self.data):
            raise Malformed("a table or vector reaches beyond the end; the file may be cut off or damaged")
        self.budget -= size
        if self.budget < 0:
            raise Malformed("its parts are shared so often that it unpacks to many times its size")
