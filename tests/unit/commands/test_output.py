"""Nobody reads any more: the work goes on, and the exit code says whether it was done."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from coralforge.errors import ExitCode
from tests.conftest import ROOT
from tests.support.patience import NET, wait_until

VERB = """
import sys, time
from pathlib import Path
from coralforge.commands import boundary
from coralforge.console import PlainSink
from coralforge.errors import build_error
from coralforge.events import Note

here, how = Path(sys.argv[1]), sys.argv[2]

def verb():
    sink = PlainSink()
    (here / "began").touch()
    try:
        if how == "sleep":
            time.sleep(600)
        while how == "closed" and not (here / "is-closed").exists():
            time.sleep(0.02)
        for number in range(2000):
            print("result", number)
            sink.emit(Note(f"progress {number}"))
        if how == "fail":
            raise build_error("it failed", reason="build-failed", remedy="")
        (here / "done").touch()
    finally:
        (here / "cleaned").touch()

boundary.run(verb)
"""


def start(folder: Path, how: str, **streams: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", VERB, str(folder), how],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        **streams,
    )


def done(folder: Path) -> bool:
    return (folder / "done").exists()


@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
def test_a_pipe_that_is_closed_does_not_end_the_work(tmp_path: Path, streams: tuple[str, ...]) -> None:
    """`invoke bundle 2>&1 | head -1` once ended with exit code 0 and no bundle."""
    reader, writer = os.pipe()
    others = {name: subprocess.DEVNULL for name in ("stdout", "stderr") if name not in streams}
    process = start(tmp_path, "closed", **dict.fromkeys(streams, writer), **others)
    os.close(writer)
    os.close(reader)
    (tmp_path / "is-closed").touch()
    assert process.wait(NET) == 0
    assert done(tmp_path)


def test_a_failure_behind_a_closed_pipe_has_its_exit_code(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(tmp_path, "fail", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, said = process.communicate(timeout=NET)
    assert process.returncode == ExitCode.BUILD
    assert b"[build-failed, exit 5]" in said
    assert b"Exception ignored" not in said


def test_a_full_disk_behind_stdout_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(tmp_path, "now", stdout=full, stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=NET)
    assert process.returncode == ExitCode.MISSING
    assert said.endswith(b"error: stdout cannot be written: No space left on device\n  [output-write, exit 3]\n")


def test_a_full_disk_behind_stderr_costs_the_words_only(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(tmp_path, "now", stdout=subprocess.DEVNULL, stderr=full)
        assert process.wait(NET) == 0
    assert done(tmp_path)


def test_streams_that_were_never_open_are_no_trouble(tmp_path: Path) -> None:
    process = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" "$2" now >&- 2>&-', sys.executable, VERB, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
        timeout=NET,
    )
    assert process.returncode == 0
    assert done(tmp_path)


@pytest.mark.usefixtures("ctrl_c")
def test_a_terminal_that_is_closed_stops_cleanly(tmp_path: Path) -> None:
    """SIGHUP, and then every word to it is an error."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["PYTHONPATH"] = str(ROOT / "src")
        os.execv(sys.executable, [sys.executable, "-c", VERB, str(tmp_path), "sleep"])
    wait_until((tmp_path / "began").exists)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == ExitCode.CANCELLED
    assert (tmp_path / "cleaned").exists()
