"""How old the system's libraries may be is measured in the files, all together."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.elf.needs import Needs, measure
from tests.support.elf_maker import library, program, write

CXX = "libstdc++.so.6"


def test_the_newest_of_each_family_over_all_files(tmp_path: Path) -> None:
    older = {"libc.so.6": {"GLIBC_2.17": ["a"], "GLIBC_2.9": ["b"]}, CXX: {"GLIBCXX_3.4.9": ["c"]}}
    newer = {"libm.so.6": {"GLIBC_2.27": ["d"]}, CXX: {"GLIBCXX_3.4.22": ["e"], "CXXABI_1.3.9": ["f"]}}
    files = [
        write(tmp_path / "a", program(needed=("libc.so.6", CXX), versions=older)),
        write(tmp_path / "b", library("libb.so", needed=("libm.so.6", CXX), versions=newer)),
    ]
    found = measure(files)
    assert found.libraries == {"libc.so.6", "libm.so.6", CXX}
    assert found.versions == {"GLIBC": "2.27", "GLIBCXX": "3.4.22", "CXXABI": "1.3.9"}


@pytest.mark.parametrize(
    ("versions", "gcc"),
    [
        ({}, "5"),
        ({"GLIBCXX": "3.4.21", "CXXABI": "1.3.9"}, "5"),
        ({"GLIBCXX": "3.4.22", "CXXABI": "1.3.9"}, "6"),
        ({"GLIBCXX": "3.4.22", "CXXABI": "1.3.11"}, "7"),
        ({"GLIBCXX": "3.4.25"}, "8"),
        ({"GLIBCXX": "3.4.29"}, "11"),
    ],
)
def test_the_gcc_whose_libstdcxx_has_all_of_it(versions: dict[str, str], gcc: str) -> None:
    assert Needs(frozenset(), versions).gcc == gcc


def test_nothing_needs_nothing() -> None:
    assert measure([]) == Needs(frozenset(), {})
