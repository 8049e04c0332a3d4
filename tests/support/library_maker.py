"""Makes shared libraries with versioned symbols byte by byte, for 32 and 64 bits, as a linker reads them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from elftools.elf.elffile import ELFFile

FUNCTION = 0x12  # STB_GLOBAL, STT_FUNC


@dataclass(frozen=True)
class Symbol:
    """``name@@version``, or ``name@version`` where it is not the default; undefined ones have no version here."""

    name: str
    version: str = ""
    default: bool = True
    defined: bool = True
    visibility: int = 0


def make_library(
    symbols: Sequence[Symbol], bits: int = 64, soname: str = "libx.so.1", needs: Sequence[str] = ()
) -> bytes:
    """The bytes of a little-endian shared library that has these dynamic symbols.

    ``needs`` are versions that it asks of libc; one that it defines too, it names by the same bytes, as linkers do.
    """
    strings = bytearray(b"\0")

    def string(text: str) -> int:
        if (known := strings.find(b"\0" + text.encode() + b"\0")) >= 0:
            return known + 1
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    versions = list(dict.fromkeys(symbol.version for symbol in symbols if symbol.version))
    number = {version: index + 2 for index, version in enumerate(versions)}
    table, numbers = _symbol(bits, 0, 0, 0, 0, 0), struct.pack("<H", 0)
    for place, symbol in enumerate(symbols):
        section = 7 if symbol.defined else 0
        table += _symbol(bits, string(symbol.name), FUNCTION, symbol.visibility, section, 0x1000 + place)
        hidden = 0 if symbol.default else 0x8000
        numbers += struct.pack("<H", number[symbol.version] | hidden if symbol.version else 1)
    definitions = b""
    for index, version in enumerate([soname, *versions]):
        last = index == len(versions)
        hashed = elf_hash(version)
        definitions += struct.pack("<HHHHIII", 1, int(index == 0), index + 1, 1, hashed, 20, 0 if last else 28)
        definitions += struct.pack("<II", string(version), 0)
    asked = struct.pack("<HHIII", 1, len(needs), string("libc.so.6"), 16, 0) if needs else b""
    for index, version in enumerate(needs):
        last = index == len(needs) - 1
        asked += struct.pack("<IHHII", elf_hash(version), 0, 100 + index, string(version), 0 if last else 16)
    return _file(bits, bytes(strings), table, numbers, definitions, asked)


def elf_hash(name: str) -> int:
    """The hash function of the System V ABI, as printed there."""
    h = 0
    for byte in name.encode():
        h = ((h << 4) + byte) & 0xFFFFFFFF
        g = h & 0xF0000000
        if g:
            h ^= g >> 24
        h &= ~g
    return h


@dataclass(frozen=True)
class Named:
    """A symbol version in a library: its name, and whether the hash beside it is that name's."""

    name: str
    sound: bool


def version_names(data: bytes) -> tuple[list[Named], list[Named]]:
    """The versions that a library defines, and those that it needs, as the loader reads them."""
    elf: Any = ELFFile(BytesIO(data))
    defined = [
        Named(name, version["vd_hash"] == elf_hash(name))
        for version, auxiliary in elf.get_section_by_name(".gnu.version_d").iter_versions()
        for name in [next(iter(auxiliary)).name]
    ]
    section = elf.get_section_by_name(".gnu.version_r")
    needed = [
        Named(one.name, one["vna_hash"] == elf_hash(one.name))
        for _, auxiliaries in (section.iter_versions() if section else ())
        for one in auxiliaries
    ]
    return defined[1:], needed  # the first one is the library's own name


def make_object(symbols: Sequence[Symbol], bits: int = 64) -> bytes:
    """The same as a relocatable object file, as static libraries have them."""
    data = bytearray(make_library(symbols, bits))
    struct.pack_into("<H", data, 16, 1)
    return bytes(data)


def linkable(data: bytes) -> dict[str, str]:
    """The symbols that a linker finds in a library by their plain names, with their versions."""
    found: dict[str, str] = {}
    elf: Any = ELFFile(BytesIO(data))
    names = {}
    for version, auxiliary in elf.get_section_by_name(".gnu.version_d").iter_versions():
        names[version["vd_ndx"]] = next(iter(auxiliary)).name
    numbers = elf.get_section_by_name(".gnu.version")
    for index, symbol in enumerate(elf.get_section_by_name(".dynsym").iter_symbols()):
        number = numbers.get_symbol(index)["ndx"]
        if isinstance(number, int) and not number & 0x8000 and symbol["st_shndx"] != "SHN_UNDEF":
            assert symbol.name not in found, f"two default versions of {symbol.name}"
            found[symbol.name] = names[number]
    return found


def missed(data: bytes) -> list[str]:
    """The symbols that a linker must find elsewhere: undefined, and not weak."""
    elf: Any = ELFFile(BytesIO(data))
    symbols = list(elf.get_section_by_name(".dynsym").iter_symbols())[1:]
    return [s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF" and s["st_info"]["bind"] != "STB_WEAK"]


def _symbol(bits: int, name: int, info: int, other: int, section: int, value: int) -> bytes:
    if bits == 32:
        return struct.pack("<IIIBBH", name, value, 0, info, other, section)
    return struct.pack("<IBBHQQ", name, info, other, section, value, 0)


def _file(bits: int, strings: bytes, table: bytes, numbers: bytes, definitions: bytes, asked: bytes = b"") -> bytes:
    entry = 16 if bits == 32 else 24
    labels = b"\0.dynstr\0.dynsym\0.gnu.version\0.gnu.version_d\0.gnu.version_r\0.shstrtab\0.text\0"
    count = len(definitions) // 28
    parts = [  # label, type, data, link, info, entry size
        (".dynstr", 3, strings, 0, 0, 0),
        (".dynsym", 11, table, 1, 1, entry),
        (".gnu.version", 0x6FFFFFFF, numbers, 2, 0, 2),
        (".gnu.version_d", 0x6FFFFFFD, definitions, 1, count, 0),
        (".shstrtab", 3, labels, 0, 0, 0),
        (".text", 1, b"\0" * 16, 0, 0, 0),
        *([(".gnu.version_r", 0x6FFFFFFE, asked, 1, 1, 0)] if asked else []),
    ]
    start = 52 if bits == 32 else 64
    body = b""
    form = "<10I" if bits == 32 else "<IIQQQQIIQQ"
    headers = [struct.pack(form, *([0] * 10))]
    for label, kind, data, link, info, size in parts:
        body += b"\0" * (-(start + len(body)) % 8)
        name = labels.index(label.encode())
        headers.append(struct.pack(form, name, kind, 2, 0, start + len(body), len(data), link, info, 8, size))
        body += data
    body += b"\0" * (-(start + len(body)) % 8)
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + b"\0" * 9
    head = struct.pack(
        "<HHIIIIIHHHHHH" if bits == 32 else "<HHIQQQIHHHHHH",
        *(3, 40 if bits == 32 else 183, 1, 0, 0, start + len(body), 0, start, 0, 0),
        *(40 if bits == 32 else 64, len(headers), 5),
    )
    return ident + head + body + b"".join(headers)
