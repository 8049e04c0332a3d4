"""Reads what the gate wants to know of one ELF file, by pyelftools, from bytes that may be anything.

pyelftools trusts counts and offsets, so a damaged file can raise any exception or loop for hours. Every count is
checked before it is used, and whatever still goes wrong becomes :class:`NotElf`.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment, NoteSegment

MAGIC = b"\x7fELF"
MAX_BYTES = 1 << 30
MAX_ITEMS = 4096  # sections, segments, dynamic tags, versions: real libraries have tens
MAX_SYMBOLS = 1 << 20
_DF_TEXTREL = 4
_PF_X = 1
T = TypeVar("T")


class NotElf(Exception):
    """The file is not a well-formed ELF file; the text says why."""


@dataclass(frozen=True)
class Need:
    """A symbol version that the file takes from a library."""

    library: str
    version: str
    index: int


@dataclass(frozen=True)
class Elf:
    """One ELF file as the dynamic loader sees it. ``executable_stack`` is None when it does not say."""

    bits: int
    little_endian: bool
    machine: str
    kind: str
    interpreter: str | None
    soname: str | None
    needed: tuple[str, ...]
    runpath: tuple[str, ...]
    rpath: tuple[str, ...]
    needs: tuple[Need, ...]
    text_relocations: bool
    executable_stack: bool | None
    debug_sections: tuple[str, ...]


def is_elf(path: Path) -> bool:
    """Whether the file begins as an ELF file does."""
    with path.open("rb") as stream:
        return stream.read(4) == MAGIC


def read_elf(path: Path) -> Elf:
    """Read one ELF file. Raises NotElf for anything malformed, OSError when it cannot be read."""
    return _guarded(path, _facts)


def symbols_with(path: Path, index: int) -> list[str]:
    """Names of the undefined dynamic symbols that use version ``index`` of the file; sorted. Raises as read_elf."""
    return _guarded(path, lambda elf: _symbols(elf, index))


def build_id(path: Path) -> str | None:
    """The file's build id in hexadecimal digits, as debuggers look for its symbols by. Raises as read_elf."""
    return _guarded(path, _build_id)


def visible_symbols(data: bytes) -> list[str]:
    """Names of what an object file defines for others and does not hide. Raises NotElf for anything malformed."""
    return _read(io.BytesIO(data), _visible)


def _guarded(path: Path, read: Callable[[ELFFile], T]) -> T:
    if path.stat().st_size > MAX_BYTES:
        raise NotElf(f"larger than {MAX_BYTES >> 20} MiB")
    with path.open("rb") as stream:
        return _read(stream, read)


def _read(stream: BinaryIO, read: Callable[[ELFFile], T]) -> T:
    try:
        elf = ELFFile(stream)
        _bounded(elf)
        return read(elf)
    except NotElf:
        raise
    # pyelftools raises whatever its parsing stumbles over (KeyError, AssertionError, OverflowError, ...), and
    # a seek to an absurd offset is an OSError too: only a disk that cannot be read is not the file's fault.
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            raise
        raise NotElf(f"{type(error).__name__}: {str(error)[:120]}") from error


def _bounded(elf: ELFFile) -> None:
    if elf.num_sections() > MAX_ITEMS or elf.num_segments() > MAX_ITEMS:
        raise NotElf("too many sections or segments")
    if elf.num_sections() == 0:
        raise NotElf("no section headers")


def _facts(elf: ELFFile) -> Elf:
    interpreter, stack = None, None
    tags: list[DynamicTag] = []
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        elif isinstance(segment, DynamicSegment):
            tags = _limited(segment.iter_tags(), "dynamic tags")
        elif segment["p_type"] == "PT_GNU_STACK":
            stack = bool(segment["p_flags"] & _PF_X)
    sonames = _strings(tags, "DT_SONAME")
    return Elf(
        bits=elf.elfclass,
        little_endian=elf.little_endian,
        machine=str(elf["e_machine"]),
        kind=str(elf["e_type"]),
        interpreter=interpreter,
        soname=sonames[0] if sonames else None,
        needed=tuple(_strings(tags, "DT_NEEDED")),
        runpath=tuple(part for text in _strings(tags, "DT_RUNPATH") for part in text.split(":")),
        rpath=tuple(part for text in _strings(tags, "DT_RPATH") for part in text.split(":")),
        needs=tuple(_needs(elf)),
        text_relocations=any(_relocates_text(tag) for tag in tags),
        executable_stack=stack,
        debug_sections=tuple(
            section.name
            for section in elf.iter_sections()
            if section["sh_type"] == "SHT_SYMTAB" or section.name.startswith((".debug_", ".zdebug_"))
        ),
    )


def _strings(tags: list[DynamicTag], name: str) -> list[str]:
    # pyelftools puts the string of DT_SONAME into the attribute soname, and so on.
    return [str(getattr(tag, name[3:].lower())) for tag in tags if tag["d_tag"] == name]


def _relocates_text(tag: DynamicTag) -> bool:
    return bool(tag["d_tag"] == "DT_TEXTREL" or (tag["d_tag"] == "DT_FLAGS" and tag["d_val"] & _DF_TEXTREL))


def _needs(elf: ELFFile) -> Iterator[Need]:
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            pairs = (
                Need(str(library.name), str(version.name), version["vna_other"] & 0x7FFF)
                for library, versions in section.iter_versions()
                for version in versions
            )
            yield from _limited(pairs, "symbol versions")


def _symbols(elf: ELFFile, index: int) -> list[str]:
    names = set()
    for section in elf.iter_sections():
        if not isinstance(section, GNUVerSymSection):
            continue
        if section["sh_entsize"] != 2 or section.num_symbols() > MAX_SYMBOLS:
            raise NotElf(".gnu.version is malformed")
        for number in range(section.num_symbols()):
            ndx = section.get_symbol(number)["ndx"]
            # pyelftools names 0 and 1 (VER_NDX_LOCAL, VER_NDX_GLOBAL); bit 15 is "hidden".
            if isinstance(ndx, int) and ndx & 0x7FFF == index:
                names.add(section.get_symbol(number).name)
    return sorted(names)


def _visible(elf: ELFFile) -> list[str]:
    names = []
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        if section.num_symbols() > MAX_SYMBOLS:
            raise NotElf(f"more than {MAX_SYMBOLS} symbols")
        for symbol in section.iter_symbols():
            shared = symbol["st_info"]["bind"] != "STB_LOCAL" and symbol["st_shndx"] != "SHN_UNDEF"
            if shared and symbol["st_other"]["visibility"] not in ("STV_HIDDEN", "STV_INTERNAL"):
                names.append(str(symbol.name))
    return names


def _build_id(elf: ELFFile) -> str | None:
    for segment in elf.iter_segments():
        if isinstance(segment, NoteSegment):
            for note in _limited(segment.iter_notes(), "notes"):
                if note["n_type"] == "NT_GNU_BUILD_ID" and note["n_name"] == "GNU":
                    return str(note["n_desc"])
    return None


def _limited(items: Iterable[T], what: str) -> list[T]:
    """The items as a list. Raises NotElf when there are more than any real file has."""
    found = list(islice(items, MAX_ITEMS + 1))
    if len(found) > MAX_ITEMS:
        raise NotElf(f"too many {what}")
    return found
