"""The inventory of a folder (names, lengths, times, digests), from which anything lost or changed is found later."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coralforge.util.fingerprint import of_file

Inventory = Mapping[str, Mapping[str, Any]]
"""By relative path: ``size`` in bytes, ``time`` (mtime in ns) and ``sha256`` of a file, or ``link`` of a link."""


def take(folder: Path) -> Inventory:
    """The inventory of everything below ``folder`` that is not itself a folder. Raises OSError."""
    return {name: _entry(folder / name) for name in sorted(_names(folder))}


def difference(folder: Path, inventory: Inventory, thorough: bool, without: str = "") -> str:
    """The first difference between a folder and its inventory, as part of a sentence; empty when there is none.

    Args:
        thorough: read every file. Otherwise only those whose time has changed: a copied cache is not a damaged one.
        without: name of a file that belongs to the folder, and not to the inventory.
    """
    try:
        found = set(_names(folder)) - {without}
        for name in sorted(found ^ inventory.keys()):
            return f"{name} is {'not recorded' if name in found else 'missing'}"
    except (OSError, TypeError, AttributeError) as error:
        return f"it cannot be read ({error})"
    return first_changed(folder, inventory, thorough)


def first_changed(folder: Path, inventory: Inventory, thorough: bool = True) -> str:
    """The first file of ``inventory`` that is not as it was, as in :func:`difference`; others are not looked at."""
    try:
        for name, entry in inventory.items():
            if problem := _changed(folder / name, entry, thorough):
                return f"{name} {problem}"
    except (OSError, TypeError, AttributeError, KeyError) as error:
        return f"it cannot be read ({error})"
    return ""


def _changed(path: Path, entry: Mapping[str, Any], thorough: bool) -> str:
    status = path.lstat()
    if "link" in entry or not stat.S_ISREG(status.st_mode):
        same = stat.S_ISLNK(status.st_mode) and str(path.readlink()) == entry.get("link")
        return "" if same else "is another kind of file, or leads elsewhere"
    if status.st_size != entry["size"]:
        return f"has {status.st_size} bytes, not {entry['size']}"
    if (thorough or status.st_mtime_ns != entry["time"]) and of_file(path) != entry["sha256"]:
        return "has other bytes than it was made with"
    return ""


def _entry(path: Path) -> Mapping[str, Any]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return {"link": str(path.readlink())}
    return {"size": status.st_size, "time": status.st_mtime_ns, "sha256": of_file(path)}


def _names(folder: Path) -> Iterator[str]:
    for top, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]  # noqa: PTH114, PTH118 - hot
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(top, name), folder)  # noqa: PTH118
