"""The house stays as it is drawn: arrows between rooms run downward, and there are few of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grimp

from tests.conftest import ROOT

# A new room at the top, such as publish, brings one for each room that it uses; so do deploy and convert.
MOST_ARROWS = 137


def room(module: str) -> str:
    """The room that a module stands in: the name below ``coralforge``, or ``coralforge`` itself."""
    return module.split(".")[1] if "." in module else module


def test_arrows_between_rooms_run_downward() -> None:
    """The layers are in pyproject.toml; import-linter names each import that breaks them."""
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_rooms_have_few_arrows_between_them() -> None:
    graph = grimp.build_graph("coralforge", cache_dir=None)
    arrows = {
        (room(importer), room(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if room(importer) != room(imported)
    }
    assert len(arrows) <= MOST_ARROWS, f"{len(arrows)} arrows"


def test_a_docstring_says_what_it_is_about_first() -> None:
    """A sentence that begins with "What" has its subject at the end, if at all."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests" / "support").glob("*.py"), ROOT / "tasks.py"]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.lstrip().startswith('"""What ')
    ]
    assert found == []


def test_archives_are_unpacked_by_our_own_unpacker() -> None:
    """tarfile's has no filter in Debian 12's Python 3.11.2, and is not safe without."""
    assert [
        str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.py") if "extractall(" in path.read_text()
    ] == []
