"""An archive on its way to a board: rsync where both ends have it, else a stream that goes on where it ended."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from coralforge.board.remote import Remote
from coralforge.containers.docker import lines
from coralforge.deploy.facts import Facts, failed
from coralforge.events import Note, Progress, Sink

NAME = "copy"
_CHUNK = 1 << 15
_SECONDS = 300.0  # for one chunk: a connection that is dead is noticed before, by the client
_RSYNC = ("--info=progress2", "--no-h", "--stats", "--partial", "--inplace", "--timeout=300", "-s")
_KEPT = 200  # lines
_SENT = re.compile(r"Total bytes sent: ([0-9][0-9,.]{0,20})")
_PERCENT = re.compile(r"(\d{1,3})%")


def copy(remote: Remote, facts: Facts, archive: Path, to: str, arrived: int, sink: Sink) -> int:
    """Copy an archive to the path ``to`` on a board that has ``arrived`` bytes of it; returns how many went over.

    Its digest is for the board to check.

    Raises:
        CoralforgeError: ``board-ssh``, ``board-timeout``, ``board-space``, ``board-command``, exit code 9. What
            arrived stays there for the next run, unless there is no space left.
    """
    if rsync := "rsync" in facts.tools and shutil.which("rsync"):
        ran = _rsync(rsync, remote, archive, to, sink)
        if ran is not None:
            return ran
    return _stream(remote, archive, to, arrived, sink)


def _stream(remote: Remote, archive: Path, to: str, arrived: int, sink: Sink) -> int:
    size = archive.stat().st_size
    word = shlex.quote(to)
    if arrived > size:
        remote.check(f"rm -f {word}", seconds=_SECONDS)
        arrived = 0
    if arrived:
        sink.emit(Note(f"{arrived / 1e6:.1f} of {size / 1e6:.1f} MB are there from an earlier run"))
    ran = remote.feed(f"cat >>{word}", _chunks(archive, arrived, size, sink), seconds=_SECONDS)
    if ran.status != 0:
        remote.run(f"rm -f {word}", seconds=_SECONDS)  # what is there fills the disk
        raise failed(remote, "the copy was not taken", ran.output)
    return size - arrived


def _chunks(archive: Path, start: int, size: int, sink: Sink) -> Iterator[bytes]:
    with archive.open("rb") as stream:
        stream.seek(start)
        done = start
        while chunk := stream.read(_CHUNK):
            yield chunk
            done += len(chunk)
            sink.emit(Progress(NAME, done, size, "bytes"))


def _rsync(program: str, remote: Remote, archive: Path, to: str, sink: Sink) -> int | None:
    """The bytes that went over; None where rsync could not do it, for a reason that another way may not have."""
    size = archive.stat().st_size
    command = [program, *_RSYNC, "-e", shlex.join(remote.words[:-1]), str(archive), f"{remote.words[-1]}:{to}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said: deque[str] = deque(maxlen=_KEPT)
    try:
        assert process.stdout is not None
        stdout = process.stdout.fileno()
        for line in lines(iter(lambda: os.read(stdout, 1 << 12).replace(b"\r", b"\n"), b"")):
            if found := _PERCENT.search(line):
                sink.emit(Progress(NAME, size * min(int(found[1]), 100) // 100, size, "bytes"))
            else:
                said.append(line)
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    output = "\n".join(said)
    if status == 0:
        found = _SENT.search(output)
        return int(re.sub(r"\D", "", found[1])) if found else size
    if "No space left" in output:
        remote.run(f"rm -f {shlex.quote(to)}", seconds=_SECONDS)
        raise failed(remote, "the copy was not taken", output)
    remote.run("true", seconds=_SECONDS)  # ends here if the connection is lost
    sink.emit(Note(f"rsync ended with exit status {status}: the copy goes on without it", "warning"))
    return None
