"""docs/errors.md names every exit code and every reason, and nothing that does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from coralforge.errors import CoralforgeError, ExitCode, first_line, lines_of
from tests.conftest import ROOT

DOCUMENTED = (ROOT / "docs" / "errors.md").read_text()
ROWS = [line.split("|")[1] for line in DOCUMENTED.splitlines() if line.startswith("| `")]
REASONS = {reason for row in ROWS for reason in re.findall(r"`([a-z-]+)`", row)}
SOURCES = [path.read_text() for path in sorted((ROOT / "src").rglob("*.py"))]


def reasons_in(source: str) -> Iterator[str]:
    """The texts given as ``reason=`` in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            if isinstance(node.value, ast.Subscript):
                continue  # a reason that a worker sent; where it was raised it is a text
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f"\n| {int(code)} | " in DOCUMENTED


def test_every_reason_is_documented() -> None:
    used = {reason for source in SOURCES for reason in reasons_in(source) if not reason.startswith("-")}
    assert used - REASONS == set()


def test_every_documented_reason_exists() -> None:
    text = "".join(SOURCES)
    named = {reason for reason in REASONS if f'"{reason}"' in text or f"[{reason}, " in text}
    of_names = {f"{kind}-unknown" for kind in ("arch", "format", "release", "source", "variant")}
    assert REASONS - named == of_names


def test_a_message_says_what_is_wrong_the_details_and_the_remedy() -> None:
    error = CoralforgeError("a: b", reason="gate", code=ExitCode.GATE, details="one\ntwo", remedy="do this")
    assert str(error) == "a: b\n  one\n  two\n  what to do: do this"


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ("", ["ValueError"]),
        ("\n\n  one  \n\ntwo\nthree", ["one", "two"]),
        ("x" * 1000, ["x" * 300]),
    ],
)
def test_what_a_library_says_is_cut_to_what_fits_into_an_error(said: str, lines: list[str]) -> None:
    assert lines_of(ValueError(said), 2) == lines
    assert first_line(ValueError(said)) == lines[0]
