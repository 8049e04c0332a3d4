"""A sysroot that is not laid out as floor.py knows it is refused: what it skipped would have no floor."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from coralforge.config.arch import BULLSEYE, NAMED_VERSIONS, OLD_BOARDS
from tests.support.builder_programs import load
from tests.support.library_maker import Symbol, make_library

load("symbol_floor")
floor, sysroots = load("floor"), load("sysroots")
TRIPLE = "aarch64-linux-gnu"
CONFIG = f"usr/include/{TRIPLE}/c++/10/bits/c++config.h"
LIBSTDCXX = f"usr/lib/gcc/{TRIPLE}/10/libstdc++.so"
LIBC = f"usr/lib/{TRIPLE}/libc.so"
CLOCKWAIT = "_GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT"
PLATFORM = {
    "name": "aarch64",
    "triple": TRIPLE,
    "flags": [],
    "loader": "/lib/ld-linux-aarch64.so.1",
    "suite": "bullseye",
    "floors": OLD_BOARDS.versions(),
    "sysroot": BULLSEYE.versions(),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The parts of a sysroot that floor.py changes."""
    root = tmp_path / TRIPLE
    for name in (CONFIG, LIBSTDCXX, LIBC):
        (root / name).parent.mkdir(parents=True)
    (root / CONFIG).write_text(f"#define {CLOCKWAIT} 1\n#define _GLIBCXX_USE_NLS 1\n")
    (root / LIBSTDCXX).symlink_to(f"../../../{TRIPLE}/libx.so.6")
    (root / LIBC).write_text("GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( ld-linux-aarch64.so.1 ) )\n")
    (root / f"usr/lib/{TRIPLE}/libx.so.6").write_bytes(
        make_library([Symbol("a", "GLIBC_2.31"), Symbol("b", "GLIBCXX_3.4.28"), Symbol("c", "CXXABI_1.3.12")])
    )
    return root


def test_whoever_links_libc_or_libstdcxx_gets_the_stand_ins(root: Path) -> None:
    floor.write_scripts(TRIPLE, root)
    archive = f"/usr/lib/{TRIPLE}/libcoralfloor.a"
    assert (root / LIBSTDCXX).read_text() == f"GROUP ( /usr/lib/{TRIPLE}/libstdc++.so.6 {archive} )\n"
    assert f"libc_nonshared.a {archive} AS_NEEDED" in (root / LIBC).read_text()


@pytest.mark.parametrize("missing", [LIBSTDCXX, LIBC])
def test_a_missing_linker_script_is_an_error_that_names_it(root: Path, missing: str) -> None:
    (root / missing).unlink()
    with pytest.raises(ValueError, match=Path(missing).name.replace("+", r"\+")):
        floor.write_scripts(TRIPLE, root)


def test_gccs_folder_under_another_name_is_an_error(root: Path) -> None:
    """As on i386: the triple is i386-linux-gnu, and gcc's folder i686-linux-gnu."""
    (root / f"usr/lib/gcc/{TRIPLE}").rename(root / "usr/lib/gcc/arm64-linux-gnu")
    with pytest.raises(ValueError, match=f"there is no usr/lib/gcc/{TRIPLE}/"):
        floor.write_scripts(TRIPLE, root)


def test_the_headers_stop_using_what_is_above_the_floor(root: Path) -> None:
    floor.lower_headers(root, (2, 27))
    assert (root / CONFIG).read_text() == f"/* {CLOCKWAIT}: glibc 2.30 */\n#define _GLIBCXX_USE_NLS 1\n"


def test_headers_in_another_place_are_an_error(root: Path) -> None:
    (root / CONFIG).unlink()
    with pytest.raises(ValueError, match=r"there is no .*c\+\+config\.h"):
        floor.lower_headers(root, (2, 27))


def test_a_header_that_says_it_in_other_words_is_an_error(root: Path) -> None:
    (root / CONFIG).write_text(f"# define {CLOCKWAIT} true\n")
    with pytest.raises(ValueError, match=f"still defines {CLOCKWAIT}"):
        floor.lower_headers(root, (2, 27))
    floor.lower_headers(root, (2, 30))


def test_a_sysroot_without_libraries_is_an_error(root: Path) -> None:
    (root / f"usr/lib/{TRIPLE}/libx.so.6").unlink()
    with pytest.raises(ValueError, match="no shared library"):
        floor.set_floor(PLATFORM, NAMED_VERSIONS, root, root.parent)


def test_a_library_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "usr/lib/libbroken.so").write_bytes(b"\x7fELF\x02\x02" + b"\0" * 60)
    with pytest.raises(ValueError, match=r"libbroken\.so: not a little-endian ELF"):
        floor.set_floor(PLATFORM, NAMED_VERSIONS, root, root.parent)


def test_a_sysroot_without_a_family_of_versions_is_another_than_the_known_one(root: Path) -> None:
    (root / f"usr/lib/{TRIPLE}/libx.so.6").write_bytes(make_library([Symbol("a", "GLIBC_2.31")]))
    with pytest.raises(ValueError, match=r"'GLIBCXX': \(\)"):
        floor.set_floor(PLATFORM, NAMED_VERSIONS, root, root.parent)


def test_no_sources_of_stand_ins_are_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no"):
        floor.make_archive(PLATFORM, tmp_path, root)


def test_no_packages_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no packages"):
        sysroots.make([], tmp_path / "root")


def test_the_program_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    request = tmp_path / "platforms.json"
    request.write_text(json.dumps({"platforms": [PLATFORM], "named_versions": {}}))
    monkeypatch.setattr(sys, "argv", ["floor.py", str(request), str(tmp_path), str(tmp_path / "absent")])
    with pytest.raises(SystemExit) as ended:
        floor.main()
    assert str(ended.value).startswith("floor.py: aarch64: there is no shared library")
    assert "\n" not in str(ended.value)
