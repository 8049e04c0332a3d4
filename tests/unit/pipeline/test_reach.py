"""Whether a server answers is known before Bazel starts, and what it is when it must not be used."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from coralforge.config.remote import Remote
from coralforge.pipeline.remote.reach import TlsFiles, Trouble, trouble
from tests.support.pki import Authority
from tests.support.tls_server import echo_server


def at(port: int, scheme: str = "grpcs") -> Remote:
    """Of this machine's loopback, which pipeline.yaml may not name."""
    return Remote.model_construct(cache=f"{scheme}://127.0.0.1:{port}", timeout=10)


def asked(port: int, authority: Authority, scheme: str = "grpcs") -> Trouble | None:
    return trouble(at(port, scheme), TlsFiles(authority.certificate, None, None) if scheme == "grpcs" else None)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


def test_a_server_that_answers_is_no_trouble(tmp_path: Path, authority: Authority) -> None:
    with echo_server(authority.sign(tmp_path, "server", "IP:127.0.0.1")) as port:
        assert asked(port, authority) is None
        assert asked(port, authority, "grpc") is None


def test_nobody_there_is_away(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = asked(port, authority)
    assert found == Trouble(f"grpcs://127.0.0.1:{port}", "connection refused", away=True)


def test_another_authority_or_name_is_not_away_but_wrong(tmp_path: Path, authority: Authority) -> None:
    with echo_server(authority.sign(tmp_path, "server", "IP:127.0.0.1")) as port:
        found = asked(port, Authority.make(tmp_path, "other"))
    assert found is not None and not found.away and "its certificate is not trusted" in found.why
    with echo_server(authority.sign(tmp_path, "elsewhere", "DNS:elsewhere.example")) as port:
        found = asked(port, authority)
    assert found is not None and not found.away and "not valid for '127.0.0.1'" in found.why


def test_a_server_without_tls_is_not_used_with_it(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        import threading

        threading.Thread(target=answer, daemon=True).start()
        found = asked(server.getsockname()[1], authority)
    assert found is not None and not found.away and "TLS" in found.why
