"""The board's libraries: masked where the userland is older than any suite has, and measured in any case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coralforge.config.arch import OLD_BOARDS
from tests.support.builder_programs import load
from tests.support.library_maker import Named, Symbol, make_library, version_names

userland = load("userland", "board")
OFFERED = OLD_BOARDS.versions()
LIBC = (
    Symbol("malloc", "GLIBC_2.17"),
    Symbol("copy_file_range", "GLIBC_2.27"),
    Symbol("fcntl64", "GLIBC_2.28"),
    Symbol("gettid", "GLIBC_2.30"),
    Symbol("__secret", "GLIBC_PRIVATE"),
)
LIBSTDCXX = (
    Symbol("terminate", "GLIBCXX_3.4"),
    Symbol("once", "GLIBCXX_3.4.9"),
    Symbol("to_chars", "GLIBCXX_3.4.25"),
    Symbol("stringstream", "GLIBCXX_3.4.26"),
    Symbol("throw", "CXXABI_1.3.11"),
    Symbol("new_rtti", "CXXABI_1.3.12"),
    Symbol("transaction", "CXXABI_TM_1"),
)


@pytest.fixture(params=[32, 64])
def bits(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def facts(root: Path, masked: str = "", **versions: str) -> dict[str, Any]:
    """A userland of two libraries below ``root``, and what is said of it."""
    (root / "lib").mkdir()
    (root / "lib/libc.so.6").write_bytes(make_library(LIBC))
    (root / "lib/libstdc++.so.6.0.28").write_bytes(make_library(LIBSTDCXX, needs=["GLIBC_2.30"]))
    (root / "lib/libstdc++.so.6").symlink_to("libstdc++.so.6.0.28")
    (root / "lib/libstdc++.so.6.0.28-gdb.py").write_text("import gdb\n")
    return {"userland": "test", "versions": {**OFFERED, **versions}, "masked": masked}


def test_the_makers_hash_is_the_loaders() -> None:
    assert version_names(make_library([Symbol("f", "GLIBC_2.17")])) == ([Named("GLIBC_2.17", sound=True)], [])


@pytest.mark.parametrize(
    ("name", "value"), [("GLIBC_2.2.5", 0x09691A75), ("GLIBC_2.17", 0x06969197), ("GLIBC_2.34", 0x069691B4)]
)
def test_the_hash_is_the_one_in_real_binaries(name: str, value: int) -> None:
    assert userland.elf_hash(name) == value


def test_what_is_above_is_spelled_as_nobody_asks_for_it(bits: int) -> None:
    defined, needed = version_names(userland.mask(make_library(LIBC, bits), OFFERED))
    assert [one.name for one in defined] == [
        "GLIBC_2.17", "GLIBC_2.27", "glibc_2.28", "glibc_2.30", "GLIBC_PRIVATE",
    ]  # fmt: skip
    assert all(one.sound for one in defined), "a hash that is not its name's is a version that nobody finds"
    assert needed == []


def test_each_family_has_its_own_end(bits: int) -> None:
    defined, _ = version_names(userland.mask(make_library(LIBSTDCXX, bits), OFFERED))
    assert [one.name for one in defined] == [
        "GLIBCXX_3.4", "GLIBCXX_3.4.9", "GLIBCXX_3.4.25", "glibcxx_3.4.26",
        "CXXABI_1.3.11", "cxxabi_1.3.12", "CXXABI_TM_1",
    ]  # fmt: skip


def test_what_the_userlands_own_libraries_need_keeps_its_partner(bits: int) -> None:
    """libpthread defines GLIBC_2.30, needs libc's, and has one string for both."""
    library = make_library(
        [Symbol("clockwait", "GLIBC_2.30")], bits, needs=["GLIBC_2.17", "GLIBC_2.30", "GLIBC_2.31"]
    )
    defined, needed = version_names(userland.mask(library, OFFERED))
    assert [one.name for one in defined] == ["glibc_2.30"]
    assert [one.name for one in needed] == ["GLIBC_2.17", "glibc_2.30", "glibc_2.31"]
    assert all(one.sound for one in (*defined, *needed))


def test_nothing_but_names_and_hashes_changes(bits: int) -> None:
    library = make_library(LIBC, bits)
    masked = userland.mask(library, OFFERED)
    assert len(masked) == len(library)
    assert sum(a != b for a, b in zip(library, masked, strict=True)) <= 2 * (len("GLIBC") + 4)
    assert userland.mask(masked, OFFERED) == masked
    assert userland.mask(library, {**OFFERED, "GLIBC": "2.30"}) == library


def test_a_masked_userland_offers_what_it_says(tmp_path: Path) -> None:
    said = userland.describe(facts(tmp_path, masked="not the real one"), tmp_path, "libc6=2.31-13\n", "qemu 11")
    assert said["packages"] == {"libc6": "2.31-13"}
    assert (said["emulator"], said["masked"], said["versions"]) == ("qemu 11", "not the real one", OFFERED)
    defined, needed = version_names((tmp_path / "lib/libstdc++.so.6").read_bytes())
    assert "GLIBCXX_3.4.26" not in [one.name for one in defined]
    assert needed == [Named("glibc_2.30", sound=True)]


def test_the_libraries_of_a_suite_stay_as_they_are(tmp_path: Path) -> None:
    said = facts(tmp_path, GLIBC="2.30", GLIBCXX="3.4.26", CXXABI="1.3.12")
    before = (tmp_path / "lib/libc.so.6").read_bytes()
    assert userland.describe(said, tmp_path, "", "")["versions"]["GLIBC"] == "2.30"
    assert (tmp_path / "lib/libc.so.6").read_bytes() == before


@pytest.mark.parametrize(("masked", "versions"), [("", {}), ("", {"GLIBC": "2.36"}), ("x", {"GLIBCXX": "3.4.24"})])
def test_other_versions_than_are_said_are_an_error(tmp_path: Path, masked: str, versions: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"the libraries of test have .*'GLIBC': '2\.\d+'"):
        userland.describe(facts(tmp_path, masked, **versions), tmp_path, "", "")


@pytest.mark.parametrize("data", [b"", b"GROUP ( libc.so.6 )", b"\x7fELF\x02\x02" + b"\0" * 60])
def test_what_is_no_library_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="ELF"):
        userland.mask(data, OFFERED)
