"""The table of the fault matrix says what was tried, and never that something held which was not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.promises import RESULTS, Form, Promise, Row, Trial, table, write_table

LONG = Form(7, long=True)
ROW = Promise("Sources", "No wrong byte is admitted", "each damage", "the digest is not compared: admitted")


def test_the_short_form_draws_the_same_cases_for_the_same_seed() -> None:
    first, second = Trial(Form(7)), Trial(Form(7))
    assert list(first.cases(range(100), short=5)) == list(second.cases(range(100), short=5))
    assert first.count == 5


def test_another_seed_draws_other_cases() -> None:
    chosen = [tuple(Trial(Form(seed)).cases(range(1000), short=5)) for seed in (1, 2)]
    assert chosen[0] != chosen[1]


def test_the_long_form_tries_all() -> None:
    trial = Trial(LONG)
    assert list(trial.cases(range(100), short=5)) == list(range(100))
    assert list(trial.times(200, short=3)) == list(range(200))
    assert trial.count == 300


def test_a_limit_of_time_ends_a_long_form_after_at_least_one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(Form(7, long=True, minutes=2))
    monkeypatch.setattr(time, "monotonic", lambda: trial.began + 60 * trial.count)
    tried = list(trial.cases(range(100), short=5))
    assert len(tried) == 3
    assert tried != sorted(tried)
    assert (list(trial.times(100, short=3)), trial.count, trial.total) == ([], 3, 200)
    late = Trial(Form(7, long=True, minutes=0))
    assert len(list(late.times(100, short=3))) == 1


def test_a_table_says_how_many_of_how_many() -> None:
    text = table([Row(ROW, 3, 1, total=200)], Form(7, long=True, minutes=2))
    assert "Seed 7, long form (`invoke selftest --minutes 2`)." in text
    assert "| 3 of 200 | held |" in text


def test_a_row_holds_only_when_it_was_tried() -> None:
    assert "| 0 | not run | not run: the digest" in table([Row(ROW)], LONG)
    assert "| 3 | held | the digest is not compared: admitted (1 tried) |" in table([Row(ROW, 3, 1)], LONG)


def test_a_failure_is_named() -> None:
    assert "| **failed**: test_flip |" in table([Row(ROW, 3, 1, ["test_flip", "test_flip"])], LONG)


def test_a_skip_is_no_success() -> None:
    assert "| not run: test_disk_full |" in table([Row(ROW, 3, 1, [], ["test_disk_full"])], Form(7))


def test_a_table_can_be_made_in_several_runs(tmp_path: Path) -> None:
    path = tmp_path / "reliability.md"
    path.write_text(f"# Reliability\n\nProse.\n\n{RESULTS}\n\n### Docker\n\nSeed 1, long.\n\n| kept |\n")
    write_table(path, [Row(ROW, 3, 1)], LONG)
    write_table(path, [Row(ROW, 4, 1)], Form(8, long=True))
    text = path.read_text()
    kept = "### Docker\n\nSeed 1, long.\n\n| kept |\n"
    assert text.startswith(f"# Reliability\n\nProse.\n\n{RESULTS}\n\n{kept}")
    assert text.count("### Sources") == 1
    assert "Seed 8" in text
    assert "| 4 | held |" in text
    assert "Seed 7" not in text


def test_a_table_is_made_where_there_is_none(tmp_path: Path) -> None:
    write_table(tmp_path / "new.md", [Row(ROW, 3, 1)], Form(7))
    text = (tmp_path / "new.md").read_text()
    assert text.startswith(f"{RESULTS}\n\n### Sources\n")
    assert "short form" in text
