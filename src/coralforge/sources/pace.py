"""How slowly a server may answer: one clock for a whole answer, asked before each read from the connection.

A limit on each read alone is none: a server that sends a byte a second, as headers, between them, or around the bytes
of a file, is never late.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


@dataclass
class Pace:
    """Within ``seconds``, the head of an answer has to be there, and then each ``least`` bytes of the file."""

    seconds: float
    least: int
    came: int = 0
    """Bytes of the file since the clock was set."""
    _since: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Set the clock."""
        self.came, self._since = 0, time.monotonic()

    def count(self, size: int) -> None:
        """So many bytes of the file came."""
        self.came += size
        if self.came >= self.least:
            self.begin()

    def left(self) -> float:
        """Seconds until what is waited for is late. Raises TimeoutError: it is."""
        left = self._since + self.seconds - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class PacedSession(requests.Session):
    """A session for one thread, whose answers keep to its ``pace``."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self.pace = pace
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(pace))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: redirects are followed by hand. With a target, requests would read all of the body to memory."""


class _Adapter(HTTPAdapter):
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_pace(self.poolmanager, self._pace)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _use_pace(manager, self._pace)
        return manager


def _use_pace(manager: PoolManager, pace: Pace) -> None:
    """Let all connections of the manager, through a proxy's tunnel too, read their answers at a pace."""

    class Answer(_Answer):
        its_pace = pace

    class Plain(HTTPConnection):
        response_class = Answer

    class Secure(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


class _Answer(HTTPResponse):
    """An answer, status line and headers too, that is read at a pace."""

    its_pace: ClassVar[Pace]

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Paced(self.its_pace, sock, self.fp.detach()))


class _Paced(io.RawIOBase):
    """The bytes of a socket; no read of it may take longer than the pace leaves."""

    def __init__(self, pace: Pace, sock: Any, raw: io.RawIOBase) -> None:
        self._pace, self._sock, self._raw = pace, sock, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._pace.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
