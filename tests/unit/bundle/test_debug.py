"""The debug symbols of a bundle: all of its programs and libraries have theirs, by build id."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from coralforge.bundle.debug import assemble_debug
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.templates import File
from tests.support.elf_maker import library, program, write

TEXTS = {PurePosixPath("README.md"): File(b"how to use them\n")}
ONE, TWO = bytes(range(20)), bytes(range(1, 21))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A program and a library, each with a build id, and a file that is neither."""
    root = tmp_path / "bundle"
    write(root / "bin/model", program(build_id=ONE))
    write(root / "lib/direct/libedgetpu.so.1.0", library("libedgetpu.so.1", build_id=TWO))
    (root / "lib/libedgetpu.so.1").symlink_to("direct/libedgetpu.so.1.0")
    write(root / "smoke.sh", b"#!/bin/sh\n")
    (tmp_path / "bundle-debug").mkdir()
    return root


def symbols(root: Path, *ids: bytes) -> Path:
    for one in ids:
        write(root / ".build-id" / one.hex()[:2] / f"{one.hex()[2:]}.debug", one)
    return root


def test_each_has_its_symbols_where_debuggers_look(bundle: Path, tmp_path: Path) -> None:
    made = symbols(tmp_path / "libraries", TWO, bytes(20)), symbols(tmp_path / "programs", ONE)
    destination = tmp_path / "bundle-debug"
    assemble_debug(bundle, made, TEXTS, destination)
    files = {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}
    assert files == {f".build-id/{one.hex()[:2]}/{one.hex()[2:]}.debug" for one in (ONE, TWO)} | {"README.md"}
    assert (destination / "README.md").read_bytes() == b"how to use them\n"


def test_one_without_symbols_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError, match="no debug symbols of bin/model") as caught:
        assemble_debug(bundle, [symbols(tmp_path / "libraries", TWO)], TEXTS, tmp_path / "bundle-debug")
    assert (caught.value.reason, caught.value.code) == ("debug-missing", ExitCode.GATE)
    assert caught.value.details == f"bin/model: .build-id/{ONE.hex()[:2]}/{ONE.hex()[2:]}.debug"


def test_one_without_a_build_id_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    write(bundle / "bin/model", program())
    with pytest.raises(CoralforgeError) as caught:
        assemble_debug(bundle, [symbols(tmp_path / "libraries", TWO)], TEXTS, tmp_path / "bundle-debug")
    assert caught.value.details == "bin/model: it has no build id"


def test_equal_files_share_their_symbols(bundle: Path, tmp_path: Path) -> None:
    write(bundle / "bin/again", program(build_id=ONE))
    assemble_debug(bundle, [symbols(tmp_path / "made", ONE, TWO)], TEXTS, tmp_path / "bundle-debug")
    assert len(list((tmp_path / "bundle-debug").rglob("*.debug"))) == 2
