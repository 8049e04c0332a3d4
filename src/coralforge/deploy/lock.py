"""The lock of a folder on a board: one deploy at a time, from whatever machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from coralforge.board.remote import LOST, Remote, packed
from coralforge.containers.docker import lines
from coralforge.deploy import scripts
from coralforge.deploy.facts import failed
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Sink

WAIT_SECONDS = 60
_NET = 120.0  # seconds more, after which a board that has not given the lock is given up
_KEPT = 100  # lines of the board's
_TOO_LONG = 3  # hold.sh's exit status
_LOCK = re.compile(r"(?P<key>\S+ \d+ \d+) (?P<machine>\S+) (?P<process>\d+) (?P<began>\d+) (?P<who>.*)")


@contextlib.contextmanager
def held(remote: Remote, to: str, sink: Sink, wait: int = WAIT_SECONDS) -> Iterator[None]:
    """Make the folder ``to`` on a board, and hold its lock for the block.

    A lock whose holder is gone is taken away: the board knows when a process there has ended, and this machine knows
    it of the processes here.

    Raises:
        CoralforgeError: ``board-busy`` (exit code 8): another one has held it for ``wait`` seconds;
            ``board-command``, ``board-space``, ``board-ssh`` (9).
    """
    holder = _Holder(remote, to, wait, sink)
    try:
        other = holder.take()
        if other and _is_gone(other):
            holder.end()
            sink.emit(Note(f"{_people(other)} is gone and has left its lock there: it is taken away", "warning"))
            other = holder.take(other)
        while other:
            other = holder.go_on()
        yield
    finally:
        holder.end()


class _Holder:
    """The process on the board that holds the lock."""

    def __init__(self, remote: Remote, to: str, wait: int, sink: Sink) -> None:
        self._remote = remote
        self._to = to
        self._wait = wait
        self._sink = sink
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: Iterator[str] = iter(())
        self._timer: threading.Timer | None = None
        self._output: deque[str] = deque(maxlen=_KEPT)
        self._other = ""

    def take(self, broken: str = "") -> str:
        """Try to get the lock, after ``broken`` was taken away; returns that of the one who has it, or nothing."""
        me = f"{_machine()} {os.getpid()} {_began(os.getpid())} {_who()}"
        text = packed(scripts.text("hold"), self._to, me, broken, str(self._wait), own_stdin=True)
        self._process = subprocess.Popen(
            [*self._remote.words, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        self._lines = lines(iter(lambda: os.read(stdout, 1 << 12), b""))
        self._timer = threading.Timer(self._wait + _NET, self._process.kill)
        self._timer.daemon = True
        self._timer.start()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(text)
            self._process.stdin.flush()
        return self.go_on()

    def go_on(self) -> str:
        """Wait until the lock is got, or another one has it: returns that one's, or nothing."""
        for line in self._lines:
            self._output.append(line)
            found = scripts.answers(line)
            if "held" in found:
                self._stop_limit()
                return ""
            if "stale" in found:
                told = _people(scripts.first(found, "stale"))
                self._sink.emit(Note(f"{told} is gone and has left its lock there: it is taken away", "warning"))
            if "busy" in found:
                self._other = scripts.first(found, "busy")
                self._sink.emit(Note(f"{_people(self._other)} deploys there: waiting"))
                return self._other
        assert self._process is not None
        if self._process.wait() == _TOO_LONG and self._other:
            raise _busy(self._remote, self._to, self._other, self._wait)
        raise self._failed(self._process.returncode)

    def _failed(self, status: int) -> CoralforgeError:
        output = "\n".join(self._output)
        return (
            self._remote.lost(output)
            if status == LOST
            else failed(self._remote, f"{self._to} cannot be made, or a link in it", output)
        )

    def _stop_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """Let the lock go."""
        process, self._process = self._process, None
        self._stop_limit()
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _is_gone(lock: str) -> bool:
    """Whether a lock was made on this machine, by a process that has ended: its connection is a dead one."""
    found = _LOCK.fullmatch(lock)
    if found is None or found["machine"] != _machine():
        return False
    return _began(int(found["process"])) != int(found["began"])


def _machine() -> str:
    """This machine since it was started, as far as its processes see each other; names of hosts are not unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return f"{_word(boot.strip())}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"unknown-{_word(socket.gethostname())}"


def _began(process: int) -> int:
    """When a process of this machine began, in ticks since the boot; 0 where there is none."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _who() -> str:
    now = datetime.fromtimestamp(time.time(), timezone.utc)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid that has no name, as in a container
        user = ""
    return f"{_word(user)}@{_word(socket.gethostname())} since {now:%Y-%m-%d %H:%M:%S} UTC"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:64] or "unknown"


def _people(lock: str) -> str:
    """The holder of a lock, for people."""
    found = _LOCK.fullmatch(lock)
    return f"{found['who'][:160]} (process {found['process']})" if found else lock[:160]


def _busy(remote: Remote, to: str, lock: str, wait: int) -> CoralforgeError:
    process = lock.split(" ")[1] if lock.count(" ") > 1 else "?"
    return CoralforgeError(
        f"{_people(lock)} deploys to {to} on {remote.name}, and has not ended within {wait} s",
        reason="board-busy",
        code=ExitCode.BUSY,
        remedy=f"wait for it; if that run is gone, end what it left on the board, process {process}, and it lets "
        "the lock go",
    )
