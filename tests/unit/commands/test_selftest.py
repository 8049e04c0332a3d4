"""What `invoke selftest` refuses before hours of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.commands import selftest as verb
from coralforge.commands.lint import Tool
from coralforge.commands.selftest import selftest
from coralforge.errors import CoralforgeError, ExitCode


def refused(folder: Path, **said: str) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        selftest(folder, **{"only": None, "seed": None, "table": None, **said})
    assert (caught.value.reason, caught.value.code) == ("selftest-option", ExitCode.USER)
    return caught.value


@pytest.mark.parametrize(
    ("option", "value"),
    [("seed", "Y"), ("seed", "-1"), ("table", "Z"), ("table", "absent/x.md"), ("table", "tests.py")],
)
def test_what_cannot_be_used_is_said_before_anything_runs(
    option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "run_tools", lambda *_given: pytest.fail("it is begun"))
    monkeypatch.chdir(tmp_path)
    assert f"--{option}" in refused(tmp_path, **{option: value}).brief


@pytest.mark.parametrize("status", [4, 5])
def test_a_name_that_no_test_has_is_said(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "run_tools", lambda *_given: status)
    assert "--only 'nobody'" in refused(tmp_path, only="nobody").brief


def test_otherwise_it_ends_as_pytest_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(_root: Path, tools: list[Tool]) -> int:
        asked.append(tuple(tools[0].arguments))
        return 1

    monkeypatch.setattr(verb, "run_tools", run)
    with pytest.raises(SystemExit) as ended:
        selftest(tmp_path, "sources", "7", str(tmp_path / "x.md"))
    assert ended.value.code == 1
    assert asked[0][2:] == ("-k", "sources", "--seed", "7", "--table", str(tmp_path / "x.md"))
