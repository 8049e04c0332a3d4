"""Logs in a folder that does not grow for ever."""

from __future__ import annotations

import contextlib
from pathlib import Path

KEPT = 100


def new_log(folder: Path, name: str) -> Path:
    """An empty ``NAME.log``; of the older ones in ``folder`` all but the newest are removed, so that KEPT stay.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    log.write_text("", encoding="utf-8")
    ages: dict[Path, int] = {}
    for other in folder.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):  # another run tidies too
            ages[other] = other.stat().st_mtime_ns
    del ages[log]
    for old in sorted(ages, key=lambda path: ages[path])[: -(KEPT - 1)]:
        old.unlink(missing_ok=True)
    return log
