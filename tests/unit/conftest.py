"""Unit tests cannot reach Docker or the network: what one of them needs, it makes itself."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

OUT_OF_BOUNDS = ("apt-get", "docker", "dockerd", "mmdebstrap", "ssh", "sudo")


def is_loopback(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def is_allowed(address: object) -> bool:
    """Loopback, and unix sockets other than Docker's."""
    if isinstance(address, tuple):
        return is_loopback(address[0])
    path = os.fsdecode(address) if isinstance(address, (str, bytes)) else ""
    return not Path(path).name.startswith("docker")


def guarded(original: Callable[..., Any], address_at: int, allowed: Callable[[Any], bool]) -> Callable[..., Any]:
    """``original``, refusing an address at position ``address_at`` (negative: from the end) that is not allowed."""

    def guard(*args: Any, **kwargs: Any) -> Any:
        if not allowed(args[address_at]):
            raise RuntimeError(f"a unit test tried to reach {args[address_at]!r}; see tests/unit/conftest.py")
        return original(*args, **kwargs)

    return guard


# Per module, not per function: hypothesis runs many examples in one function.
@pytest.fixture(autouse=True, scope="module")
def no_outside_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    stubs = tmp_path_factory.mktemp("out-of-bounds")
    for name in OUT_OF_BOUNDS:
        stub = stubs / name
        stub.write_text('#!/bin/sh\necho "a unit test ran $0 $*" >&2\nexit 97\n')
        stub.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, guarded(getattr(socket.socket, method), -1, is_allowed))
        patch.setattr(socket, "getaddrinfo", guarded(socket.getaddrinfo, 0, is_loopback))
        patch.setattr(socket, "gethostbyname", guarded(socket.gethostbyname, 0, is_loopback))
        for name in os.environ:
            if name.startswith("CORALFORGE_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("PATH", f"{stubs}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        patch.setenv("CORALFORGE_CACHE", str(stubs / "cache"))
        yield
