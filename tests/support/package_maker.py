"""Makes custom options in the form of Google's compiler, for tests: a double, no hardware would run what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
from flatbuffers import flexbuffers

Fields = Mapping[int, Any]
"""A number, text, bytes, or a list of bytes or of nested tables, for each field."""
_WIDE = (14, 16)  # fields of an executable with 64 bits
_SHORT = 13  # its kind


@dataclass(frozen=True)
class Program:
    """One executable. ``kind`` 0: stand-alone, 1: parameter caching, 2: execution only; see executable.fbs."""

    kind: int = 0
    parameters: int = 0
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    token: int = 0

    def packed(self) -> bytes:
        return table(
            {
                1: "model",
                3: 1,
                5: [{0: bytes(16)}],
                6: bytes(self.parameters),
                8: [{0: name, 1: 8} for name in self.inputs],
                9: [{0: name, 1: 4} for name in self.outputs],
                10: "beagle",
                13: self.kind,
                14: self.token,
            }
        )


def table(fields: Fields, identifier: bytes | None = None) -> bytes:
    """A flatbuffer of one table; fields by number, nested tables as mappings."""
    builder = flatbuffers.Builder(64)
    builder.Finish(_table(builder, fields), file_identifier=identifier)
    return bytes(builder.Output())


def package(programs: Sequence[bytes], runtime: int = 13, compiler: str = "16.0.384591198") -> bytes:
    """A package with these executables."""
    listed = table({0: list(programs)})
    return table({0: runtime, 1: listed, 4: compiler, 7: "made by a test"}, b"DWN1")


def custom_options(packed: bytes) -> bytes:
    """The flexbuffer map that an `edgetpu-custom-op` carries."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        builder.Key("4")
        builder.Blob(packed)
        builder.Key("5")
        builder.Int(-1)
    data = bytes(builder.Finish())
    # The builder's String takes text only; a blob has the same layout under another type, W8 to W64 in the low bits.
    blob, string = (kind << 2 for kind in (flexbuffers.Type.BLOB, flexbuffers.Type.STRING))
    types = bytearray(data[-6:])
    return data[:-6] + bytes(string | kind & 3 if kind & ~3 == blob else kind for kind in types)


def _table(builder: Any, fields: Fields) -> Any:
    stored = {number: _stored(builder, value) for number, value in fields.items()}
    builder.StartObject(max(fields) + 1)
    for number, value in stored.items():
        if not isinstance(fields[number], int):
            builder.PrependUOffsetTRelativeSlot(number, value, 0)
        elif number in _WIDE:
            builder.PrependUint64Slot(number, value, 0)
        elif number == _SHORT:
            builder.PrependInt16Slot(number, value, 0)
        else:
            builder.PrependInt32Slot(number, value, 0)
    return builder.EndObject()


def _stored(builder: Any, value: Any) -> Any:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, bytes):
        return builder.CreateByteVector(value)
    made: dict[int, Any] = {}  # what stands twice in a list is shared
    for one in value:
        if id(one) not in made:
            made[id(one)] = builder.CreateString(one) if isinstance(one, bytes) else _table(builder, one)
    places = [made[id(one)] for one in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()
