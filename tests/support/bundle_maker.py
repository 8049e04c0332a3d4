"""Makes the inputs of a bundle from tiny files: an SDK, programs, templates, a sample and sources."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from coralforge.bundle.describe import BundleInputs, SampleFiles
from coralforge.config.base import Arch, Place, Variant
from coralforge.config.pipeline import Platform, Source
from coralforge.sources.archive import Tree
from coralforge.templates import File
from tests.support.elf_maker import COMMIT, STAMP, Spec, archive, elf, library, program, write

SMOKE = b"#!/bin/sh\nexit 0\n"


def make_sdk(root: Path, variants: tuple[Variant, ...]) -> Path:
    """What scripts/build-sdk leaves, as far as a bundle takes from it; files have Bazel's modes."""
    write(root / "lib/libtensorflowlite.so", library("libtensorflowlite.so", payload=STAMP))
    write(root / "lib/libtensorflowlite_c.so", library("libtensorflowlite_c.so", payload=STAMP))
    write(root / "lib/libusb-1.0.so.0", library("libusb-1.0.so.0"))
    (root / "lib/libusb-1.0.so").symlink_to("libusb-1.0.so.0")
    write(root / "lib/libflatbuffers.a", archive({"util.o": elf(Spec(kind=1))}))
    for variant in variants:
        folder = root / "lib" / variant.value
        data = library("libedgetpu.so.1", payload=STAMP + variant.value.encode(), runpath="$ORIGIN:$ORIGIN/..")
        write(folder / "libedgetpu.so.1.0", data)
        (folder / "libedgetpu.so.1").symlink_to("libedgetpu.so.1.0")
        (folder / "libedgetpu.so").symlink_to("libedgetpu.so.1")
    write(root / "include/tensorflow/lite/interpreter.h", b"#pragma once\n")
    write(root / "include/edgetpu_c.h", b"#pragma once\n")
    write(root / "host/flatc", b"not for the bundle")
    write(root / "toolchain.json", b'{"digest": "d1", "clang": "21.1.8"}')
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o555)
    return root


def make_tree(root: Path, name: str, prebuilt: bool = False, pinned: bool = True) -> Tree:
    """An unpacked source with its licence text."""
    licence = "usr/share/doc/lib-dev/copyright" if prebuilt else "LICENSE"
    write(root / name / licence, f"licence of {name}\n".encode())
    place = Place(url=f"https://example.org/{name}.tar.gz", sha256="0" * 64)
    source = Source(version="1.0", commit=COMMIT, licence="Apache-2.0", places=[place])
    note = "static libraries from Debian" if prebuilt else ""
    return Tree(name, root / name, "sha256:" + "0" * 64, place.address, pinned, prebuilt, note, source)


def make_inputs(root: Path, variants: tuple[Variant, ...] = (Variant.SIMULATED, Variant.DIRECT)) -> BundleInputs:
    """Complete inputs below ``root``; gate and manifest accept the bundle that they give."""
    programs = root / "programs"
    for name in ("lstpu", "model", "benchmark"):
        write(programs / "bin" / name, program(needed=("libedgetpu.so.1", "libtensorflowlite.so", "libc.so.6")))
    sample = SampleFiles(
        name="stripes",
        licence="Apache-2.0",
        model=write(root / "sample/m.tflite", b"model"),
        labels=write(root / "sample/l.txt", b"a\nb\nEgyptian cat\n"),
        image=write(root / "sample/i.bmp", b"BM"),
        expected=2,
        generated=True,
    )
    return BundleInputs(
        release="2.14.1",
        tensorflow_commit=COMMIT,
        arch=Arch.AARCH64,
        platform=Platform(),
        variants=variants,
        sdk=make_sdk(root / "sdk", (*variants, Variant.THROTTLED)),
        programs=programs,
        templates={
            PurePosixPath("smoke.sh"): File(SMOKE, True),
            PurePosixPath("lib/cmake/Coral/CoralConfig.cmake"): File(b"# package\n"),
        },
        trees=(
            make_tree(root / "trees", "tensorflow"),
            make_tree(root / "trees", "ruy", prebuilt=True),
            make_tree(root / "trees", "libedgetpu", pinned=False),
        ),
        sample=sample,
        licence=write(root / "LICENSE", b"Apache\n"),
    )
