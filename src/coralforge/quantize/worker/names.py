"""Names that TensorFlow takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count


def plain(names: Sequence[str]) -> list[str]:
    """Names that a signature can have, no two the same: what is no ASCII letter or digit becomes ``_``."""
    made: list[str] = []
    for name in names:
        kept = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).strip("_")
        kept = kept if kept[:1].isalpha() else f"x{kept}"
        numbered = (f"{kept}_{number}" for number in count(len(made)))
        made.append(kept if kept not in made else next(one for one in numbered if one not in made))
    return made
