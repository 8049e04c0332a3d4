"""The SSH client of a board: files of its own, and an end to every wait. A script stands in for the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.board.ssh import Ssh, SshFiles
from coralforge.errors import CoralforgeError, ExitCode

PATIENCE = 60.0  # seconds, for what ends by itself at once


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    """A client whose program runs the words locally; ``gone`` loses the connection."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor word; do :; done\n[ "$word" != gone ] || exit 255\nexec /bin/sh -c "$word"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    files = SshFiles(tmp_path / "a board's 100% own")
    files.folder.mkdir()
    files.write_config(2222)
    return Ssh(files, lambda: "board: ready\nOops: 0000")


def test_nothing_of_the_users_is_used(client: Ssh) -> None:
    text = client.files.config.read_text()
    assert f'IdentityFile "{client.files.folder}/key"'.replace("%", "%%") in text
    assert f'UserKnownHostsFile "{client.files.folder}/known_hosts"'.replace("%", "%%") in text
    for line in ("IdentitiesOnly yes", "IdentityAgent none", "BatchMode yes", "GlobalKnownHostsFile none"):
        assert line in text
    assert client.command("guest", "id")[1:] == ["-F", str(client.files.config), "-l", "guest", "board", "id"]


def test_output_comes_line_by_line_with_the_status(client: Ssh, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"given\n")
    got: list[str] = []
    script = "echo one; echo two >&2; read line; echo $line; exit 3"
    ran = client.run(script, seconds=PATIENCE, stdin=tmp_path / "input", on_line=got.append)
    assert (ran.status, ran.output) == (3, "one\ntwo\ngiven")
    assert got == ["one", "two", "given"]


def test_a_command_that_does_not_end_is_ended(client: Ssh) -> None:
    with pytest.raises(CoralforgeError) as caught:
        client.run("echo so far; exec /bin/sleep 1000", seconds=0.5)
    assert (caught.value.reason, caught.value.code) == ("board-timeout", ExitCode.BOARD)
    assert "so far" in caught.value.details


def test_a_lost_connection_is_no_exit_status(client: Ssh) -> None:
    with pytest.raises(CoralforgeError) as caught:
        client.run("gone", seconds=PATIENCE)
    assert caught.value.reason == "board-ssh"
    assert "console: Oops: 0000" in caught.value.details


def test_a_command_that_must_succeed_says_what_it_printed(client: Ssh) -> None:
    assert client.check("echo fine", seconds=PATIENCE) == "fine"
    with pytest.raises(CoralforgeError, match="exit status 4") as caught:
        client.check("echo no such file; exit 4", seconds=PATIENCE)
    assert "no such file" in caught.value.details


def test_without_a_client_it_is_said_how_to_get_one(
    client: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CoralforgeError) as caught:
        client.run("true", seconds=PATIENCE)
    assert (caught.value.reason, caught.value.code) == ("ssh-missing", ExitCode.MISSING)
    assert "openssh-client" in caught.value.remedy
