"""The pages keep to their form, lead to what exists, and can be found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

COLUMNS = 120
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in (
        "*.md",
        "docs/*.md",
        "device/*.md",
        "sample/*.md",
        "simulator/*.md",
        "tests/data/*.md",
        "toolchains/bazel/*.md",
    )
    for path in ROOT.glob(pattern)
)
MODULE = re.compile(r"`([a-z_/]+\.py)`")
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
VARIABLE = re.compile(r'"(CORALFORGE_[A-Z_]+)"')
SET_FOR_PROGRAMS = {"CORALFORGE_LIB", "CORALFORGE_REPORT", "CORALFORGE_RUN"}  # by the engine itself
FOLDERS = ("src", "scripts", "docker", "device", "simulator", "tests", "toolchains")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; neither tables nor code nor headings."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith(("    ", "|", "#")):
            yield number, line


def anchors(text: str) -> set[str]:
    """The names that GitHub gives headings."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_line_of_prose_is_longer_than_a_screen(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [number for number, line in prose(text) if len(line) > COLUMNS] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, heading in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        assert not heading or heading in anchors(path.read_text(encoding="utf-8")), target + heading


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_python_files_are_named_as_they_are(page: Path) -> None:
    there = {path.as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    for name in MODULE.findall((ROOT / page).read_text(encoding="utf-8")):
        assert any(path.endswith(f"/{name}") for path in (*there, f"/{ROOT / 'tasks.py'}")), name


def test_every_page_is_found_from_the_readme() -> None:
    linked = {target for target, _ in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    pages = {str(page) for page in PAGES if page.parent == Path("docs") or page.parent == Path()}
    assert pages - {"README.md"} <= linked


def test_every_variable_that_the_engine_reads_is_in_its_table() -> None:
    read = {name for path in (ROOT / "src").rglob("*.py") for name in VARIABLE.findall(path.read_text())}
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert {f"`{name}`" for name in read - SET_FOR_PROGRAMS} == set(re.findall(r"^\| (`CORALFORGE_\w+`)", page, re.M))


def test_every_file_of_the_consumer_project_is_in_its_readme() -> None:
    folder = ROOT / "templates/consumer"
    page = (folder / "README.md.j2").read_text(encoding="utf-8")
    assert [path.name for path in folder.iterdir() if path.suffix in (".h", ".cpp") and path.name not in page] == []
