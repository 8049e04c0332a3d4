"""The table of userlands: C and C++ libraries of old and new systems, which an emulated board can have.

To add one: a row here. docker/board/userland.py refuses an image whose libraries have other versions than its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coralforge.config.arch import BULLSEYE, OLD_BOARDS, Floor


@dataclass(frozen=True)
class Userland:
    """C and C++ libraries, from the packages of a Debian suite."""

    name: str
    """Its name on the command line."""
    suite: str
    """The Debian suite that the libraries are from."""
    offers: Floor
    """The newest symbol versions that they have."""
    masked: bool = False
    """Whether newer versions were removed from them, because no suite has libraries so old any more."""

    @property
    def note(self) -> str:
        """To be said wherever something was shown on it; empty where its libraries are a suite's own."""
        if not self.masked:
            return ""
        return (
            f"{self.suite}'s libraries, versions above {self.offers.glibc} removed: "
            f"shows what programs need, not how glibc {self.offers.glibc} behaves"
        )

    def fits(self, floors: Mapping[str, str]) -> bool:
        """Whether programs that need no newer versions than ``floors``, by family, find all of them."""
        offered = self.offers.versions()
        return all(_numbers(floors[family]) <= _numbers(offered[family]) for family in offered if family in floors)


BOOKWORM = Userland("bookworm", "bookworm", Floor("2.36", "3.4.30", "1.3.13"))
"""The one that the whole emulated board has."""
USERLANDS = (
    Userland("glibc-2.27", "bullseye", OLD_BOARDS, masked=True),
    Userland("bullseye", "bullseye", BULLSEYE),
    BOOKWORM,
    Userland("trixie", "trixie", Floor("2.41", "3.4.33", "1.3.15")),
)
"""All of them, the oldest first."""


def oldest(floors: Mapping[str, str]) -> Userland:
    """The oldest one that has all a bundle with these floors may need; the newest where none has."""
    return next((one for one in USERLANDS if one.fits(floors)), USERLANDS[-1])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
