"""Images: what each is built from. Its key, the digest of all that, names it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.arch import BUILD_MACHINE, EMULATED, Arch
from coralforge.config.base import Place
from coralforge.config.userlands import Userland
from coralforge.containers.base import BASE_SUITE
from coralforge.util import fingerprint


@dataclass(frozen=True)
class Image:
    """An image to build from ``docker/NAME.Dockerfile``; ``key`` is the digest of all that goes in."""

    name: str
    key: str
    arguments: tuple[tuple[str, str], ...] = ()
    base: Image | None = None
    """The image that it adds to; None: the Debian base of its suite."""
    suite: str = BASE_SUITE
    packages: tuple[tuple[str, tuple[Place, ...]], ...] = ()
    """Pinned Debian packages, by their folder in the build's context."""
    files: tuple[tuple[str, str], ...] = ()
    """Small files made for it: name in the context and text."""

    @property
    def tag(self) -> str:
        return f"coralforge-{self.name}:{self.key[:16]}"


def board(recipes: Path, userland: Userland, arch: Arch) -> Image:
    """The emulated board: QEMU and the C and C++ libraries of a userland."""
    row = arch.row
    arguments = {
        "BOARD_SUITE": userland.suite,
        "DEBIAN_ARCH": row.debian,
        "EMULATOR": "" if arch is BUILD_MACHINE else row.emulator,
    }
    facts = {
        "arch": row.name,
        "userland": userland.name,
        "suite": userland.suite,
        "versions": userland.offers.versions(),
        "masked": userland.note,
    }
    return make_image(recipes, "board", arguments, files={"userland.json": json.dumps(facts)})


def board_run(arch: Arch) -> str:
    """The prefix that programs of the bundle run with in the board image."""
    row = arch.row
    if arch is BUILD_MACHINE:
        return f"/board{row.loader} --library-path /board/lib/{row.triple}:/board/usr/lib/{row.triple}"
    return " ".join([row.emulator, *(["-cpu", row.processor] if row.processor else []), "-L /board"])


def emulated_board(recipes: Path, userland: Userland) -> Image:
    """A whole board of EMULATED: the board image, QEMU's system emulator, a kernel, and a root file system."""
    row = EMULATED.row
    assert row.virtual is not None
    arguments = {
        "BOARD_SUITE": userland.suite,
        "DEBIAN_ARCH": row.debian,
        "QEMU": row.virtual.program,
        "QEMU_PACKAGE": row.virtual.package,
        "KERNEL_PACKAGE": row.virtual.kernel,
    }
    return make_image(recipes, "emulated-board", arguments, board(recipes, userland, EMULATED))


def edgetpu_compiler(recipes: Path, arguments: Mapping[str, str]) -> Image:
    """Google's Edge TPU compiler; ``arguments`` replace those of the recipe (the archive, for example)."""
    return make_image(recipes, "edgetpu-compiler", arguments)


def make_image(
    recipes: Path,
    name: str,
    arguments: Mapping[str, str],
    base: Image | None = None,
    packages: Mapping[str, Sequence[Place]] | None = None,
    files: Mapping[str, str] | None = None,
    suite: str = BASE_SUITE,
) -> Image:
    """An image with the key of its recipe, of the folder beside that with its name, and of all that is given here."""
    packages = packages or {}
    files = files or {}
    inputs = {
        "recipe": fingerprint.of_paths(*recipe_files(recipes, name)),
        "base": base.tag if base else suite,
        **arguments,
        **{folder: " ".join(place.sha256 for place in places) for folder, places in packages.items()},
        **files,
    }
    return Image(
        name=name,
        key=fingerprint.of_mapping(inputs),
        arguments=tuple(sorted(arguments.items())),
        base=base,
        suite=suite,
        packages=tuple((folder, tuple(places)) for folder, places in packages.items()),
        files=tuple(files.items()),
    )


def recipe_files(recipes: Path, name: str) -> list[Path]:
    """The recipe of an image, and the folder with the programs that it runs, if it has one."""
    return [recipes / f"{name}.Dockerfile", *(folder for folder in (recipes / name,) if folder.is_dir())]
