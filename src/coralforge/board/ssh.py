"""SSH to an emulated board: the system's own client, with a key, a configuration and known hosts of the board's own.

Nothing of the user's (~/.ssh, agent) is read or written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from coralforge.containers.docker import lines
from coralforge.errors import build_error, missing_error

USER = "coral"
"""The board's ordinary user: in the group plugdev, and may use sudo."""
GUEST = "guest"
"""A user who is in no group."""
ROOT = "root"
HOST = "board"
_LOST = 255
_MAX_OUTPUT = 1 << 24


@dataclass(frozen=True)
class Ran:
    """How a command on the board ended, and what it wrote to stdout and stderr together."""

    status: int
    output: str


@dataclass(frozen=True)
class SshFiles:
    """The files below ``folder`` that the client is given."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def config(self) -> Path:
        """Use it as ``ssh -F CONFIG board``; scp, sftp and rsync take it too."""
        return self.folder / "ssh_config"

    def make_key(self) -> str:
        """A new key pair; returns the public half in base64.

        Raises:
            CoralforgeError: ``ssh-missing``, exit code 3.
        """
        command = [_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "coralforge", "-f", str(self.key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return self.key.with_suffix(".pub").read_text(encoding="ascii").split()[1]

    def write_config(self, port: int) -> None:
        """The configuration for a board whose SSH is at ``port`` of 127.0.0.1."""

        def quoted(path: Path) -> str:
            return '"' + str(path).replace("%", "%%") + '"'

        settings = {
            "HostName": "127.0.0.1",
            "Port": str(port),
            "User": USER,
            "IdentityFile": quoted(self.key),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": quoted(self.folder / "known_hosts"),
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "accept-new",  # its key is as new as the board
            "PreferredAuthentications": "publickey",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            # Emulated processors are slow at this; a board that is gone is noticed all the same.
            "ConnectTimeout": "60",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "8",
        }
        text = "".join(f"  {key} {value}\n" for key, value in settings.items())
        self.config.write_text(f"Host {HOST}\n{text}", encoding="utf-8")


class Ssh:
    """Commands on the board. Each takes ``seconds`` at most; what takes longer is ended.

    ``console`` gives the end of the board's console, for errors.
    """

    def __init__(self, files: SshFiles, console: Callable[[], str]) -> None:
        self.files = files
        self._console = console

    def command(self, user: str, *words: str) -> list[str]:
        """The client's command line, which a user may type too."""
        return [_program("ssh"), "-F", str(self.files.config), "-l", user, HOST, *words]

    def run(
        self,
        script: str,
        *,
        user: str = USER,
        seconds: float,
        stdin: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ran:
        """Run a shell's words; each line of its output goes to ``on_line`` as it comes.

        Raises:
            CoralforgeError: ``board-ssh`` (it does not answer, or the connection was lost), ``board-timeout``: exit
                code 5; ``ssh-missing``, exit code 3.
        """
        command = self.command(user, script)
        with _input(stdin) as source:
            process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        expired = threading.Event()

        def end() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            output = _collect(process, on_line)
            status = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if expired.is_set():
            raise build_error(
                f"a command on the emulated board did not end within {seconds:.0f} s",
                reason="board-timeout",
                details=self._details(script, *output.splitlines()[-10:]),
                remedy="if this machine is very busy, try again later",
            )
        if status == _LOST:
            raise build_error(
                "the emulated board does not answer by SSH, or the connection to it was lost",
                reason="board-ssh",
                details=self._details(*output.splitlines()[-5:]),
                remedy="run the same command again; a board that `invoke board --start` started is stopped with "
                "`invoke board --stop`",
            )
        return Ran(status, output)

    def _details(self, *said: str) -> str:
        return "\n".join([*said, *(f"console: {line}" for line in self._console().splitlines())])

    def check(self, script: str, *, user: str = USER, seconds: float, stdin: Path | None = None) -> str:
        """The output of a command that must succeed.

        Raises:
            CoralforgeError: ``board-command``, exit code 5; and as :meth:`run`.
        """
        ran = self.run(script, user=user, seconds=seconds, stdin=stdin)
        if ran.status != 0:
            raise build_error(
                f"a command on the emulated board ended with exit status {ran.status}",
                reason="board-command",
                details=f"{script}\n" + "\n".join(ran.output.splitlines()[-10:]),
            )
        return ran.output


def _collect(process: subprocess.Popen[bytes], on_line: Callable[[str], None] | None) -> str:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    kept: list[str] = []
    size = 0
    for line in lines(iter(lambda: os.read(descriptor, 1 << 16), b"")):
        if on_line is not None:
            on_line(line)
        size += len(line) + 1
        if size <= _MAX_OUTPUT:
            kept.append(line)
    return "\n".join(kept)


@contextlib.contextmanager
def _input(path: Path | None) -> Iterator[int | IO[bytes]]:
    if path is None:
        yield subprocess.DEVNULL
    else:
        with path.open("rb") as stream:
            yield stream


def _program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise missing_error(
            f"{name}, which the emulated board is reached with, is not installed",
            reason="ssh-missing",
            remedy="apt-get install openssh-client, or run scripts/bootstrap --install board --status",
        )
    return program
