"""Names that TensorFlow takes."""

from __future__ import annotations

from collections.abc import Sequence


def plain(names: Sequence[str]) -> list[str]:
    """Names that a signature can have, each once: what is no letter or digit becomes ``_``."""
    made: list[str] = []
    for name in names:
        kept = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).strip("_")
        kept = kept if kept[:1].isalpha() else f"x{kept}"
        made.append(kept if kept not in made else f"{kept}_{len(made)}")
    return made
