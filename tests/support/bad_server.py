"""An HTTP server that answers as bad servers do, and what stands before them; on loopback, at a port of its own."""

from __future__ import annotations

import contextlib
import gzip
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from urllib.parse import unquote

HTML = b"<!DOCTYPE html><title>Log in</title>" + b"<p>Please log in to use this network.</p>" * 500
DRIPS = 50
PAUSE = 0.02  # seconds between two drips


@dataclass
class Asked:
    """One request, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    body: bytes
    rng: random.Random

    def answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        """``length`` is the one that is claimed; negative for none, and the connection ends it."""
        claimed = len(body) if length is None else length
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        if claimed >= 0:
            self.handler.send_header("Content-Length", str(claimed))
        self.handler.end_headers()
        self.send(body)

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)

    def reset(self) -> None:
        """The connection is gone, without a goodbye."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()


Fault = Callable[[Asked], None]


def fine(asked: Asked) -> None:
    asked.answer(200, asked.body)


def missing(asked: Asked) -> None:
    asked.answer(404, b"no")


def flip(asked: Asked) -> None:
    data = bytearray(asked.body)
    data[asked.rng.choice((0, len(data) - 1, asked.rng.randrange(len(data))))] ^= 1 << asked.rng.randrange(8)
    asked.answer(200, bytes(data))


def truncated(asked: Asked) -> None:
    asked.answer(200, asked.body[: asked.rng.randrange(len(asked.body))])


def cut(asked: Asked) -> None:
    asked.answer(200, asked.body[: asked.rng.randrange(len(asked.body))], length=len(asked.body))


def cut_without_a_length(asked: Asked) -> None:
    asked.answer(200, asked.body[: asked.rng.randrange(len(asked.body))], length=-1)


def empty(asked: Asked) -> None:
    asked.answer(200)


def longer(asked: Asked) -> None:
    asked.answer(200, asked.body + b"\0")


def longer_without_a_length(asked: Asked) -> None:
    asked.answer(200, asked.body + asked.body, length=-1)


def huge(asked: Asked) -> None:
    asked.answer(200, b"\0" * (1 << 16), length=1 << 40)


def wrong_length(asked: Asked) -> None:
    asked.answer(200, asked.body, length=asked.rng.choice((len(asked.body) - 1, len(asked.body) + 1)))


def length(text: str) -> Fault:
    return lambda asked: asked.answer(200, asked.body, length=-1, Content_Length=text)


def redirect(location: str) -> Fault:
    return lambda asked: asked.answer(302, Location=location)


def come_again(after: str) -> Fault:
    return lambda asked: asked.answer(429, Retry_After=after)


def html(asked: Asked) -> None:
    asked.answer(200, HTML, Content_Type="text/html")


def packed(asked: Asked) -> None:
    asked.answer(200, gzip.compress(asked.body), Content_Encoding="gzip")


