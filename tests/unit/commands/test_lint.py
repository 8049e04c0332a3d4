"""The tools that check sources: they run one after another, and end in their own time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from coralforge.commands.lint import Tool, run_tools
from coralforge.errors import ExitCode
from tests.conftest import ROOT
from tests.support.patience import NET, wait_until


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that tools run."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT / 'src'}")
    return tmp_path


def test_all_tools_run_and_failures_are_told(modules: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (modules / "ends.py").write_text("import sys; print(sys.argv[1]); sys.exit(int(sys.argv[1]))", encoding="utf-8")
    assert run_tools(modules, [Tool("ends", ("0",)), Tool("ends", ("3",)), Tool("ends", ("4",))]) == 3
    out, err = capfd.readouterr()
    assert out.split() == ["0", "3", "4"]
    assert err.splitlines() == ["failed: ends 3 (exit status 3)", "failed: ends 4 (exit status 4)"]


def test_ctrl_c_lets_a_tool_clean_up_and_starts_no_other(modules: Path, ctrl_c: None) -> None:
    (modules / "slow.py").write_text(
        textwrap.dedent("""\
            import pathlib, time
            try:
                pathlib.Path("started").touch()
                time.sleep(600)
            except KeyboardInterrupt:
                time.sleep(2)
                pathlib.Path("cleaned").touch()
            """),
        encoding="utf-8",
    )
    (modules / "never.py").write_text("import pathlib; pathlib.Path('never').touch()", encoding="utf-8")
    (modules / "caller.py").write_text(
        "import pathlib, sys\n"
        "from coralforge.commands.lint import Tool, run_tools\n"
        "sys.exit(run_tools(pathlib.Path.cwd(), [Tool('slow', ()), Tool('never', ())]))\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([sys.executable, "-m", "caller"], cwd=modules, start_new_session=True)
    wait_until((modules / "started").exists)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=NET) == ExitCode.CANCELLED
    assert (modules / "cleaned").exists()
    assert not (modules / "never").exists()
