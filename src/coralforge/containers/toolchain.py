"""The builder image: the pinned compiler, and a sysroot with its floor for every architecture of the table."""

from __future__ import annotations

import json

from coralforge.config.arch import BUILD_MACHINE, NAMED_VERSIONS, Arch
from coralforge.containers.image import Image, make_image, recipe_files
from coralforge.settings import Settings
from coralforge.util import fingerprint

BUILDER = "builder"


def builder(settings: Settings) -> Image:
    """The image all C++ is built in."""
    pins = settings.toolchain
    packages = {"packages/compiler": pins.dated(pins.compiler)}
    for arch in Arch:
        packages[f"packages/sysroots/{arch.triple}"] = pins.dated(pins.sysroots[arch].packages)
    platforms = [_platform(settings, arch) for arch in Arch]
    files = {"platforms.json": json.dumps({"named_versions": NAMED_VERSIONS, "platforms": platforms}, indent=1)}
    return make_image(settings.project.docker, BUILDER, {}, packages=packages, files=files)


def tester(settings: Settings) -> Image:
    """The builder and what the simulator's C++ tests need beside it."""
    packages = {"packages/sanitizers": settings.toolchain.dated(settings.toolchain.sanitizers)}
    return make_image(settings.project.docker, "tester", {}, base=builder(settings), packages=packages)


def compiler_key(settings: Settings) -> str:
    """Changes with the compiler: it names Bazel's cache, of which another compiler can use nothing."""
    return fingerprint.of_mapping({place.debian or "": place.sha256 for place in settings.toolchain.compiler})


def target_key(settings: Settings) -> str:
    """Changes when what is compiled may: compiler, sysroot and floor of the target and of the build's tools."""
    recipe = fingerprint.of_paths(*recipe_files(settings.project.docker, BUILDER))
    inputs = {"compiler": compiler_key(settings), "recipe": recipe, "named": json.dumps(NAMED_VERSIONS)}
    for arch in (settings.arch, BUILD_MACHINE):
        row, pins = arch.row, settings.toolchain.sysroots[arch].packages
        bazel_and_gate = (row.constraint, row.cpu, row.machine, row.bits)
        packages = [place.sha256 for place in pins]
        inputs[arch.value] = json.dumps([_platform(settings, arch), bazel_and_gate, packages])
    return fingerprint.of_mapping(inputs)


def _platform(settings: Settings, arch: Arch) -> dict[str, object]:
    """One architecture, as the programs in docker/builder are told of it."""
    row = arch.row
    return {
        "name": row.name,
        "triple": row.triple,
        "flags": row.flags,
        "loader": row.loader,
        "suite": settings.toolchain.sysroots[arch].suite,
        "floors": settings.floors[arch].versions(),
        "sysroot": row.highest.versions(),
    }
