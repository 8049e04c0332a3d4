"""The names of a release's files. Each file of a bundle's part is the bundle's name and an ending."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coralforge.bundle.debug import ENDING
from coralforge.bundle.manifest import Manifest

ARCHIVE = ".tar.gz"
DEBUG = f"{ENDING}.tar.gz"
SBOM = ".cdx.json"
PROVENANCE = ".intoto.json"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
LATEST = "latest.json"
NOTES = "NOTES.md"
INSTALLER = "install.sh"


@dataclass(frozen=True)
class PartName:
    """All that tells one bundle of a release from all others: coralforge's version is the build's revision."""

    version: str
    """coralforge's own."""
    tflite: str
    triple: str
    simulated: bool

    @classmethod
    def of(cls, manifest: Manifest) -> PartName:
        """The name of the bundle that ``manifest`` describes."""
        return cls(manifest.coralforge, manifest.release, manifest.triple, manifest.simulated)

    def __str__(self) -> str:
        simulated = "-simulated" if self.simulated else ""
        return f"coralforge-{self.version}-tflite-{self.tflite}-{self.triple}{simulated}"


def beside(archive: Path, ending: str) -> Path:
    """The file of the same part with another ending."""
    return archive.with_name(archive.name.removesuffix(ARCHIVE) + ending)
