"""One connection to a board of the user's, which all commands share.

The user's own SSH configuration, agent, jump hosts and known hosts decide how the board is reached and who it is. The
client asks for a password or passphrase once, on the terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coralforge.board.refusals import refusal
from coralforge.board.remote import Remote, program
from coralforge.containers.docker import lines
from coralforge.errors import CoralforgeError, board_error, user_error

_POLL = 0.02
_SECONDS = 180.0  # for a connection that nobody at a terminal can hold up
_MAX_SAID = 1 << 16
_USER = r"[A-Za-z0-9_.][A-Za-z0-9_.@$\\+-]{0,63}"
_HOST = r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}"
_ADDRESS = r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?"
_TARGET = re.compile(
    rf"(?P<url>ssh://)?(?:(?P<user>{_USER})@)?(?:\[(?P<address>{_ADDRESS})\]|(?P<host>{_HOST}))"
    r"(?::(?P<port>\d{1,5}))?/?"
)
_OPTIONS = {
    "StrictHostKeyChecking": "yes",  # whatever the user's configuration says: an unknown key is refused
    "LogLevel": "ERROR",
    "ConnectTimeout": "60",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ExitOnForwardFailure": "no",
    "ClearAllForwardings": "yes",
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ControlPersist": "no",
    "SessionType": "none",
}
_SESSION = {
    "ControlMaster": "no",
    "ProxyCommand": "false",  # where the connection is gone, no other one is made
    "LogLevel": "ERROR",
}


@dataclass(frozen=True)
class Target:
    """Where the client is to connect to: what it calls a destination, and a port where one was given."""

    destination: str
    port: int | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.destination + (f":{self.port}" if self.port else "")

    @property
    def file_name(self) -> str:
        """The host as part of a file's name."""
        host = self.destination.rpartition("@")[2]
        return re.sub(r"[^A-Za-z0-9.-]+", "-", host).strip(".-")[:64] or "board"

    def arguments(self, config: Path | None) -> list[str]:
        """The client's arguments that lead there; ``config`` is read instead of the user's."""
        return [
            *(["-F", str(config)] if config else []),
            *(["-p", str(self.port)] if self.port else []),
            self.destination,
        ]

    @classmethod
    def of(cls, said: str) -> Target:
        """The target that a user names: ``[USER@]HOST[:PORT]``, a host of ssh_config, or ``ssh://...``.

        Raises:
            CoralforgeError: ``board-unknown``, exit code 2.
        """
        found = _TARGET.fullmatch(said)
        port = int(found["port"]) if found and found["port"] else None
        if found is None or (port is not None and not 0 < port < 1 << 16):
            raise user_error(
                f"--board {said[:100]!r} is no place that SSH can connect to",
                reason="board-unknown",
                remedy="give USER@HOST, USER@HOST:PORT, [ADDRESS]:PORT or a host of your ~/.ssh/config",
            )
        user = f"{found['user']}@" if found["user"] else ""
        return cls(f"{user}{found['address'] or found['host']}", port)


@contextlib.contextmanager
def connect(target: Target, config: Path | None = None) -> Iterator[Remote]:
    """A connection that stands for the block; it is never made anew.

    Args:
        target: where to.
        config: an ssh_config to read instead of the user's.

    Raises:
        CoralforgeError: ``ssh-missing`` (exit code 3); ``board-host-key``, ``board-login``, ``board-ssh`` (9).
    """
    client = program("ssh")
    folder = Path(tempfile.mkdtemp(prefix="cf-", dir="/tmp"))  # a socket's path may have 100 characters
    socket, log = folder / "s", folder / "log"
    try:
        with log.open("wb") as stream:
            command = [client, "-M", "-N", "-T", "-a", "-x", "-S", str(socket), *_words(_options())]
            master = subprocess.Popen(
                [*command, *target.arguments(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
            )
        try:
            _wait(master, socket, log, target, config)
            yield Remote(
                words=(client, "-F", "none", "-T", "-S", str(socket), *_words(_SESSION), "board"),
                name=f"the board {target.name}",
                remedy="look at network, cable and power, then run the same command again: what was copied is kept",
                logged_in=True,
            )
        finally:
            _end(master)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def by_hand(target: Target, config: Path | None = None) -> str:
    """The command with which a user logs in."""
    return shlex.join(["ssh", *target.arguments(config)])


def has_terminal() -> bool:
    """Whether the client can ask its user something."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _options() -> dict[str, str]:
    asks = has_terminal() or "SSH_ASKPASS" in os.environ
    return _OPTIONS if asks else {**_OPTIONS, "BatchMode": "yes"}


def _words(options: dict[str, str]) -> list[str]:
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def _wait(master: subprocess.Popen[bytes], socket: Path, log: Path, target: Target, config: Path | None) -> None:
    """Until the connection stands. The client makes its socket when it is logged in."""
    deadline = None if has_terminal() else time.monotonic() + _SECONDS
    while not socket.exists():
        if master.poll() is not None:
            raise _refused(log, target, config)
        if deadline is not None and time.monotonic() > deadline:
            raise board_error(
                f"the board {target.name} did not let anybody in within {_SECONDS:.0f} s",
                reason="board-ssh",
                details="\n".join(_said(log)),
                remedy=f"try by hand: {by_hand(target, config)}",
            )
        time.sleep(_POLL)


def _refused(log: Path, target: Target, config: Path | None) -> CoralforgeError:
    said = _said(log)
    command = by_hand(target, config)
    return refusal(f"the board {target.name}", said, "\n".join(said[-12:]), f"see that `{command}` works", command)


def _said(log: Path) -> list[str]:
    with log.open("rb") as stream:
        return [line for line in lines(iter([stream.read(_MAX_SAID)])) if line.strip()]


def _end(master: subprocess.Popen[bytes]) -> None:
    master.terminate()
    try:
        master.wait(10)
    except subprocess.TimeoutExpired:
        master.kill()
        master.wait()
