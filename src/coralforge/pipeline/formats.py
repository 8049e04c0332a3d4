"""Puts what was made into the output folder, in the formats that were asked for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from coralforge.bundle.debug import ENDING
from coralforge.config.load import unknown
from coralforge.plan import Stage
from coralforge.settings import Settings
from coralforge.util.atomic import replacing
from coralforge.util.fingerprint import of_file


class Format(str, Enum):
    """The forms in which users get a bundle."""

    TAR_GZ = "tar.gz"
    DEB = "deb"
    DEBUG = "debug"
    """The debug symbols of its programs and libraries, by themselves."""

    @property
    def stage(self) -> Stage:
        """The stage that makes it."""
        return Stage.DEB if self is Format.DEB else Stage.BUNDLE

    @property
    def noun(self) -> str:
        """The word for one of its files."""
        return {Format.TAR_GZ: "bundle", Format.DEB: "package", Format.DEBUG: "debug symbols"}[self]

    def digests(self, settings: Settings) -> str:
        """Name of the file with the digests of its files, for ``sha256sum -c``."""
        endings = {Format.TAR_GZ: ".tar.gz", Format.DEB: ".debs", Format.DEBUG: f"{ENDING}.tar.gz"}
        return f"{settings.bundle_name}{endings[self]}.sha256"


def formats_of(said: Sequence[str]) -> tuple[Format, ...]:
    """The formats of the option --format, each once; the archive where none is named.

    Raises:
        CoralforgeError: ``format-unknown``, exit code 2.
    """
    known = [one.value for one in Format]
    for name in said:
        if name not in known:
            raise unknown("format", name, known)
    return tuple(dict.fromkeys(Format(name) for name in said)) or (Format.TAR_GZ,)


def goal_of(formats: Sequence[Format]) -> Stage:
    """The last stage that they need."""
    return Stage.DEB if Format.DEB in formats else Stage.BUNDLE


def publish(settings: Settings, places: Mapping[Stage, Path], one: Format) -> dict[Path, str]:
    """Put the files of one format and their digests into the output folder; returns the digests by file.

    Nothing is copied when it is there already.
    """
    settings.output.mkdir(parents=True, exist_ok=True)
    artifact, name = places[one.stage], one.digests(settings)
    lines = (artifact / name).read_text(encoding="ascii").splitlines()
    digests = {settings.output / file: digest for digest, _, file in (line.partition("  ") for line in lines)}
    # The digests' own file, too: a run that is stopped before its last rename leaves none.
    wanted = {**digests, settings.output / name: of_file(artifact / name)}
    if any(not file.is_file() or of_file(file) != digest for file, digest in wanted.items()):
        with replacing(*wanted) as places_beside:
            for target, beside in zip(wanted, places_beside, strict=True):
                shutil.copyfile(artifact / target.name, beside)
            (settings.output / name).unlink(missing_ok=True)  # as in pack
    return digests
