"""A stand-in for a Docker Engine that breaks: it hands calls on to the real one, and fails the one it was told to.

Calls are counted from 0 as they come, and so a test can try each of them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

ENGINE = Path("/var/run/docker.sock")
_CHUNK = 1 << 16
_HEAD_END = b"\r\n\r\n"


class How(str, Enum):
    """How a call fails."""

    REFUSED = "the connection ends before the engine heard of it"
    UNANSWERED = "the engine did it, and the connection ends without an answer"
    CUT = "the connection ends in the middle of the answer"
    ERROR = "the answer is an error of the engine"
    STALLED = "the engine never hears of it, and no answer comes"
    STALLED_ANSWER = "the answer stops in the middle"

    @property
    def stalls(self) -> bool:
        """Whether only a limit of time, or Ctrl-C, ends it."""
        return self in (How.STALLED, How.STALLED_ANSWER)


@dataclass(frozen=True)
class Fault:
    """The call that fails, and how. ``lasting``: all later ones are refused or stall too, as if the engine died."""

    call: int
    how: How
    lasting: bool = False

    def of(self, call: int) -> How | None:
        """The way in which that call fails, if it does."""
        if call == self.call:
            return self.how
        if self.lasting and call > self.call:
            return How.STALLED if self.how.stalls else How.REFUSED
        return None


@dataclass
class DockerProxy:
    """Listens on a socket of its own as long as the ``with`` block lasts. ``calls`` is what was asked for."""

    fault: Fault | None = None
    edit: Callable[[str, bytes], bytes] = field(default=lambda call, body: body)
    """Changes the body of a call before the engine gets it."""
    calls: list[str] = field(default_factory=list)
    failed: threading.Event = field(default_factory=threading.Event)
    """Set when the fault begins."""

    def __enter__(self) -> DockerProxy:
        self._folder = Path(tempfile.mkdtemp(prefix="cf-proxy-", dir="/tmp"))  # a socket's path is short
        self._folder.chmod(0o755)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.place))
        self.place.chmod(0o666)
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._lock:
            for one in (self._listener, *self._open):
                _end(one)
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._folder)

    @property
    def place(self) -> Path:
        """The socket."""
        return self._folder / "docker.sock"

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.place}"

    def _keep(self, one: socket.socket) -> socket.socket:
        with self._lock:
            self._open.append(one)
        return one

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client = self._keep(self._listener.accept()[0])
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        """One call; the connection ends with it."""
        with contextlib.suppress(OSError, EOFError):
            asked = _read(client)
            with self._lock:
                number = len(self.calls)
                self.calls.append(asked.name)
            how = self.fault.of(number) if self.fault else None
            if how is not None:
                self.failed.set()
            self._answer(client, asked, how)
        _end(client)

    def _answer(self, client: socket.socket, asked: _Call, how: How | None) -> None:
        if how is How.STALLED:
            self._over.wait()
        elif how is How.ERROR:
            body = b'{"message": "the engine is out of order"}'
            head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        elif how is not How.REFUSED:
            engine = self._keep(socket.socket(socket.AF_UNIX))
            try:
                engine.connect(str(ENGINE))
                engine.sendall(asked.with_body(self.edit(asked.name, asked.body)))
                if asked.upgrade:
                    threading.Thread(target=_copy, args=(client, engine), daemon=True).start()
                self._relay(engine, client, how)
            finally:
                _end(engine)

    def _relay(self, engine: socket.socket, client: socket.socket, how: How | None) -> None:
        first = engine.recv(_CHUNK)
        if how is None:
            client.sendall(first)
            _copy(engine, client)
            return
        if how is not How.UNANSWERED:
            for part in _half(first, lambda: engine.recv(_CHUNK)):
                client.sendall(part)
        if how is How.STALLED_ANSWER:
            self._over.wait()


def _half(first: bytes, more: Callable[[], bytes]) -> Iterator[bytes]:
    """The head of an answer and half of the first that comes after it; half of the head where nothing does."""
    head, _, body = first.partition(_HEAD_END)
    if head.split(b" ")[1:2] == [b"204"]:
        yield head[: len(head) // 2]
        return
    yield head + _HEAD_END
    body = body or more()
    yield body[: len(body) // 2]


@dataclass(frozen=True)
class _Call:
    """One request."""

    name: str
    head: bytes
    body: bytes

    @property
    def upgrade(self) -> bool:
        """Whether the connection becomes a stream."""
        return b"upgrade: tcp" in self.head.lower()

    def with_body(self, body: bytes) -> bytes:
        """The request with another body, as the last one of its connection."""
        lines = self.head.split(b"\r\n")
        dropped = (b"content-length:", b"transfer-encoding:", *(() if self.upgrade else (b"connection:",)))
        kept = [line for line in lines if not line.lower().startswith(dropped)]
        kept += [b"Content-Length: %d" % len(body), *([] if self.upgrade else [b"Connection: close"])]
        return b"\r\n".join(kept) + _HEAD_END + body


def _read(client: socket.socket) -> _Call:
    with client.makefile("rb") as stream:
        head = b""
        while not head.endswith(_HEAD_END):
            line = stream.readline()
            if not line:
                raise EOFError
            head += line
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = b""
        if length:
            body = stream.read(int(length[1]))
        elif b"transfer-encoding: chunked" in head.lower():
            while size := int(stream.readline(), 16):
                body += stream.read(size)
                stream.readline()
            stream.readline()
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    plain = re.sub(r"^/v[\d.]+", "", path.partition("?")[0])
    plain = re.sub(r"/(containers|images)/(?!json|create)[^/]+(/json|/tag)?", r"/\1/X\2", plain)
    return _Call(f"{method} {plain}", head.removesuffix(_HEAD_END), body)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
