"""Commands on a board, by the system's SSH client. What a board prints is cleaned and bounded before it is used."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from coralforge.board.refusals import refusal
from coralforge.containers.docker import lines
from coralforge.errors import CoralforgeError, board_error, missing_error

LOST = 255
"""The client's own exit status: no connection, or one that was lost."""
_MAX_OUTPUT = 1 << 24
_TAIL = 10


@dataclass(frozen=True)
class Ran:
    """How a command on the board ended, and what it wrote to stdout and stderr together."""

    status: int
    output: str


@dataclass(frozen=True)
class Remote:
    """A user on a board. Each command takes ``seconds`` at most; what takes longer is ended."""

    words: tuple[str, ...]
    """The client's command line up to the command."""
    name: str
    """Of the board, for people: "the board pi@raspberrypi"."""
    remedy: str
    """For a user, when the connection is lost."""
    console: Callable[[], str] = str
    """The end of the board's console, for errors; real boards show none."""
    logged_in: bool = False
    """Whether the connection stands already: that a login was refused is then nothing but a program's words."""

    def run(
        self,
        command: str,
        *,
        seconds: float,
        stdin: Path | bytes | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ran:
        """Run the words of a login shell; each line of its output goes to ``on_line`` as it comes.

        Raises:
            CoralforgeError: ``board-ssh`` (it does not answer, or the connection was lost), ``board-timeout``: exit
                code 9.
        """
        with _input(stdin) as source:
            process = subprocess.Popen(
                [*self.words, command], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        with _limited(process, seconds) as limit:
            output = _collect(process, on_line)
            status = process.wait()
        self._judge(limit, status, output, command)
        return Ran(status, output)

    def script(self, text: str, *arguments: str, seconds: float, on_line: Callable[[str], None] | None = None) -> Ran:
        """Run a script of the POSIX shell, with nothing on its stdin.

        It goes over stdin, so that the login shell may be any, and its length too. Raises as :meth:`run`.
        """
        return self.run("sh", seconds=seconds, stdin=packed(text, *arguments), on_line=on_line)

    def feed(self, command: str, chunks: Iterable[bytes], *, seconds: float) -> Ran:
        """Run the words of a login shell with ``chunks`` on their stdin; each may take ``seconds``.

        A command that ends early gets no more of them. Raises as :meth:`run`.
        """
        process = subprocess.Popen(
            [*self.words, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append(_collect(process, None)), daemon=True)
        with _limited(process, seconds) as limit:
            reader.start()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                for chunk in chunks:
                    process.stdin.write(chunk)
                    limit.again()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            status = process.wait()
            reader.join()
        output = "".join(said)
        self._judge(limit, status, output, command)
        return Ran(status, output)

    def check(self, command: str, *, seconds: float, stdin: Path | bytes | None = None) -> str:
        """The output of a command that must succeed.

        Raises:
            CoralforgeError: ``board-command``, exit code 9; and as :meth:`run`.
        """
        ran = self.run(command, seconds=seconds, stdin=stdin)
        if ran.status != 0:
            raise board_error(
                f"a command on {self.name} ended with exit status {ran.status}",
                reason="board-command",
                details=f"{command}\n" + "\n".join(ran.output.splitlines()[-_TAIL:]),
                remedy="try it there by hand; where it works, please report this as a bug",
            )
        return ran.output

    def _judge(self, limit: _Limit, status: int, output: str, command: str) -> None:
        """Raise if the command did not come to an end of its own."""
        said = output.splitlines()[-_TAIL:]
        if limit.expired:
            raise board_error(
                f"a command on {self.name} did not end within {limit.seconds:.0f} s",
                reason="board-timeout",
                details=self._details(command, *said),
                remedy="if the board or this machine is very busy, try again later",
            )
        if status == LOST:
            raise self.lost(output)

    def lost(self, output: str) -> CoralforgeError:
        """The error for a command that ended with the status ``LOST``: reason ``board-ssh``, exit code 9."""
        said = output.splitlines()[-_TAIL:]
        return refusal(self.name, () if self.logged_in else said, self._details(*said), self.remedy)

    def _details(self, *said: str) -> str:
        return "\n".join([*said, *(f"console: {line}" for line in self.console().splitlines())])


def packed(text: str, *arguments: str, own_stdin: bool = False) -> bytes:
    """A script with its arguments, for the stdin of ``sh``.

    It is one command to the shell, which so has read all of it before any part can read from stdin.
    """
    rest = "" if own_stdin else " </dev/null"
    return f"set -- {shlex.join(arguments)}\n{{\n{text}\nexit\n}}{rest}\n".encode()


def program(name: str) -> str:
    """The path of a program of the SSH client.

    Raises:
        CoralforgeError: ``ssh-missing``, exit code 3.
    """
    found = shutil.which(name)
    if found is None:
        raise missing_error(
            f"{name}, which boards are reached with, is not installed",
            reason="ssh-missing",
            remedy="apt-get install openssh-client, or run scripts/bootstrap --install board --status",
        )
    return found


class _Limit:
    """Ends a process that takes longer than ``seconds``, from the start or from the last :meth:`again`."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._process = process
        self.again()

    def again(self) -> None:
        self.stop()
        self._timer = threading.Timer(self.seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if timer := getattr(self, "_timer", None):
            timer.cancel()

    def _end(self) -> None:
        self.expired = True
        self._process.kill()


@contextlib.contextmanager
def _limited(process: subprocess.Popen[bytes], seconds: float) -> Iterator[_Limit]:
    limit = _Limit(process, seconds)
    try:
        yield limit
    finally:
        limit.stop()
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


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
def _input(source: Path | bytes | None) -> Iterator[int | IO[bytes]]:
    if source is None:
        yield subprocess.DEVNULL
    elif isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    else:
        with tempfile.TemporaryFile() as stream:
            stream.write(source)
            stream.seek(0)
            yield stream
