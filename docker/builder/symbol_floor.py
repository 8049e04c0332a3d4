"""Takes from a shared library what a linker must not find in it: every symbol version above a floor.

The library stays as it is but for two fields of its dynamic symbol table, so types, sizes, aliases and names are
those of the real one. It is for linking only: what is taken away still stands in the code.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MAGIC = b"\x7fELF"
_DYNSYM, _VERDEF, _VERSYM = 11, 0x6FFFFFFD, 0x6FFFFFFF
_HIDDEN, _BASE = 0x8000, 1
_UNDEFINED, _WEAK, _GLOBAL_VERSION = 0, 2, 1
Rank = Callable[[str], "tuple[int, ...] | None"]
_SECTION = {1: "<10I", 2: "<IIQQQQIIQQ"}
_SYMBOL_SIZE = {1: 16, 2: 24}
_INFO = {1: 12, 2: 4}  # offset of st_info in a symbol; st_other and st_shndx follow it


@dataclass(frozen=True)
class Symbol:
    """A defined symbol: its place in the tables, its version, and whether a linker takes it by its plain name."""

    number: int
    name: str
    version: str
    default: bool


@dataclass
class Lowered:
    """A library after :func:`lower`."""

    data: bytes
    versions: frozenset[str] = frozenset()
    """All that it defined before."""
    gone: dict[str, str] = field(default_factory=dict)
    """Symbols that no linker finds by their plain name any more, and the version that they had."""
    older: dict[str, str] = field(default_factory=dict)
    """Symbols of which an older version took the plain name, and that version."""


class Library:
    """The symbol tables of one little-endian shared library.

    Raises:
        ValueError: it is no such file.
    """

    def __init__(self, data: bytes) -> None:
        if data[:4] != MAGIC or data[4] not in _SECTION or data[5] != 1:
            raise ValueError("not a little-endian ELF file")
        self.data = bytearray(data)
        self.bits = data[4]
        offset, entry, count = self._section_table()
        headers = [struct.unpack_from(_SECTION[self.bits], data, offset + n * entry) for n in range(count)]
        # name, type, flags, address, offset, size, link: the same order in both classes
        found = {header[1]: header for header in headers}
        if _DYNSYM not in found:
            raise ValueError("no dynamic symbols")
        self.symbols, self.count = found[_DYNSYM][4], found[_DYNSYM][5] // _SYMBOL_SIZE[self.bits]
        self.strings = headers[found[_DYNSYM][6]][4]
        self.version_numbers = found[_VERSYM][4] if _VERSYM in found else None
        self.versions = self._versions(found[_VERDEF][4]) if _VERDEF in found else {}

    def defined(self) -> Iterator[Symbol]:
        """All symbols that it gives to others, with a version."""
        for number in range(1, self.count):
            version = self._version_number(number)
            if self.section_of(number) != _UNDEFINED and version & ~_HIDDEN in self.versions:
                name = self._string(struct.unpack_from("<I", self.data, self._symbol(number))[0])
                yield Symbol(number, name, self.versions[version & ~_HIDDEN], not version & _HIDDEN)

    def section_of(self, number: int) -> int:
        """The section of a symbol; 0 for one that it takes from elsewhere."""
        return int(struct.unpack_from("<H", self.data, self._symbol(number) + _INFO[self.bits] + 2)[0])

    def remove(self, number: int) -> None:
        """Make it one that the library would like to have from elsewhere: no linker finds it here, or misses it."""
        struct.pack_into("<H", self.data, self._symbol(number) + _INFO[self.bits] + 2, _UNDEFINED)
        self.weaken(number)
        self._set_version(number, _GLOBAL_VERSION)

    def weaken(self, number: int) -> None:
        """A linker does not ask who defines it."""
        place = self._symbol(number) + _INFO[self.bits]
        self.data[place] = _WEAK << 4 | self.data[place] & 0xF

    def make_default(self, number: int) -> None:
        """A linker takes this version for the plain name."""
        self._set_version(number, self._version_number(number) & ~_HIDDEN)

    def _section_table(self) -> tuple[int, int, int]:
        offset = struct.unpack_from("<I" if self.bits == 1 else "<Q", self.data, 32 if self.bits == 1 else 40)[0]
        entry, count = struct.unpack_from("<HH", self.data, 46 if self.bits == 1 else 58)
        return offset, entry, count

    def _symbol(self, number: int) -> int:
        return int(self.symbols + number * _SYMBOL_SIZE[self.bits])

    def _version_number(self, number: int) -> int:
        if self.version_numbers is None:
            return _GLOBAL_VERSION
        return int(struct.unpack_from("<H", self.data, self.version_numbers + 2 * number)[0])

    def _set_version(self, number: int, version: int) -> None:
        if self.version_numbers is not None:
            struct.pack_into("<H", self.data, self.version_numbers + 2 * number, version)

    def _string(self, offset: int) -> str:
        start = self.strings + offset
        return self.data[start : self.data.index(b"\0", start)].decode("ascii")

    def _versions(self, offset: int) -> dict[int, str]:
        """Names by number; the base version, which is the library's own name, left out."""
        versions: dict[int, str] = {}
        while True:
            _, flags, number, _, _, names, following = struct.unpack_from("<HHHHIII", self.data, offset)
            if not flags & _BASE:
                versions[number] = self._string(struct.unpack_from("<I", self.data, offset + names)[0])
            if not following:
                return versions
            offset += following


def lower(data: bytes, rank: Rank, same: frozenset[str]) -> Lowered:
    """The library without the symbol versions that ``rank`` does not know; it gives the others their order.

    Where the version that has a symbol's plain name goes, the newest one left takes the name, if the symbol is one of
    ``same``: those whose older versions do the same for the same arguments. (``totalorder`` once took numbers and now
    takes pointers.) What the library itself takes from others no longer counts: those have lost symbols too.

    Raises:
        ValueError: as :class:`Library`.
    """
    library = Library(data)
    symbols = list(library.defined())
    left: dict[str, Symbol] = {}
    for symbol in symbols:
        order = rank(symbol.version)
        if order is not None and (symbol.name not in left or order > (rank(left[symbol.name].version) or ())):
            left[symbol.name] = symbol
    result = Lowered(b"", frozenset(library.versions.values()))
    for number in range(1, library.count):
        if library.section_of(number) == _UNDEFINED:
            library.weaken(number)
    for symbol in symbols:
        if rank(symbol.version) is not None:
            continue
        library.remove(symbol.number)
        if not symbol.default or symbol.name == symbol.version:
            continue
        if symbol.name in left and symbol.name in same:
            library.make_default(left[symbol.name].number)
            result.older[symbol.name] = left[symbol.name].version
        else:
            result.gone[symbol.name] = symbol.version
    result.data = bytes(library.data)
    return result