def in_bad_chunks(asked: Asked) -> None:
    asked.answer(200, length=-1, Transfer_Encoding="chunked")
    asked.send(b"%x\r\n" % len(asked.body) + asked.body[: len(asked.body) // 2])


def in_chunks_of_nonsense(asked: Asked) -> None:
    asked.answer(200, b"what?\r\n" + asked.body, length=-1, Transfer_Encoding="chunked")


def part_of_another(asked: Asked) -> None:
    asked.answer(206, asked.body[100:], Content_Range=f"bytes 0-{len(asked.body) - 101}/{len(asked.body)}")


def no_content(asked: Asked) -> None:
    asked.answer(204)


def unauthorized(asked: Asked) -> None:
    asked.answer(401, HTML, WWW_Authenticate="Basic")


def forbidden(asked: Asked) -> None:
    asked.answer(403, HTML)


def broken(asked: Asked) -> None:
    asked.answer(asked.rng.choice((500, 502)), HTML)


def unavailable(asked: Asked) -> None:
    asked.answer(503, HTML, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT")


def reset_at_once(asked: Asked) -> None:
    asked.reset()


def reset_midway(asked: Asked) -> None:
    asked.answer(200, asked.body[: len(asked.body) // 2], length=len(asked.body))
    asked.reset()


def not_http(asked: Asked) -> None:
    asked.send(b"220 mail.example ESMTP\r\n" + bytes(range(256)))


def endless_headers(asked: Asked) -> None:
    asked.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000)


def endless_header(asked: Asked) -> None:
    asked.send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20))


def circle(asked: Asked) -> None:
    asked.answer(302, Location=asked.handler.path)


def longer_and_longer(asked: Asked) -> None:
    asked.answer(301, Location=asked.handler.path + "/x")


def to_another_file(asked: Asked) -> None:
    asked.answer(307, Location="/elsewhere")


def to_another_file_with_a_body_that_never_comes(asked: Asked) -> None:
    asked.answer(302, length=1 << 40, Location="/elsewhere")
    silent(asked)


def silent(asked: Asked) -> None:
    """No answer at all, or none any more, until the client goes."""
    asked.handler.connection.recv(1)


FAULTS: dict[str, Fault] = {
    one.__name__.replace("_", " "): one
    for one in (
        flip, truncated, cut, cut_without_a_length, empty, longer, longer_without_a_length, huge, wrong_length,
        html, packed, in_bad_chunks, in_chunks_of_nonsense, part_of_another, no_content,
        unauthorized, forbidden, broken, unavailable, reset_at_once, reset_midway, not_http,
        endless_headers, endless_header, circle, longer_and_longer, to_another_file,
        to_another_file_with_a_body_that_never_comes, missing,
    )
}  # fmt: skip
NUMBERS = ("many", "-5", "1e3", "0x10", "\xb2", "9" * 5000, " ", "5, 6")
LOCATIONS = (
    "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http://[", "//", "http://127.0.0.1:port/",
    "http://127.0.0.1:99999/", "http://127.0.0.1:1/", "http://\xff/", "\\\\x", "", "?", "http://a b/",
    "http://" + "a" * 70,
)  # fmt: skip
FAULTS |= {f"length {text[:9]!r}": length(text) for text in NUMBERS}
FAULTS |= {f"Retry-After {text[:9]!r}": come_again(text) for text in ("3600", "0", *NUMBERS)}
FAULTS |= {f"redirect to {text[:24]!r}": redirect(text) for text in LOCATIONS}


def stalled(asked: Asked) -> None:
    """Half of it, and then nothing until the client goes."""
    asked.answer(200, asked.body[: len(asked.body) // 2], length=len(asked.body))
    silent(asked)


_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DRIPPING: dict[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "its body": lambda body: (_HEAD + b"Content-Length: %d\r\n\r\n" % len(body), b"x"),
    "its status": lambda body: (b"HTTP/1.1 200 ", b"O"),
    "its headers": lambda body: (_HEAD + b"X: ", b"y"),
    "answers before the answer": lambda body: (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the length of a chunk": lambda body: (_CHUNKED + b"5;", b"x"),
    "headers after the body": lambda body: (_CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(body), body), b"X: y\r\n"),
}
"""By what drips: what comes at once of an answer with a body, and what then comes again and again, slowly."""


@dataclass
class Drip:
    """A word now and then, for ever, or ``most`` times; counts how many one client took."""

    what: str
    """In DRIPPING."""
    most: float = inf
    taken: int = 0

    def __call__(self, asked: Asked) -> None:
        at_once, word = DRIPPING[self.what](asked.body)
        asked.send(at_once)
        self.taken = 0
        while self.taken < self.most:
            time.sleep(PAUSE)
            asked.send(word)
            self.taken += 1
        asked.reset()


@dataclass
class BadServer:
    """The folders of the server: their bytes, and how each is given."""

    port: int
    bodies: dict[str, bytes] = field(default_factory=dict)
    """By the path's first part: the right bytes."""
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """All paths, in order."""
    seed: object = 0

    def url(self, folder: str) -> str:
        return f"http://127.0.0.1:{self.port}/{folder}"

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(handler.path).lstrip("/")
        self.asked.append(path)
        folder = path.partition("/")[0]
        rng = random.Random(f"{self.seed} {len(self.asked)}")
        asked = Asked(handler, self.bodies.get(folder, b"something else"), rng)
        with contextlib.suppress(OSError):
            self.faults.get(folder, missing)(asked)


@contextmanager
def bad_server() -> Iterator[BadServer]:
    """Runs until the end of the block."""
    served: list[BadServer] = []

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True  # else a body waits 40 ms for the client's word that it has the headers

        def do_GET(self) -> None:
            served[0].serve(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what it was asked is in ``BadServer.asked``."""

        def finish(self) -> None:
            with contextlib.suppress(OSError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.append(BadServer(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
