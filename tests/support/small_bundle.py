"""Bundles of a few small files, for deploying: with a real check-board.sh where one is given, and padding to copy."""

from __future__ import annotations

import random
from pathlib import Path

from coralforge.bundle.manifest import Manifest, files_of, write_manifest
from coralforge.bundle.pack import pack
from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from tests.support.bundle_maker import simulated

FITS = "#!/bin/sh\nexit 0\n"
PASSES = "#!/bin/sh\necho fine\n"


def make_bundle(
    folder: Path,
    *,
    text: str = "",
    check: str = FITS,
    smoke: str = PASSES,
    padding: int = 0,
    arch: Arch = Arch.AARCH64,
) -> Path:
    """The archive, in ``folder``, of a bundle with ``padding`` bytes that cannot be packed smaller."""
    bundle = folder / f"coralforge-2.14.1-{arch.triple}"
    rules = bundle / "share/udev/70-coral-edgetpu.rules"
    rules.parent.mkdir(parents=True)
    rules.write_text("# no rules\n")
    (bundle / "README.md").write_text(text)
    (bundle / "padding").write_bytes(random.Random(text).randbytes(padding))
    for name, script in (("check-board.sh", check), ("smoke.sh", smoke)):
        (bundle / name).write_text(script)
        (bundle / name).chmod(0o755)
    write_manifest(bundle, _manifest(bundle, arch))
    archive = folder / "dist" / f"{bundle.name}.tar.gz"
    pack(bundle, archive)
    return archive


def _manifest(bundle: Path, arch: Arch) -> Manifest:
    return Manifest(
        format=2,
        coralforge="0",
        release="2.14.1",
        tensorflow_commit="0" * 40,
        arch=arch,
        triple=arch.triple,
        variants=[Variant.SIMULATED],
        default_variant=Variant.SIMULATED,
        simulated=True,
        floors={"GLIBC": "2.27"},
        toolchain={},
        sources=[],
        unpinned=[],
        prebuilt=[],
        not_verified=[],
        sample=simulated("none"),
        models=[],
        files=files_of(bundle),
    )
