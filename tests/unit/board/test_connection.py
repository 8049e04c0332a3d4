"""The connection to a board of the user's: one, by the user's own configuration, and strict. ``ssh`` is a double."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.board import connection
from coralforge.board.connection import Target, connect
from coralforge.errors import CoralforgeError, ExitCode
from tests.support.board_double import BoardDouble, make

UNKNOWN = (
    "No ED25519 host key is known for raspberrypi and you have requested strict checking.\n"
    "Host key verification failed.\n"
)
CHANGED = (
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
    "Offending ED25519 key in /home/me/.ssh/known_hosts:1\n"
    "Host key for raspberrypi has changed and you have requested strict checking.\nHost key verification failed.\n"
)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BoardDouble:
    return make(tmp_path / "board", monkeypatch)


@pytest.mark.parametrize(
    ("said", "destination", "port"),
    [
        ("pi@raspberrypi.local", "pi@raspberrypi.local", None),
        ("lab-board", "lab-board", None),
        ("pi@10.0.0.7:2222", "pi@10.0.0.7", 2222),
        ("ssh://mendel@[fe80::1%eth0]:22/", "mendel@fe80::1%eth0", 22),
        ("ssh://board", "board", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("first.last+x@h_1", "first.last+x@h_1", None),
    ],
)
def test_places_that_ssh_knows(said: str, destination: str, port: int | None) -> None:
    assert Target.of(said) == Target(destination, port)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "-oProxyCommand=x",
        "a b",
        "pi@-x",
        "pi@host;id",
        "$(id)",
        "pi@",
        "@h",
        "h:0",
        "h:65536",
        "h:x",
        "a\nb",
        "x" * 999,
    ],
)
def test_no_place(said: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        Target.of(said)
    assert (caught.value.reason, caught.value.code) == ("board-unknown", ExitCode.USER)
    assert len(caught.value.brief) < 200


@pytest.mark.parametrize(
    ("said", "name"), [("pi@raspberrypi", "raspberrypi"), ("[fe80::1%eth0]", "fe80-1-eth0"), ("pi@..", "board")]
)
def test_a_name_for_files(said: str, name: str) -> None:
    assert Target.of(said).file_name == name


def test_one_connection_carries_all_commands(board: BoardDouble) -> None:
    with connect(Target("pi@raspberrypi", 2222)) as remote:
        assert remote.script('echo "$1" $(pwd); cat', "a b", seconds=60).output == f"a b {board.home}"
        assert remote.feed("cat >x; wc -c <x", [b"12", b"345"], seconds=60).output.strip() == "5"
        assert remote.run("exit 7", seconds=60).status == 7
    first, *others = board.calls()
    assert first.endswith("-p 2222 pi@raspberrypi")
    assert "-F" not in first.split()
    assert "StrictHostKeyChecking=yes" in first
    assert len(others) == 3
    assert all("-F none" in call and "ProxyCommand=false" in call and "pi@" not in call for call in others)


def test_another_configuration_is_read_instead(board: BoardDouble, tmp_path: Path) -> None:
    with connect(Target("pi"), tmp_path / "config"):
        pass
    assert f"-F {tmp_path / 'config'} pi" in board.calls()[0]


@pytest.mark.parametrize("terminal", [True, False])
def test_nobody_is_asked_where_there_is_no_terminal(
    board: BoardDouble, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(connection, "has_terminal", lambda: terminal)
    monkeypatch.delenv("SSH_ASKPASS", raising=False)
    with connect(Target("pi")):
        pass
    assert ("BatchMode=yes" in board.calls()[0]) is not terminal


@pytest.mark.parametrize(
    ("words", "reason", "remedy"),
    [
        (UNKNOWN, "board-host-key", "ssh-keyscan"),
        (CHANGED, "board-host-key", "ssh-keygen -R"),
        ("pi@raspberrypi: Permission denied (publickey,password).\n", "board-login", "ssh-add"),
        ("ssh: connect to host raspberrypi port 22: No route to host\n", "board-ssh", "ssh -p 22 pi@raspberrypi"),
        ("\x1b[2J\x07evil\n", "board-ssh", "ssh -p 22 pi@raspberrypi"),
        ("", "board-ssh", "ssh -p 22 pi@raspberrypi"),
    ],
)
def test_a_refusal_says_what_to_do(board: BoardDouble, words: str, reason: str, remedy: str) -> None:
    board.refuse(words)
    with pytest.raises(CoralforgeError) as caught, connect(Target("pi@raspberrypi", 22)):
        pass
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.BOARD)
    assert remedy in caught.value.remedy
    assert "ssh -p 22 pi@raspberrypi" in caught.value.remedy
    assert "pi@raspberrypi:22" in caught.value.brief
    assert "\x1b" not in str(caught.value)


def test_a_lost_connection_is_no_exit_status_and_is_not_made_anew(board: BoardDouble) -> None:
    with connect(Target("pi")) as remote:
        board.lose()
        with pytest.raises(CoralforgeError) as caught:
            remote.run("true", seconds=60)
        with pytest.raises(CoralforgeError):
            remote.feed("cat", [b"x"], seconds=60)
    assert caught.value.reason == "board-ssh"
    assert sum(call.startswith("-M ") for call in board.calls()) == 1


def test_what_a_program_said_is_not_taken_for_a_refused_login(board: BoardDouble) -> None:
    with connect(Target("pi@board")) as remote:
        (board.root / "lost").write_text("lstpu: error: /dev/bus/usb/001/002: Permission denied\n")
        with pytest.raises(CoralforgeError, match="connection to it was lost") as caught:
            remote.run("./smoke.sh", seconds=60)
    assert caught.value.reason == "board-ssh"
    assert "lstpu: error" in caught.value.details


def test_nothing_is_left_behind(board: BoardDouble, tmp_path: Path) -> None:
    with connect(Target("pi")) as remote:
        folder = Path(remote.words[remote.words.index("-S") + 1]).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(str(folder)) < 80
    assert not folder.exists()


def test_a_flood_ends_with_its_limit(board: BoardDouble) -> None:
    with connect(Target("pi")) as remote:
        (board.tools / "yes").symlink_to("/usr/bin/yes")
        with pytest.raises(CoralforgeError) as caught:
            remote.run("exec yes", seconds=1)
    assert caught.value.reason == "board-timeout"
    assert len(str(caught.value)) < 2000
