"""Which userland a bundle is tried on: the one that was asked for, or the oldest that its floor promises to fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coralforge.bundle.peek import packed_manifest
from coralforge.config.userlands import USERLANDS, Userland, oldest
from coralforge.errors import user_error


def choose(said: str | None, archive: Path, floors: Mapping[str, str]) -> Userland:
    """The userland called ``said``; without a name, by the floor that the bundle's manifest has, else by ``floors``.

    Raises:
        CoralforgeError: ``userland-unknown``, exit code 2.
    """
    if said is None:
        return oldest(_floors_of(archive) or floors)
    for one in USERLANDS:
        if one.name == said:
            return one
    raise user_error(
        f"there is no userland {said!r}",
        reason="userland-unknown",
        details="\n".join(f"{one.name}: {one.note or f'glibc {one.offers.glibc}'}" for one in USERLANDS),
        remedy=f"give one of {', '.join(one.name for one in USERLANDS)}, or leave --userland out",
    )


def _floors_of(archive: Path) -> Mapping[str, str] | None:
    """The floors in the manifest of a bundle; None for what is no bundle, which is refused when it is unpacked."""
    manifest = packed_manifest(archive)
    return manifest.floors if manifest else None
