"""The debug symbols of a bundle's programs and libraries, as debuggers look for them: by build id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coralforge.bundle.files import PLAIN, copy_file, new_path
from coralforge.elf.read import build_id, is_elf
from coralforge.errors import gate_error
from coralforge.templates import Files

ENDING = "-debug"
"""The end of the names of their folder and archive, after the bundle's name."""


def assemble_debug(bundle: Path, made: Sequence[Path], texts: Files, destination: Path) -> None:
    """Fill the empty folder ``destination`` with the symbols of every program and shared library below ``bundle``.

    ``made`` are folders with ``.build-id/``, each of a build's; ``texts`` are files to be beside them.

    Raises:
        CoralforgeError: reason ``debug-missing``, exit code 6: there are none for one of them.
    """
    absent = []
    for path in sorted(p for p in bundle.rglob("*") if p.is_file() and not p.is_symlink() and is_elf(p)):
        name = _place(path)
        found = next((folder / name for folder in made if name and (folder / name).is_file()), None)
        if found is None:
            absent.append(f"{path.relative_to(bundle)}: {name or 'it has no build id'}")
        elif not (destination / name).exists():
            copy_file(found, new_path(destination / name, destination), PLAIN)
    if absent:
        raise gate_error(
            f"there are no debug symbols of {absent[0].partition(':')[0]}",
            reason="debug-missing",
            details="\n".join(absent),
            remedy="this is a bug in coralforge: please report it with the log",
        )
    for place, file in texts.items():
        new_path(destination / place, destination).write_bytes(file.content)


def _place(path: Path) -> str:
    """Where debuggers look for the symbols of a program or library; empty where it has no build id."""
    found = build_id(path)
    return f".build-id/{found[:2]}/{found[2:]}.debug" if found else ""
