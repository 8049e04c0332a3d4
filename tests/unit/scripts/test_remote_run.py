"""What a build in the container does when its remote server refuses it, and the tunnel that has TLS for Bazel."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support.patience import NET
from tests.support.pki import Authority
from tests.support.tls_server import echo_server

sys.path.insert(0, str(ROOT / "scripts"))

import remote_run
import remote_tunnel

REFUSED = "ERROR: Failed to query remote execution capabilities: UNAUTHENTICATED: No valid authorization"
LOST = "WARNING: Remote Cache: UNAVAILABLE: Network closed for unknown reason"
GONE = "ERROR: Failed to query remote execution capabilities: UNAVAILABLE: io exception"
DENIED = "WARNING: Remote Cache: PERMISSION_DENIED: not allowed to write"


@pytest.mark.parametrize(
    ("line", "away", "expected"),
    [
        ("INFO: 16 processes: 11 remote cache hit, 5 internal.", "fail", ("", False)),
        ("[5 / 16] Compiling a.c; 0s remote-cache", "fail", ("", False)),
        (REFUSED, "local", ("refused: UNAUTHENTICATED: No valid authorization", True)),
        (GONE, "local", ("away: UNAVAILABLE: io exception", False)),
        (GONE, "fail", ("away: UNAVAILABLE: io exception", True)),
        (LOST, "local", ("away: UNAVAILABLE: Network closed for unknown reason", False)),
        (
            "WARNING: Remote Cache: Call not executed due to a high failure rate.",
            "local",
            ("away: Call not executed due to a high failure rate.", False),
        ),
        (LOST, "fail", ("away: UNAVAILABLE: Network closed for unknown reason", True)),
        (DENIED, "local", ("refused: PERMISSION_DENIED: not allowed to write", False)),
        ("WARNING: Remote Cache: 401 Unauthorized", "local", ("refused: 401 Unauthorized", False)),
    ],
)
def test_a_line_of_bazel_is_judged(line: str, away: str, expected: tuple[str, bool]) -> None:
    assert remote_run.judge(line, away) == expected


def run(folder: Path, script: str, away: str = "local") -> subprocess.CompletedProcess[str]:
    (folder / "run.json").write_text(json.dumps({"away": away, "tunnels": [], "shown": {}}))
    code = (
        "import sys, os, remote_run, pathlib; remote_run.CONFIG = pathlib.Path(sys.argv[1]);"
        "status = remote_run.main(sys.argv[2:]); sys.stdout.flush(); os._exit(status)"
    )
    command = [sys.executable, "-c", code, str(folder / "run.json"), "sh", "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_the_status_and_the_output_are_those_of_the_build(tmp_path: Path) -> None:
    done = run(tmp_path, "echo one; echo two >&2; exit 7")
    assert (done.returncode, sorted(done.stdout.split())) == (7, ["one", "two"])


@pytest.mark.usefixtures("ctrl_c")
def test_a_refusal_stops_the_build_as_a_user_would(tmp_path: Path) -> None:
    """Else it would take its time, and what it made would be of this machine alone without a word."""
    mark = tmp_path / "interrupted"
    script = f"trap 'echo yes >{mark}; echo Traceback; exit 1' INT; echo '{REFUSED}'; while :; do sleep 0.1; done"
    done = run(tmp_path, script)
    assert done.returncode == 1
    assert mark.read_text() == "yes\n"
    said = "remote_run: refused: UNAUTHENTICATED: No valid authorization"
    assert done.stdout.splitlines() == [REFUSED, said, "remote_run: stopped"]


def test_a_server_that_goes_away_is_said_once_and_the_build_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, f"echo '{LOST}'; echo '{LOST}'; echo done")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        LOST,
        "remote_run: away: UNAVAILABLE: Network closed for unknown reason",
        LOST,
        "done",
    ]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def tunnel(listen: int, port: int) -> dict[str, Any]:
    return {
        "listen": "127.0.0.1",
        "listen_port": listen,
        "host": "127.0.0.1",
        "port": port,
        "addresses": ["127.0.0.1"],
        "protocol": "h2",
    }


def through(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=NET) as connection:
        found = b""
        with contextlib.suppress(ConnectionError):  # closed, with or without a reset
            connection.sendall(data)
            while len(found) < len(data) and (more := connection.recv(1 << 16)):
                found += more
        return found


def test_what_goes_in_comes_out_behind_tls(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    mine = authority.sign(tmp_path, "mine")
    shown = {"ca": str(authority.certificate), "certificate": str(mine.certificate), "key": str(mine.key)}
    listen = free_port()
    with echo_server(authority.sign(tmp_path, "server", "IP:127.0.0.1"), clients=authority) as port:
        assert remote_tunnel.opened([tunnel(listen, port)], shown)
        assert through(listen, bytes(range(256)) * 2000) == bytes(range(256)) * 2000


def test_nothing_goes_to_a_server_that_is_another(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    authority, other = Authority.make(tmp_path), Authority.make(tmp_path, "other")
    listen = free_port()
    with echo_server(other.sign(tmp_path, "server", "IP:127.0.0.1")) as port:
        assert remote_tunnel.opened([tunnel(listen, port)], {"ca": str(authority.certificate)})
        assert through(listen, b"secret") == b""
    said = capfd.readouterr().out
    assert said.startswith(f"remote_tunnel: 127.0.0.1:{port}: ") and "certificate" in said


def test_a_server_that_is_gone_ends_the_connection(tmp_path: Path) -> None:
    authority, listen = Authority.make(tmp_path), free_port()
    assert remote_tunnel.opened([tunnel(listen, free_port())], {"ca": str(authority.certificate)})
    assert through(listen, b"x") == b""
