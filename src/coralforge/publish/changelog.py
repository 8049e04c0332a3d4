"""The part of CHANGELOG.md that belongs to one version (keepachangelog.com)."""

from __future__ import annotations

import re
from pathlib import Path

from coralforge.errors import user_error

_HEADING = re.compile(r"^## \[?(?P<version>[^\]\s]+)\]?")


def section(changelog: Path, version: str) -> str:
    """The text below the heading of ``version``, without it.

    Raises:
        CoralforgeError: ``release-changelog``, exit code 2: no such heading, or nothing below it.
    """
    lines: list[str] = []
    inside = False
    for line in changelog.read_text(encoding="utf-8").splitlines():
        if found := _HEADING.match(line):
            inside = found["version"] == version
        elif inside:
            lines.append(line)
    text = "\n".join(lines).strip()
    if not text:
        raise user_error(
            f"{changelog.name} says nothing about version {version}",
            reason="release-changelog",
            remedy=f"rename its section [Unreleased] to [{version}], with today's date; "
            "the version is __version__ in src/coralforge/__init__.py",
        )
    return text + "\n"
