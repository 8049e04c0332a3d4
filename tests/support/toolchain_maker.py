"""A toolchain of made-up packages that are in the download cache already: nothing is fetched for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from coralforge.config.arch import Arch
from coralforge.config.base import Place
from coralforge.config.toolchain import Sysroot, Toolchain


def make_toolchain(cache: Path) -> Toolchain:
    """One package for the compiler, one for the sanitizers, and one for each sysroot."""
    return Toolchain(
        format=1,
        snapshot="20261128T000000Z",
        compiler=[make_package(cache, "clang-19_1%3a19_amd64.deb")],
        sanitizers=[make_package(cache, "libclang-rt-19-dev_1%3a19_amd64.deb")],
        sysroots={
            arch.value: Sysroot(suite="bullseye", packages=[make_package(cache, f"libc6_2.31_{arch.row.debian}.deb")])
            for arch in Arch
        },
    )


def make_package(cache: Path, name: str) -> Place:
    """A package of that name, with its own name as its content."""
    content = name.encode()
    digest = hashlib.sha256(content).hexdigest()
    folder = cache / "downloads" / digest
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return Place(debian=f"pool/main/x/{name}", sha256=digest, size=len(content))
