"""The boundary: every end of a verb becomes an exit code, and no traceback is shown."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from coralforge.commands import boundary
from coralforge.errors import ExitCode, build_error, user_error
from coralforge.util.signals import STOPPING


def run(verb: object) -> int:
    try:
        boundary.run(verb)  # type: ignore[arg-type]
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code
    return 0


def test_a_verb_that_returns_is_success() -> None:
    assert run(lambda: None) == 0


def test_an_error_shows_what_why_and_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    def verb() -> None:
        raise user_error("it is wrong", reason="some-reason", details="line 1\nline 2", remedy="do it right")

    assert run(verb) == ExitCode.USER
    shown = capsys.readouterr().err
    assert shown == ("error: it is wrong\n  line 1\n  line 2\n  what to do: do it right\n  [some-reason, exit 2]\n")


def test_each_kind_has_its_own_code() -> None:
    def verb() -> None:
        raise build_error("no", reason="r", remedy="")

    assert run(verb) == 5


def test_a_bug_is_reported_without_a_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def verb() -> None:
        raise ZeroDivisionError("oops")

    assert run(verb) == ExitCode.INTERNAL
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert "ZeroDivisionError: oops" in shown
    (kept,) = tmp_path.glob("coralforge-*.traceback")
    assert "Traceback" in kept.read_text()


def test_a_bug_is_reported_where_its_traceback_cannot_be_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")

    def verb() -> None:
        raise ZeroDivisionError("oops \udcff")

    assert run(verb) == ExitCode.INTERNAL
    assert "ZeroDivisionError: oops \\udcff" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "reason", "code"),
    [
        (errno.ENOSPC, "no-space", ExitCode.MISSING),
        (errno.EACCES, "file-access", ExitCode.MISSING),
        (errno.EROFS, "file-access", ExitCode.MISSING),
        (errno.ENAMETOOLONG, "path-unusable", ExitCode.USER),
        (errno.ELOOP, "path-unusable", ExitCode.USER),
    ],
)
def test_what_the_system_refuses_is_no_bug(
    number: int, reason: str, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb() -> None:
        raise OSError(number, os.strerror(number), "/some/where")

    assert run(verb) == code
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: /some/where: {os.strerror(number)}\n")
    assert f"[{reason}, exit {int(code)}]" in shown


def test_a_file_of_ours_that_is_not_there_is_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(lambda: Path("/nonexistent").read_text()) == ExitCode.INTERNAL


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", STOPPING)
def test_ctrl_c_cleans_up_and_exits_with_130(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    cleaned = []

    def verb() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            cleaned.append(True)

    assert run(verb) == ExitCode.CANCELLED
    assert cleaned == [True]
    assert "cancelled" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_leaves_at_once() -> None:
    child = os.fork()
    if child == 0:

        def verb() -> None:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                os._exit(99)  # cleaning up went on: the second signal was not heard

        boundary.run(verb)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == ExitCode.CANCELLED


@pytest.mark.usefixtures("ctrl_c")
def test_a_terminal_that_is_closed_may_say_so_twice() -> None:
    """The kernel tells the group in the foreground, and the shell its jobs: still a clean stop."""
    cleaned = []

    def verb() -> None:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            cleaned.append(True)

    assert run(verb) == ExitCode.CANCELLED
    assert cleaned == [True]


@pytest.mark.usefixtures("ctrl_c")
def test_what_was_ignored_at_the_start_stays_ignored() -> None:
    """As where a script starts it in the background: Ctrl-C is for the script, SIGTERM still stops the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reached = []

    def verb() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        reached.append(signal.getsignal(signal.SIGINT))
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    assert run(verb) == ExitCode.CANCELLED
    assert reached == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_an_error_says_nothing_to_the_terminal_but_text(capsys: pytest.CaptureFixture[str]) -> None:
    def verb() -> None:
        raise user_error("a\x1b[2Jb", reason="some-reason", remedy="", details="bin/\x07\ud800x\n\tis missing")

    assert run(verb) == ExitCode.USER
    assert (
        capsys.readouterr().err
        == "error: a\ufffd[2Jb\n  bin/\ufffd\ufffdx\n  \tis missing\n  [some-reason, exit 2]\n"
    )
