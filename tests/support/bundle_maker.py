"""Makes the inputs of a bundle from tiny files: an SDK, programs, templates, a sample and sources."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from coralforge.bundle.describe import BundleInputs
from coralforge.bundle.manifest import ModelUsed
from coralforge.bundle.model_maker import RECORD
from coralforge.config.arch import OLD_BOARDS, Arch
from coralforge.config.base import Place, Variant
from coralforge.config.models import Target
from coralforge.config.release import Source
from coralforge.sources.records import Tree
from coralforge.templates import PROGRAMS, File
from tests.support.elf_maker import COMMIT, STAMP, Spec, archive, elf, library, program, write

SMOKE = b"#!/bin/sh\nexit 0\n"


def make_sdk(root: Path, variants: tuple[Variant, ...]) -> Path:
    """The output of scripts/build-sdk, as far as a bundle takes from it; files have Bazel's modes."""
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


def make_model(root: Path, name: str) -> Path:
    """The output of ``model_maker.make`` for the simulator, as far as a bundle uses it."""
    for file in ("model.tflite", "model_edgetpu-sim.tflite", "labels.txt", "image.bmp", "expected.json"):
        write(root / file, f"{file} of {name}\n".encode())
    write(root / RECORD, simulated(name).model_dump_json().encode())
    return root


def simulated(name: str) -> ModelUsed:
    """The record of a model that is compiled for the simulator."""
    return ModelUsed(
        name=name,
        licence="Apache-2.0",
        source="m.tflite",
        quantized=False,
        random_samples=False,
        agreement=None,
        target=Target.SIMULATOR,
        compiler="SIMULATED",
        operations=1,
        mapped=1,
        min_runtime=None,
        checked=True,
    )


def make_inputs(root: Path, variants: tuple[Variant, ...] = (Variant.SIMULATED, Variant.DIRECT)) -> BundleInputs:
    """Complete inputs below ``root``; gate and manifest accept the bundle that they give."""
    programs = root / "programs"
    for name in PROGRAMS:
        write(programs / "bin" / name, program(needed=("libedgetpu.so.1", "libtensorflowlite.so", "libc.so.6")))
    return BundleInputs(
        release="2.14.1",
        tensorflow_commit=COMMIT,
        arch=Arch.AARCH64,
        floor=OLD_BOARDS,
        variants=variants,
        sdk=make_sdk(root / "sdk", tuple(dict.fromkeys((*variants, Variant.THROTTLED)))),
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
        sample=make_model(root / "sample", "stripes"),
        licence=write(root / "LICENSE", b"Apache\n"),
    )
