"""Makes the board's C and C++ libraries the userland that was asked for, and prints board.json.

    userland.py FACTS ROOT PACKAGES EMULATOR

FACTS is coralforge's row of the userland (JSON, one of config/userlands.py), ROOT the board's root file system,
PACKAGES a file with lines of NAME=VERSION, EMULATOR the emulator's own word on its version.

A *masked* userland is an older one than any suite offers: all libraries lose the symbol versions above its own, so
that the loader refuses each program that needs one, by its usual message. The code stays the suite's. What a userland
offers is measured, not believed: other versions than FACTS says are an error.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAGIC = b"\x7fELF"
_DYNSTR_OF = {0x6FFFFFFD: "definitions", 0x6FFFFFFE: "needs"}  # SHT_GNU_verdef, SHT_GNU_verneed
_SECTION = {1: "<10I", 2: "<IIQQQQIIQQ"}  # by ELF class
_FAMILY = re.compile(r"(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)*)$")
_BASE = 1


class Versions:
    """The symbol versions that a little-endian ELF file defines and needs, with the places of names and hashes.

    Raises:
        ValueError: it is no such file.
    """

    def __init__(self, data: bytes) -> None:
        if data[:4] != MAGIC or data[4] not in _SECTION or data[5] != 1:
            raise ValueError("not a little-endian ELF file")
        self.data = bytearray(data)
        bits = data[4]
        offset = struct.unpack_from("<I" if bits == 1 else "<Q", data, 32 if bits == 1 else 40)[0]
        entry, count = struct.unpack_from("<HH", data, 46 if bits == 1 else 58)
        headers = [struct.unpack_from(_SECTION[bits], data, offset + number * entry) for number in range(count)]
        # Where the names of a section's versions are; the sections themselves. In a header: type 1, offset 4, link 6.
        self._sections = {
            _DYNSTR_OF[header[1]]: (header[4], headers[header[6]][4]) for header in headers if header[1] in _DYNSTR_OF
        }

    def defined(self) -> Iterator[tuple[str, int, int]]:
        """Each version that the file defines: name, place of the name, place of the hash."""
        if "definitions" not in self._sections:
            return
        place, strings = self._sections["definitions"]
        while True:
            _, flags, _, _, _, names, following = struct.unpack_from("<HHHHIII", self.data, place)
            if not flags & _BASE:  # that one is the library's own name
                name = strings + struct.unpack_from("<I", self.data, place + names)[0]
                yield self._string(name), name, place + 8
            if not following:
                return
            place += following

    def needed(self) -> Iterator[tuple[str, int, int]]:
        """Each version that the file needs of others, in the same form."""
        if "needs" not in self._sections:
            return
        place, strings = self._sections["needs"]
        while True:
            _, count, _, first, following = struct.unpack_from("<HHIII", self.data, place)
            one = place + first
            for _ in range(count):
                _, _, _, offset, step = struct.unpack_from("<IHHII", self.data, one)
                yield self._string(strings + offset), strings + offset, one
                one += step
            if not following:
                return
            place += following

    def rename(self, name: int, hashed: int, text: str) -> None:
        """Give the version whose name and hash are at these places another name of the same length."""
        self.data[name : name + len(text)] = text.encode("ascii")
        struct.pack_into("<I", self.data, hashed, elf_hash(text))

    def _string(self, place: int) -> str:
        return self.data[place : self.data.index(b"\0", place)].decode("ascii")


def elf_hash(text: str) -> int:
    """The System V hash of a name, by which the loader compares versions first."""
    value = 0
    for byte in text.encode("ascii"):
        value = (value << 4) + byte
        value ^= (value & 0xF0000000) >> 24
        value &= 0x0FFFFFFF
    return value


def numbers(text: str) -> tuple[int, ...]:
    """``2.27`` as numbers."""
    return tuple(int(part) for part in text.split("."))


def mask(data: bytes, offered: dict[str, str]) -> bytes:
    """The library in which no version above those of ``offered`` (by family: GLIBC, ...) has its name any more.

    It is spelled in small letters then (``glibc_2.29``), which no program asks for. What a library of the same
    userland needs is renamed like what it offers, so they still find each other.

    Raises:
        ValueError: as :class:`Versions`.
    """
    versions = Versions(data)
    # A list, read before anything is renamed: the same bytes may name what is defined and what is needed.
    for name, place, hashed in [*versions.defined(), *versions.needed()]:
        found = _FAMILY.match(name)
        if found and numbers(found[2]) > numbers(offered[found[1]]):
            versions.rename(place, hashed, name.lower())
    return bytes(versions.data)


def newest(libraries: list[bytes]) -> dict[str, str]:
    """The newest version of each family that is defined in ``libraries``."""
    offered: dict[str, str] = {}
    for data in libraries:
        for name, _, _ in Versions(data).defined():
            found = _FAMILY.match(name)
            if found and numbers(found[2]) > numbers(offered.get(found[1], "0")):
                offered[found[1]] = found[2]
    return offered


def libraries_in(root: Path) -> list[Path]:
    """All shared libraries below ``root``, the loader among them."""
    files = (path for path in sorted(root.rglob("*.so*")) if path.is_file() and not path.is_symlink())
    return [path for path in files if path.read_bytes()[:4] == MAGIC]


def describe(facts: dict[str, Any], root: Path, packages: str, emulator: str) -> dict[str, Any]:
    """Mask the libraries below ``root`` where the userland is a masked one; the content of board.json.

    Raises:
        ValueError: the libraries do not have the versions that ``facts`` says.
    """
    paths = libraries_in(root)
    if facts["masked"]:
        for path in paths:
            path.write_bytes(mask(path.read_bytes(), facts["versions"]))
    offered = newest([path.read_bytes() for path in paths])
    # Of a masked one, each family must have ended exactly at its version too: else it would show less than it says.
    if offered != facts["versions"]:
        raise ValueError(f"the libraries of {facts['userland']} have {offered}, not {facts['versions']}")
    pairs = (line.partition("=") for line in packages.splitlines())
    return {**facts, "emulator": emulator, "packages": {name: version for name, _, version in pairs}}


def main() -> None:
    """See the module."""
    facts, root, packages, emulator = sys.argv[1:]
    said = json.loads(Path(facts).read_text(encoding="utf-8"))
    try:
        board = describe(said, Path(root), Path(packages).read_text(encoding="ascii"), emulator)
    except ValueError as error:
        sys.exit(f"userland.py: {error}")
    print(json.dumps(board, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
