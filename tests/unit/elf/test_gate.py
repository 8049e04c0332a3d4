"""The gate: what it accepts, what it refuses, and that damaged files are refused, never crashed on."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coralforge.config.arch import OLD_BOARDS, Arch, Floor
from coralforge.elf import Policy, Violation, check_tree, gate, policy_for
from coralforge.elf.contents import scan
from coralforge.elf.read import NotElf, build_id, read_elf, symbols_with
from coralforge.errors import CoralforgeError, ExitCode
from tests.support.elf_maker import (
    COMMIT,
    LOADER,
    STAMP,
    X86_64,
    Spec,
    archive,
    elf,
    good_tree,
    library,
    program,
    write,
)
from tests.support.library_maker import Symbol, make_object

BOOKWORM = Floor("2.36", "3.4.30", "1.3.13")
POLICY = policy_for(Arch.AARCH64, BOOKWORM, COMMIT, ["/home/somebody/.cache/coralforge", "/"])
NEEDS_USB = ("libusb-1.0.so.0", "libc.so.6")


def violations(root: Path, policy: Policy = POLICY) -> list[tuple[str, str]]:
    return [(v.file, v.what) for v in check_tree(root, policy)]


def only(root: Path) -> Violation:
    found = check_tree(root, POLICY)
    assert len(found) == 1, [str(v) for v in found]
    return found[0]


def usb(**changes: object) -> Callable[[Path], object]:
    return lambda root: write(root / "lib/libusb-1.0.so.0", library("libusb-1.0.so.0", **changes))


def lstpu(**changes: object) -> Callable[[Path], object]:
    return lambda root: write(root / "bin/lstpu", program(**changes))


def raw(path: str, data: bytes) -> Callable[[Path], object]:
    return lambda root: write(root / path, data)


def test_a_good_bundle_passes(tmp_path: Path) -> None:
    gate(good_tree(tmp_path), POLICY)


def test_a_good_bundle_passes_through_a_link_and_from_any_folder(tmp_path: Path) -> None:
    good_tree(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    assert violations(tmp_path / "link") == []


CASES: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "wrong machine": (usb(machine=X86_64), "lib/libusb-1.0.so.0", "machine", "EM_X86_64"),
    "not a linked file": (lstpu(kind=1), "bin/lstpu", "type", "ET_REL"),
    "not position-independent": (lstpu(kind=2), "bin/lstpu", "not-pie", "ET_EXEC"),
    "executable stack": (usb(stack=7), "lib/libusb-1.0.so.0", "executable-stack", "has an"),
    "silent about its stack": (usb(stack=None), "lib/libusb-1.0.so.0", "executable-stack", "does not say"),
    "text relocations": (usb(text_relocations=True), "lib/libusb-1.0.so.0", "text-relocations", "text relocations"),
    "not stripped": (usb(symtab=True), "lib/libusb-1.0.so.0", "not-stripped", ".symtab"),
    "absolute RUNPATH": (usb(runpath="/usr/local/lib"), "lib/libusb-1.0.so.0", "runpath", "/usr/local/lib"),
    "empty RUNPATH entry": (usb(runpath="$ORIGIN:"), "lib/libusb-1.0.so.0", "runpath", "''"),
    "RUNPATH that only looks right": (usb(runpath="$ORIGINS"), "lib/libusb-1.0.so.0", "runpath", "$ORIGINS"),
    "RUNPATH out of the bundle": (usb(runpath="$ORIGIN/../.."), "lib/libusb-1.0.so.0", "runpath", "leads out"),
    "RPATH": (usb(rpath="$ORIGIN"), "lib/libusb-1.0.so.0", "rpath", "$ORIGIN"),
    "unknown library": (usb(needed=("libudev.so.1",)), "lib/libusb-1.0.so.0", "needed", "libudev.so.1"),
    "library without RUNPATH to it": (
        raw("lib/libtensorflowlite.so", library("libtensorflowlite.so", payload=STAMP, needed=NEEDS_USB)),
        "lib/libtensorflowlite.so", "needed", "libusb-1.0.so.0",
    ),
    "build path": (usb(payload=b"\0/sources/x/core.c\0"), "lib/libusb-1.0.so.0", "build-path", "/sources/x/core.c"),
    "build path in an option": (usb(payload=b" -I/workspace/x"), "lib/libusb-1.0.so.0", "build-path", "/workspace/x"),
    "host path in a text file": (
        raw("lib/cmake/Coral/CoralConfig.cmake", b'set(X "/home/somebody/.cache/coralforge/y")'),
        "lib/cmake/Coral/CoralConfig.cmake", "build-path", "/home/somebody/.cache/coralforge/y",
    ),
    "program that is a script": (raw("bin/lstpu", b"#!/bin/sh\n"), "bin/lstpu", "malformed", "not an ELF file"),
    "library that is empty": (raw("lib/libnew.so", b""), "lib/libnew.so", "malformed", "not an ELF file"),
    "cut-off program": (raw("bin/lstpu", program()[:200]), "bin/lstpu", "malformed", "damaged"),
    "no section headers": (lstpu(section_headers=False), "bin/lstpu", "malformed", "no section headers"),
    "archive of another machine": (
        raw("lib/libflatbuffers.a", archive({"a_rather_long_name.o": elf(Spec(machine=X86_64, kind=1))})),
        "lib/libflatbuffers.a", "machine", "a_rather_long_name.o",
    ),
    "archive of bitcode": (raw("lib/libx.a", archive({"a.o": b"BC\xc0\xde"})), "lib/libx.a", "machine", "not ELF"),
    "archive of programs": (raw("lib/libx.a", archive({"a.o": elf(Spec())})), "lib/libx.a", "machine", "not reloc"),
    "visible stand-ins": (
        raw("lib/libcoralfloor.a", archive({"a.o": make_object([Symbol("h", visibility=2), Symbol("fcntl64")])})),
        "lib/libcoralfloor.a", "visible-symbol", "1 symbol(s) that are not hidden: fcntl64",
    ),
    "damaged stand-ins": (
        raw("lib/libcoralfloor.a", archive({"a.o": make_object([Symbol("f")])[:-100]})),
        "lib/libcoralfloor.a", "archive", "not a static library",
    ),
    "archive of 32 bits": (
        raw("lib/libx.a", archive({"a.o": make_object([Symbol("f")], 32)})),
        "lib/libx.a", "machine", "EM_ARM, 32-bit",
    ),
    "thin archive": (raw("lib/libflatbuffers.a", b"!<thin>\n"), "lib/libflatbuffers.a", "archive", "thin"),
    "cut-off archive": (
        raw("lib/libx.a", archive({"a.o": elf(Spec(kind=1))})[:-9]), "lib/libx.a", "archive", "cut off",
    ),
    "unversioned SONAME link missing": (
        lambda root: (root / "lib/libusb-1.0.so").unlink(),
        "lib/libusb-1.0.so.0", "soname-link", "no libusb-1.0.so beside",
    ),
    "no SONAME": (raw("lib/libx.so", elf(Spec())), "lib/libx.so", "soname", "no SONAME"),
    "SONAME with a path": (raw("lib/libx.so", library("out/libx.so")), "lib/libx.so", "soname", "out/libx.so"),
    "library under another name": (raw("lib/liby.so", library("libx.so")), "lib/liby.so", "soname-link", "libx.so"),
    "absolute link": (lambda root: (root / "lib/l").symlink_to("/usr/lib/libc.so"), "lib/l", "link", "/usr/lib"),
    "link out of the bundle": (lambda root: (root / "lib/l").symlink_to("../../x"), "lib/l", "link", "../../x"),
    "dangling link": (lambda root: (root / "lib/l").symlink_to("nothing"), "lib/l", "link", "does not exist"),
    "link to itself": (lambda root: (root / "lib/l").symlink_to("l"), "lib/l", "link", "does not exist"),
    "fifo": (lambda root: os.mkfifo(root / "share/p"), "share/p", "file-type", "neither"),
    "stamp of another commit": (
        raw("lib/libtensorflowlite.so", library("libtensorflowlite.so", payload=b"TENSORFLOW_COMMIT=a4dfb8d1\0")),
        "lib/libtensorflowlite.so", "stamp", "a4dfb8d1",
    ),
    "no stamp": (
        raw("lib/libtensorflowlite_c.so", library("libtensorflowlite_c.so")),
        "lib/libtensorflowlite_c.so", "stamp", "unknown",
    ),
}  # fmt: skip


def test_hidden_stand_ins_and_what_they_ask_for_are_fine(tmp_path: Path) -> None:
    data = make_object([Symbol("fcntl64", visibility=2), Symbol("fcntl", defined=False)])
    write(good_tree(tmp_path) / "lib/libcoralfloor.a", archive({"fcntl64.o": data}))
    assert violations(tmp_path) == []


def test_a_bundle_for_32_bits_has_objects_of_32_bits(tmp_path: Path) -> None:
    policy = policy_for(Arch.ARMV7, OLD_BOARDS, COMMIT)
    for bits in (32, 64):
        write(tmp_path / f"lib{bits}.a", archive({"a.o": make_object([Symbol("f")], bits)}))
    found = check_tree(tmp_path, replace(policy, stamped=()))
    assert [(v.file, v.what) for v in found] == [("lib64.a", "machine")]


def test_the_c_plus_plus_runtime_of_32_bit_arm_has_a_version_of_its_own(tmp_path: Path) -> None:
    versions = {"libstdc++.so.6": {"CXXABI_ARM_1.3.3": ["__cxa_end_cleanup"]}}
    write(good_tree(tmp_path) / "lib/libusb-1.0.so.0", library("libusb-1.0.so.0", versions=versions))
    assert violations(tmp_path) == []


@pytest.mark.parametrize("name", CASES)
def test_one_fault_is_named(tmp_path: Path, name: str) -> None:
    spoil, file, what, text = CASES[name]
    spoil(good_tree(tmp_path))
    found = only(tmp_path)
    assert (found.file, found.what) == (file, what)
    assert text in found.detail
    assert found.remedy


def test_a_program_with_another_loader_is_refused(tmp_path: Path) -> None:
    write(good_tree(tmp_path) / "bin/lstpu", elf(Spec(interpreter="/sources/ld.so")))
    assert violations(tmp_path) == [("bin/lstpu", "build-path"), ("bin/lstpu", "interpreter")]


@pytest.mark.parametrize("offset, value", [(4, 1), (5, 2)])
def test_other_word_size_and_byte_order_are_refused(tmp_path: Path, offset: int, value: int) -> None:
    data = bytearray(program())
    data[offset] = value
    write(good_tree(tmp_path) / "bin/lstpu", bytes(data))
    assert only(tmp_path).what in ("machine", "malformed")


def test_the_symbols_above_the_floor_are_named(tmp_path: Path) -> None:
    versions = {
        "libc.so.6": {"GLIBC_2.38": ["__isoc23_strtol", "__isoc23_strtoul"], "GLIBC_2.36": ["arc4random"]},
        "libstdc++.so.6": {"GLIBCXX_3.4.31": ["_ZSt21ios_base_library_initv"], "GLIBCXX_3.4.9": ["_ZNSo9_M_insert"]},
    }
    usb(versions=versions)(good_tree(tmp_path))
    first, second = check_tree(tmp_path, POLICY)
    assert "GLIBCXX_3.4.31 of libstdc++.so.6 for _ZSt21ios_base_library_initv" in first.detail
    assert (
        "GLIBC_2.38 of libc.so.6 for __isoc23_strtol, __isoc23_strtoul; the platform has GLIBC_2.36" in second.detail
    )


@pytest.mark.parametrize(
    "version, fits",
    [
        ("GLIBC_2.36", True), ("GLIBC_2.4", True), ("GLIBC_2.37", False), ("GLIBC_10.0", False),
        ("GLIBC_PRIVATE", False),
        ("GLIBC_ABI_DT_RELR", True), ("GLIBC_ABI_GNU2_TLS", False), ("GLIBCXX_3.4", True), ("CXXABI_1.3.13", True),
        ("CXXABI_1.3.14", False), ("CXXABI_FLOAT128", True), ("GCC_13.0.0", True), ("LIBUSB_1.0", True),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(tmp_path: Path, version: str, fits: bool) -> None:
    usb(versions={"libc.so.6": {version: ["f"]}})(good_tree(tmp_path))
    assert violations(tmp_path) == ([] if fits else [("lib/libusb-1.0.so.0", "symbol-version")])


def test_a_library_is_found_from_every_folder_it_is_linked_into(tmp_path: Path) -> None:
    """Loaded as lib/libedgetpu.so.1, $ORIGIN is lib/, not lib/direct/ where the file is."""
    root = good_tree(tmp_path)
    edgetpu = library("libedgetpu.so.1", payload=STAMP, needed=NEEDS_USB, runpath="$ORIGIN/..")
    write(root / "lib/direct/libedgetpu.so.1.0", edgetpu)
    found = only(root)
    assert "needs libusb-1.0.so.0 when it is loaded from lib/" in found.detail
    assert "lib/libusb-1.0.so.0" in found.remedy


def test_a_needed_file_that_is_another_library_is_refused(tmp_path: Path) -> None:
    root = good_tree(tmp_path)
    (root / "lib/libz.so.1").symlink_to("libusb-1.0.so.0")
    lstpu(needed=("libz.so.1",))(root)
    assert "has the SONAME libusb-1.0.so.0" in only(root).detail


def test_a_needed_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    root = good_tree(tmp_path)
    write(root / "lib/libz", b"text")
    lstpu(needed=("libz",))(root)
    assert "not a library of the bundle" in only(root).detail


def test_a_library_that_is_missing_altogether_has_no_stamp(tmp_path: Path) -> None:
    write(tmp_path / "bin/benchmark", program())
    assert violations(tmp_path) == [("libedgetpu.so*", "stamp"), ("libtensorflowlite*.so*", "stamp")]


def test_every_violation_is_in_one_error(tmp_path: Path) -> None:
    root = good_tree(tmp_path)
    usb(stack=7)(root)
    lstpu(kind=2)(root)
    with pytest.raises(CoralforgeError) as caught:
        gate(root, POLICY)
    assert (caught.value.reason, caught.value.code) == ("gate", ExitCode.GATE)
    assert "bin/lstpu" in caught.value.brief
    assert len(caught.value.details.splitlines()) == 2


def test_nothing_to_check_is_not_a_pass(tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError, match="nothing to check"):
        gate(tmp_path, POLICY)


def test_x86_64_has_its_own_machine_and_loader(tmp_path: Path) -> None:
    policy = policy_for(Arch.X86_64, BOOKWORM, COMMIT)
    kinds = {what for _, what in violations(good_tree(tmp_path), policy)}
    assert kinds == {"machine", "interpreter", "needed"}
    assert policy.interpreter == "/lib64/ld-linux-x86-64.so.2"


@pytest.mark.parametrize(
    "text, found",
    [
        (b"/sources/a.c", True), (b"word\n/sources/a.c", True), (b'x="/sources/a.c"', True),
        (b"--sysroot=/opt/sysroots/x", True), (b"x -isystem/sources/a", True), (b"PATH=/usr/bin:/cache/home", True),
        (b"external/sources/a.c", False), (b"https://example.org/cache/x", False),
        (b"../out/x", False), (b"${P}/sdk/", False),
    ],
)  # fmt: skip
def test_a_path_counts_where_it_begins(tmp_path: Path, text: bytes, found: bool) -> None:
    assert bool(scan(write(tmp_path / "f", text), POLICY.forbidden).paths) is found


@pytest.mark.parametrize("distance", [0, 1, 17, 18, 40, 100, 511, 512, 513])
def test_matches_across_the_chunks_of_a_big_file_are_found_whole_and_once(tmp_path: Path, distance: int) -> None:
    text = b"\0/sources/long/path.cc\0" + STAMP
    data = b"\0" * ((4 << 20) - distance) + text
    data += b"\0" * ((8 << 20) - distance - len(data)) + text
    contents = scan(write(tmp_path / "f", data), POLICY.forbidden)
    assert contents.paths == ("/sources/long/path.cc",)
    assert contents.stamps == {COMMIT}


@settings(max_examples=150)
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12), cut=st.integers(0, 2000))
def test_a_damaged_file_never_crashes_the_gate(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(program(needed=("libedgetpu.so.1",), symtab=True, build_id=bytes(20)))
    for offset, value in changes:
        data[offset % len(data)] = value
    path = write(tmp_path_factory.getbasetemp() / "fuzz/bin/program", bytes(data[: len(data) - cut % 40]))
    check_tree(path.parent.parent, POLICY)
    with suppress(NotElf):
        build_id(path)


def test_a_build_id_is_read_where_there_is_one(tmp_path: Path) -> None:
    assert build_id(write(tmp_path / "with", program(build_id=bytes(range(20))))) == bytes(range(20)).hex()
    assert build_id(write(tmp_path / "without", program())) is None


@settings(max_examples=100)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    write(folder / "libx.a", b"!<arch>\n" + data)
    write(folder / "libx.so", b"\x7fELF\x02\x01\x01" + data)
    check_tree(folder, POLICY)


@pytest.mark.parametrize("kind", [0x6FFFFFFE, 0x6FFFFFFF])
def test_absurd_counts_end_at_once(tmp_path: Path, kind: int) -> None:
    """A version table of four thousand million entries must not be walked."""
    data = bytearray(program())
    start = int.from_bytes(data[40:48], "little")
    for number in range(int.from_bytes(data[60:62], "little")):
        at = start + 64 * number
        if int.from_bytes(data[at + 4 : at + 8], "little") == kind:
            data[at + 32 : at + 40] = b"\xff" * 7 + b"\x0f"
            data[at + 44 : at + 48] = b"\xff" * 4
    path = write(tmp_path / "f", bytes(data))
    with pytest.raises(NotElf):
        read_elf(path)
        symbols_with(path, 2)


def test_the_loader_of_the_fixture_is_the_platforms() -> None:
    assert POLICY.interpreter == LOADER
