"""A release's folder with one bundle of tiny files, and a key that signs it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.manifest import Manifest, read_manifest
from coralforge.bundle.pack import pack
from coralforge.config.load import load_toolchain
from coralforge.publish.names import DEBUG, PROVENANCE, SBOM, PartName, beside
from coralforge.publish.origin import Origin
from coralforge.publish.parts import finish
from coralforge.publish.provenance import write_provenance
from coralforge.publish.sbom import write_sbom
from coralforge.util.fingerprint import of_file
from tests.conftest import ROOT
from tests.support.bundle_maker import make_inputs

ORIGIN = Origin("c" * 40, False, 1_790_000_000)


@dataclass(frozen=True)
class Release:
    """The folder of a release, its bundle, and who may sign it."""

    folder: Path
    archive: Path
    debug: Path
    """Its debug symbols."""
    package: Path
    """A Debian package of the bundle."""
    manifest: Manifest
    key: Path
    signers: Path


def make_key(folder: Path, name: str) -> tuple[Path, Path]:
    """A private key, and a file that allows its owner to sign."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)
    signers = folder / f"{name}.signers"
    signers.write_text(f"{name}@example.org {Path(f'{key}.pub').read_text()}")
    return key, signers


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A complete, signed release."""
    bundle = tmp_path / "coralforge-2.14.1-aarch64-linux-gnu"
    bundle.mkdir()
    assemble(make_inputs(tmp_path / "inputs"), bundle)
    manifest = read_manifest(bundle)
    folder = tmp_path / "release"
    folder.mkdir()
    packed = tmp_path / "packed" / f"{bundle.name}.tar.gz"
    digest = pack(bundle, packed)
    archive = folder / f"{PartName.of(manifest)}.tar.gz"
    archive.write_bytes(packed.read_bytes())
    beside(archive, SBOM).write_bytes(write_sbom(manifest, digest, ORIGIN))
    toolchain = load_toolchain(ROOT / "toolchains" / "toolchain.yaml")
    package = folder / "libedgetpu-dev_16.0tf2.14.1_arm64.deb"
    package.write_bytes(b"!<arch>\n")
    debug = beside(archive, DEBUG)
    debug.write_bytes(b"symbols")
    subjects = {archive.name: digest, **{path.name: of_file(path) for path in (debug, package)}}
    beside(archive, PROVENANCE).write_bytes(write_provenance(subjects, manifest, toolchain, ORIGIN))
    key, signers = make_key(tmp_path, "owner")
    finish(folder, ROOT, ORIGIN, key)
    return Release(folder, archive, debug, package, manifest, key, signers)
