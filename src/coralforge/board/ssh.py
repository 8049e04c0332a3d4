"""SSH to an emulated board, with a key, a configuration and known hosts of the board's own.

Nothing of the user's (~/.ssh, agent) is read or written.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coralforge.board.remote import Ran, Remote, program

USER = "coral"
"""The board's ordinary user: in the group plugdev, and may use sudo."""
GUEST = "guest"
"""A user who is in no group."""
ROOT = "root"
HOST = "board"


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
        command = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "coralforge", "-f", str(self.key)]
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
    """Commands on an emulated board, as any of its users.

    ``console`` gives the end of the board's console, for errors.
    """

    def __init__(self, files: SshFiles, console: Callable[[], str]) -> None:
        self.files = files
        self._console = console

    def command(self, user: str, *words: str) -> list[str]:
        """The client's command line, which a user may type too."""
        return [program("ssh"), "-F", str(self.files.config), "-l", user, HOST, *words]

    def remote(self, user: str = USER) -> Remote:
        """That user, by a connection for each command.

        Raises:
            CoralforgeError: ``ssh-missing``, exit code 3.
        """
        return Remote(
            words=tuple(self.command(user)),
            name="the emulated board",
            remedy="run the same command again; a board that `invoke board --start` started is stopped with "
            "`invoke board --stop`",
            console=self._console,
        )

    def run(
        self,
        script: str,
        *,
        user: str = USER,
        seconds: float,
        stdin: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ran:
        """As ``Remote.run``, for ``user``; also ``ssh-missing``, exit code 3."""
        return self.remote(user).run(script, seconds=seconds, stdin=stdin, on_line=on_line)

    def check(self, script: str, *, user: str = USER, seconds: float, stdin: Path | None = None) -> str:
        """As ``Remote.check``, for ``user``; also ``ssh-missing``, exit code 3."""
        return self.remote(user).check(script, seconds=seconds, stdin=stdin)
