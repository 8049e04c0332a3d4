"""The options of ``invoke selftest``: what is wrong is said before hours are spent on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.commands import selftest as verb
from coralforge.commands.options import Said
from coralforge.commands.selftest import NO_TESTS, selftest, words_for_pytest
from coralforge.errors import CoralforgeError

NOTHING = dict.fromkeys(("only", "seed", "minutes", "table"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"seed": "x"}, "--seed 'x' is not a whole number"),
        ({"minutes": "-1"}, "--minutes '-1' is not a number of minutes"),
        ({"minutes": "nan"}, "--minutes 'nan' is not a number of minutes"),
        ({"table": "/nonexistent/x.md"}, "--table /nonexistent/x.md cannot be written"),
        ({"table": "/"}, "--table / cannot be written"),
    ],
)
def test_what_pytest_would_say_late_or_in_its_words(given: dict[str, str], wanted: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        words_for_pytest(Said(**{**NOTHING, **given}))
    assert (caught.value.brief, caught.value.reason) == (wanted, "selftest-option")


def test_options_are_handed_on(tmp_path: Path) -> None:
    said = Said(only="store", seed="7", minutes="0.5", table=str(tmp_path / "t.md"))
    assert words_for_pytest(said) == [
        "-k",
        "store",
        "--seed",
        "7",
        "--minutes",
        "0.5",
        "--table",
        str(tmp_path / "t.md"),
    ]


def test_a_name_that_no_test_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verb, "run_tools", lambda *_given: NO_TESTS)
    with pytest.raises(CoralforgeError, match="no test of tests/reliability fits --only 'nosuch'"):
        selftest(tmp_path, Said(**{**NOTHING, "only": "nosuch"}))


def test_a_failure_is_pytests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verb, "run_tools", lambda *_given: 1)
    with pytest.raises(SystemExit) as caught:
        selftest(tmp_path, Said(**NOTHING))
    assert caught.value.code == 1
