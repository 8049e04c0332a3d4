"""A folder that a program may empty, since it is marked as its own: CACHEDIR.TAG, as backup programs know it too."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from coralforge.util import atomic

TAG = "CACHEDIR.TAG"
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55\n"  # fixed by the specification: bford.info/cachedir
_OWNER = b"# A cache of coralforge: `invoke clean` removes what is in it.\n"


def claim(root: Path, names: Collection[str]) -> list[str]:
    """Make a folder, or take one that has nothing in it but ``names``, and mark it.

    Returns:
        What else is in a folder that has no mark yet. Nothing was written then, and nothing may be removed there.

    Raises:
        OSError: it cannot be made or written.
    """
    root.mkdir(parents=True, exist_ok=True)
    tag = root / TAG
    if tag.is_file() and tag.read_bytes() == _SIGNATURE + _OWNER:
        return []
    foreign = sorted(entry.name for entry in root.iterdir() if entry.name not in names)
    if not foreign:
        atomic.write(tag, _SIGNATURE + _OWNER)
    return foreign
