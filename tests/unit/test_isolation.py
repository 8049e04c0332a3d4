"""The walls around the unit tests stand."""

from __future__ import annotations

import socket
import subprocess

import pytest


def test_an_address_outside_this_machine_is_refused() -> None:
    with socket.socket() as connection, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))


def test_a_name_is_not_even_looked_up() -> None:
    with pytest.raises(RuntimeError, match="example"):
        socket.create_connection(("example.invalid", 80))


@pytest.mark.parametrize("path", ["/var/run/docker.sock", "/run/docker.sock"])
def test_dockers_socket_is_refused(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(RuntimeError, match="docker"):
        connection.connect(path)


@pytest.mark.parametrize("program", ["docker", "dockerd", "apt-get"])
def test_programs_that_change_the_machine_are_stubs(program: str) -> None:
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("a unit test ran")) == (97, True)


def test_loopback_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
