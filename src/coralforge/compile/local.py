"""Runs a program of this machine, bounded: in its own process group, for so long, with so much output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from coralforge.util.signals import stop_held_back

MAX_OUTPUT = 4 << 20
_MAX_FILE = 1 << 30
_CHUNK = 1 << 16
_POLL = 0.2
# No core dumps, and no file above a limit that ulimit takes in units of 512 bytes. exec: no shell stays in between.
_LIMITS = f'ulimit -c 0; ulimit -f {_MAX_FILE // 512}; exec "$0" "$@"'


class Stop(Enum):
    """Why a program was stopped from outside."""

    TIME = "time"
    OUTPUT = "output"
    MEMORY = "memory"


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit status (128 + N for signal N), stdout and stderr together, wall seconds."""

    status: int
    output: str
    seconds: float
    stopped: Stop | None = None


@dataclass(frozen=True)
class LocalProgram:
    """A program on this machine; it runs as the user that runs coralforge, with the user's network."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def run(self, arguments: Sequence[str], folder: Path, seconds: float) -> Ended:
        """Run it in ``folder`` for at most ``seconds``. Whatever ends it, nothing of its process group stays.

        A program that cannot be started ends with 126 or 127, as a shell has it.
        """
        started = time.monotonic()
        process = None
        try:
            with stop_held_back():
                process = self._start(arguments, folder)
            output, stopped = _collect(process, started + seconds)
        finally:
            if process is not None:
                _end(process)
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Ended(status, output.decode("utf-8", "replace"), time.monotonic() - started, stopped)

    def _start(self, arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ("/bin/sh", "-c", _LIMITS, str(self.path), *arguments),
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _environment(folder: Path) -> dict[str, str]:
    """Little: what the compiler does must not depend on a user's settings, and it has no business in their home."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}


def _collect(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, Stop | None]:
    """Everything that is printed until the program ends, even if a child of it holds the pipe open."""
    assert process.stdout is not None
    output = bytearray()
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        ended = False
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(output), Stop.TIME
            readable = selector.select(0 if ended else min(left, _POLL))
            chunk = os.read(process.stdout.fileno(), _CHUNK) if readable else None
            if chunk == b"" or (chunk is None and ended):
                return bytes(output), _wait(process, deadline)
            output += chunk or b""
            if len(output) > MAX_OUTPUT:
                return bytes(output), Stop.OUTPUT
            ended = ended or _has_ended(process)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> Stop | None:
    """A program may close its output and go on."""
    while not _has_ended(process):
        if time.monotonic() > deadline:
            return Stop.TIME
        time.sleep(_POLL / 10)
    return None


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it: until then its id is not given to another process group."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
