"""In CI nothing stops being tested in silence."""

from __future__ import annotations

import pytest

from tests.conftest import ALLOWED, THINGS, refuse_silent_skip


def skipped(reason: str) -> pytest.TestReport:
    longrepr = ("test_x.py", 1, f"Skipped: {reason}")
    return pytest.TestReport("test_x", ("test_x.py", 1, "test_x"), {}, "skipped", longrepr, "setup")


@pytest.mark.parametrize(("ci", "outcome"), [("true", "failed"), ("", "skipped")])
def test_an_unlisted_reason_fails_in_ci_only(ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    report = skipped("works on my machine")
    refuse_silent_skip(report)
    assert report.outcome == outcome


def test_what_no_ci_machine_has_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    for reason in ALLOWED:
        report = skipped(reason)
        refuse_silent_skip(report)
        assert report.skipped


def test_what_may_not_be_missing_in_ci() -> None:
    assert [thing.name for thing in THINGS if thing.in_ci] == ["docker", "emulated_board", "tensorflow", "onnx2tf"]
