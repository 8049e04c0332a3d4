"""Servers of BuildGrid's, in an environment of its own, with TLS and a token: a cache, or an executor."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
{scheduler}
instances:
  - name: {instance}
    services:
      - !action-cache {{cache: *results}}
      - !cas {{storage: *cas}}
      - !bytestream {{storage: *cas}}
{execution}
thread-pool-size: 100
"""
_SCHEDULER = """\
connections:
  - !sql-connection &sql {{connection-string: "{database}"}}
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    action-cache: *results
    storage: *cas
    property-set: !dynamic-property-set {{match-property-keys: [builder]}}
    assigners: [!priority-age-assigner {{count: 2, interval: 0.2, priority-assignment-percentage: 100}}]
"""
_EXECUTION = """\
      - !execution {scheduler: *scheduler}
      - !bots {scheduler: *scheduler}
"""


@dataclass(frozen=True)
class Server:
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


def bridge(client: Any) -> str:
    """This machine's address on the network that builds get."""
    address = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    return address.get("Gateway") or str(next(ipaddress.ip_network(address["Subnet"]).hosts()))


@contextmanager
def serve(program: Path, folder: Path, host: str, database: str | None = None) -> Iterator[Server]:
    """Serve an empty cache on a free port of ``host``; an executor too, with a ``database`` of PostgreSQL's."""
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
            scheduler=_SCHEDULER.format(database=database) if database else "",
            execution=_EXECUTION if database else "",
        )
    )
    if database:
        subprocess.run([program, "migrate", "apply", database], check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "server", "start", config], stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _answers(host, port))
        assert process.poll() is None, (folder / "log").read_text()[-4000:]
        yield Server(f"grpcs://{host}:{port}", authority, token())
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
