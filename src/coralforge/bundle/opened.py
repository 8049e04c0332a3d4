"""A bundle's archive, unpacked and checked as by a stranger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from coralforge.bundle.manifest import NAME, File, Manifest, read_manifest, verify
from coralforge.deploy.package import Package
from coralforge.errors import CoralforgeError, ExitCode, user_error
from coralforge.sources.unpack import unpack
from coralforge.util.fingerprint import of_file

CHECK = "check-board.sh"
_SCRIPT = "smoke.sh"
_MAX_SUMS = 1 << 16  # characters


@dataclass(frozen=True)
class Opened:
    """A bundle that is what its digest and its manifest say."""

    archive: Path
    digest: str
    """SHA-256 of the archive."""
    folder: Path
    """The unpacked bundle."""
    manifest: Manifest

    @property
    def name(self) -> str:
        """Of the bundle, whatever its archive is called."""
        return f"coralforge-{self.manifest.release}-{self.manifest.triple}"

    def package(self) -> Package:
        """The bundle as it is sent to a board."""
        files = {name: one.sha256 for name, one in self.manifest.files.items() if isinstance(one, File)}
        files[NAME] = of_file(self.folder / NAME)
        return Package.of(self.archive, self.name, self.digest, self.folder, files)


def open_archive(archive: Path, folder: Path) -> Opened:
    """Unpack a bundle to ``folder``, which must not exist yet, and check it.

    Raises:
        CoralforgeError: ``bundle-digest``, ``bundle-manifest``, ``bundle-changed``, ``bundle-arch`` (exit code 2);
            ``no-space`` (3).
    """
    digest = check_digest(archive)
    _unpack(archive, folder)
    manifest = read_manifest(folder)
    _check_bundle(archive, folder, manifest)
    return Opened(archive, digest, folder, manifest)


def _unpack(archive: Path, bundle: Path) -> None:
    """As any archive; but what is wrong with it is the user's file, not a source that could be fetched again."""
    try:
        unpack(archive, bundle, 1)
    except CoralforgeError as error:
        if error.code is not ExitCode.SOURCE:
            raise
        raise user_error(
            f"{archive} is not a bundle that can be unpacked: {error.brief}",
            reason="bundle-manifest",
            details=error.details,
            remedy="give the .tar.gz that `invoke bundle` made",
        ) from error


def check_digest(archive: Path) -> str:
    """The archive's SHA-256, held against the .sha256 file beside it, if there is one.

    Raises:
        CoralforgeError: ``bundle-digest``, exit code 2.
    """
    digest = of_file(archive)
    beside = archive.with_name(archive.name + ".sha256")
    expected = [digest]
    if beside.is_file():
        with beside.open(encoding="utf-8", errors="replace") as stream:
            expected = stream.read(_MAX_SUMS).split()
    if expected[:1] != [digest]:
        raise user_error(
            f"{archive} is not the file that {beside.name} describes",
            reason="bundle-digest",
            details=f"sha256 {digest}, {beside.name} says {' '.join(expected)[:80] or 'nothing'}",
            remedy="copy the archive again, or make it again with `invoke bundle`",
        )
    return digest


def _check_bundle(archive: Path, bundle: Path, manifest: Manifest) -> None:
    problems = verify(bundle)
    if _SCRIPT not in manifest.files:
        problems.append(f"{_SCRIPT} is not in the bundle")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", manifest.release):
        problems.append(f"release {manifest.release[:64]!r} is no version")
    if problems:
        raise user_error(
            f"{archive.name} is not what its MANIFEST.json says",
            reason="bundle-changed",
            details="\n".join(problems[:10]),
            remedy="make it again with `invoke bundle`",
        )
    if manifest.triple != manifest.arch.triple:
        raise user_error(
            f"{archive.name} says it is for {manifest.arch.value}, but {manifest.triple}",
            reason="bundle-arch",
            remedy="make it again with `invoke bundle`",
        )
