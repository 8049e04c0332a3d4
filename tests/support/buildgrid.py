"""A remote cache of BuildGrid's, in an environment of its own, with TLS and a token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.support.patience import wait_until
from tests.support.pki import Authority

LOCK = ROOT / "tests/integration/remote/requirements.lock"
OLDEST = (3, 11)
"""Of Python, for BuildGrid 0.4.4."""
INSTANCE = "coral"
_SECRET = "the-secret-that-signs-tokens-of-the-test"
_CONFIG = """\
server:
  - !channel
    address: "{host}:{port}"
    insecure-mode: false
    credentials: {{tls-server-key: "{key}", tls-server-cert: "{certificate}"}}
authorization: {{method: jwt, secret: "{secret}", algorithm: hs256}}
storages:
  - !disk-storage &cas
    path: "{folder}/cas"
caches:
  - !lru-action-cache &results
    storage: *cas
    max-cached-refs: 10000
    allow-updates: true
instances:
  - name: {instance}
    services: [!action-cache {{cache: *results}}, !cas {{storage: *cas}}, !bytestream {{storage: *cas}}]
thread-pool-size: 50
"""


@dataclass(frozen=True)
class CacheServer:
    """One that runs."""

    address: str
    authority: Authority
    token: str


def install(folder: Path) -> Path:
    """Install BuildGrid from its lock file into ``folder``; returns its program."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip: list[str | Path] = [
        folder / "bin/pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
    ]
    subprocess.run([*pip, "--only-binary", ":all:", "-r", LOCK], check=True)
    return folder / "bin/bgd"


@contextmanager
def cache_server(program: Path, folder: Path, host: str) -> Iterator[CacheServer]:
    """Serve an empty cache on a free port of ``host``."""
    authority = Authority.make(folder)
    pair = authority.sign(folder, "server", f"IP:{host}")
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    (folder / "secret").write_text(_SECRET)
    config = folder / "server.yml"
    config.write_text(
        _CONFIG.format(
            host=host,
            port=port,
            folder=folder,
            instance=INSTANCE,
            key=pair.key,
            certificate=pair.certificate,
            secret=folder / "secret",
        )
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "server", "start", config], stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _answers(host, port))
        assert process.poll() is None, (folder / "log").read_text()[-4000:]
        yield CacheServer(f"grpcs://{host}:{port}", authority, token())
    finally:
        process.kill()
        process.wait()


def token() -> str:
    """A JSON Web Token that the server takes, for an hour."""
    head = _coded({"alg": "HS256", "typ": "JWT"})
    claims = _coded({"sub": "test", "exp": int(time.time()) + 3600})
    signature = hmac.digest(_SECRET.encode(), f"{head}.{claims}".encode(), hashlib.sha256)
    return f"{head}.{claims}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _coded(data: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
