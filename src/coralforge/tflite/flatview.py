"""Reads single fields of bytes that ``flatbuffer.walk`` has let through, where there is no code made for them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from coralforge.tflite.flatbuffer import follow, slots_of

_SIGNED = {1: struct.Struct("<b"), 2: struct.Struct("<h"), 4: struct.Struct("<i"), 8: struct.Struct("<q")}
_U32 = struct.Struct("<I")


@dataclass(frozen=True)
class Table:
    """One table. Fields that are left out are 0 or empty. Vectors are views, not copies.

    Only fields that the walk has looked at may be read as vectors; a scalar raises ``struct.error`` when it lies
    outside of the data.
    """

    data: memoryview
    place: int
    slots: tuple[int, ...]

    def signed(self, field: int, size: int = 4) -> int:
        """A signed integer of ``size`` bytes."""
        slot = self._slot(field)
        return int(_SIGNED[size].unpack_from(self.data, self.place + slot)[0]) if slot else 0

    def vector(self, field: int) -> memoryview:
        """The bytes of a string or a vector of bytes."""
        slot = self._slot(field)
        return _vector(self.data, follow(self.data, self.place + slot)) if slot else self.data[:0]

    def vectors(self, field: int) -> tuple[memoryview, ...]:
        """A vector of strings."""
        return tuple(_vector(self.data, target) for target in self._targets(field))

    def tables(self, field: int) -> tuple[Table, ...]:
        """A vector of tables."""
        return tuple(Table(self.data, target, slots_of(self.data, target)[0]) for target in self._targets(field))

    def table(self, field: int) -> Table | None:
        """Another table; None where it is left out."""
        slot = self._slot(field)
        if not slot:
            return None
        target = follow(self.data, self.place + slot)
        return Table(self.data, target, slots_of(self.data, target)[0])

    def floats(self, field: int, most: int) -> tuple[float, ...]:
        """A vector of 32-bit floats: the first ``most`` of them."""
        slot = self._slot(field)
        if not slot:
            return ()
        start = follow(self.data, self.place + slot)
        count = min(_U32.unpack_from(self.data, start)[0], most)
        return struct.unpack_from(f"<{count}f", self.data, start + 4)

    def _slot(self, field: int) -> int:
        return self.slots[field] if field < len(self.slots) else 0

    def _targets(self, field: int) -> list[int]:
        slot = self._slot(field)
        if not slot:
            return []
        start = follow(self.data, self.place + slot)
        count = _U32.unpack_from(self.data, start)[0]
        return [follow(self.data, start + 4 + 4 * index) for index in range(count)]


def root(data: memoryview) -> Table:
    """The table that a flatbuffer starts with."""
    place = follow(data, 0)
    return Table(data, place, slots_of(data, place)[0])


def _vector(data: memoryview, target: int) -> memoryview:
    return data[target + 4 : target + 4 + _U32.unpack_from(data, target)[0]]
