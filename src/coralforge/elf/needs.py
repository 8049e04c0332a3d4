"""Measures what files need of the system: its libraries, and how old those may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coralforge.elf.read import read_elf
from coralforge.elf.rules import numbers_of

# The release of GCC that brought a version of its libstdc++ (its manual, "ABI Policy and Guidelines"). What is older
# than the first of a family is older than every board.
GCC = {
    "GLIBCXX": (
        ("3.4.22", "6"),
        ("3.4.23", "7"),
        ("3.4.25", "8"),
        ("3.4.26", "9"),
        ("3.4.29", "11"),
        ("3.4.30", "12"),
    ),
    "CXXABI": (("1.3.10", "6"), ("1.3.11", "7"), ("1.3.12", "9"), ("1.3.13", "11")),
}
OLDEST_GCC = "5"


@dataclass(frozen=True)
class Needs:
    """The needs of some files, all together."""

    libraries: frozenset[str]
    """Names of shared libraries."""
    versions: Mapping[str, str]
    """By family of symbol versions (GLIBC, GLIBCXX, CXXABI, ...), the newest that is needed."""

    @property
    def gcc(self) -> str:
        """The first release of GCC whose libstdc++ has all of it."""
        needed = {OLDEST_GCC}
        for family, steps in GCC.items():
            if family in self.versions:
                newest = _numbers(self.versions[family])
                needed |= {gcc for version, gcc in steps if _numbers(version) <= newest}
        return max(needed, key=int)


def measure(files: Iterable[Path]) -> Needs:
    """The needs of programs and shared libraries. Raises NotElf or OSError, as ``read_elf``."""
    libraries: set[str] = set()
    versions: dict[str, str] = {}
    for file in files:
        elf = read_elf(file)
        libraries.update(elf.needed)
        for need in elf.needs:
            family, number = need.version.partition("_")[0], numbers_of(need)
            if number and number > _numbers(versions.get(family, "0")):
                versions[family] = ".".join(str(part) for part in number)
    return Needs(frozenset(libraries), versions)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
