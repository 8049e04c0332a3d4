"""A sysroot's libraries lose the symbol versions above the floor, and nothing else."""

from __future__ import annotations

import pytest

from coralforge.config.arch import NAMED_VERSIONS, OLD_BOARDS
from tests.support.builder_programs import load
from tests.support.library_maker import Symbol, linkable, make_library, missed

lower = load("symbol_floor").lower
FLOOR = load("floor").Floor(OLD_BOARDS.versions(), NAMED_VERSIONS)
SAME = frozenset(("exp",))
LIBM = (
    Symbol("sin", "GLIBC_2.17"),
    Symbol("exp", "GLIBC_2.17", default=False),
    Symbol("exp", "GLIBC_2.29"),
    Symbol("totalorder", "GLIBC_2.25", default=False),
    Symbol("totalorder", "GLIBC_2.31"),
    Symbol("fadd", "GLIBC_2.28"),
    Symbol("__secret", "GLIBC_PRIVATE"),
    Symbol("malloc", defined=False),
)


@pytest.fixture(params=[32, 64])
def bits(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_the_maker_makes_what_a_linker_reads(bits: int) -> None:
    assert linkable(make_library(LIBM, bits)) == {
        "sin": "GLIBC_2.17", "exp": "GLIBC_2.29", "totalorder": "GLIBC_2.31", "fadd": "GLIBC_2.28",
        "__secret": "GLIBC_PRIVATE",
    }  # fmt: skip
    assert missed(make_library(LIBM, bits)) == ["malloc"]


def test_what_is_above_the_floor_is_gone_and_an_older_version_takes_the_name(bits: int) -> None:
    lowered = lower(make_library(LIBM, bits), FLOOR.rank, SAME)
    assert linkable(lowered.data) == {"sin": "GLIBC_2.17", "exp": "GLIBC_2.17"}
    assert lowered.older == {"exp": "GLIBC_2.17"}
    assert lowered.gone == {"totalorder": "GLIBC_2.31", "fadd": "GLIBC_2.28", "__secret": "GLIBC_PRIVATE"}
    assert "GLIBC_2.31" in lowered.versions


def test_an_older_version_that_means_something_else_is_not_taken(bits: int) -> None:
    """totalorder(double, double) became totalorder(const double*, const double*): the header has the new one only."""
    lowered = lower(make_library(LIBM, bits), FLOOR.rank, SAME)
    assert "totalorder" not in linkable(lowered.data)
    everything = lower(make_library(LIBM, bits), FLOOR.rank, frozenset(("totalorder",)))
    assert linkable(everything.data)["totalorder"] == "GLIBC_2.25"


def test_nothing_is_asked_of_other_libraries_which_have_lost_symbols_too(bits: int) -> None:
    assert missed(lower(make_library(LIBM, bits), FLOOR.rank, SAME).data) == []


def test_a_library_at_the_floor_stays_as_it_is(bits: int) -> None:
    library = make_library([Symbol("sin", "GLIBC_2.17"), Symbol("f", "GCC_7.0.0"), Symbol("plain")], bits)
    assert lower(library, FLOOR.rank, SAME).data == library


def test_a_version_that_only_old_programs_find_does_not_become_the_default(bits: int) -> None:
    library = make_library([Symbol("gets", "GLIBC_2.4", default=False), Symbol("exp", "GLIBC_2.17")], bits)
    assert linkable(lower(library, FLOOR.rank, frozenset(("gets",))).data) == {"exp": "GLIBC_2.17"}


@pytest.mark.parametrize(
    ("version", "allowed"),
    [
        ("GLIBC_2.27", True), ("GLIBC_2.28", False), ("GLIBC_2.4", True), ("GLIBC_PRIVATE", False),
        ("GLIBCXX_3.4.25", True), ("GLIBCXX_3.4.26", False), ("CXXABI_1.3.11", True), ("CXXABI_1.3.12", False),
        ("CXXABI_TM_1", True), ("CXXABI_ARM_1.3.3", True), ("CXXABI_FLOAT128", True), ("GLIBC_ABI_DT_RELR", False),
        ("GCC_12.0.0", True), ("LIBUSB_1.0", True),
    ],
)  # fmt: skip
def test_which_versions_are_allowed(version: str, allowed: bool) -> None:
    assert (FLOOR.rank(version) is not None) == allowed


@pytest.mark.parametrize("data", [b"", b"GROUP ( libc.so.6 )", b"\x7fELF\x02\x02" + b"\0" * 60])
def test_what_is_no_library_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="ELF"):
        lower(data, FLOOR.rank, SAME)
