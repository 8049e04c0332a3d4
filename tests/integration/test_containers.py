"""The real Runner holds the contract that the engine relies on, with a real engine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import docker
from coralforge.containers.base import BASE
from coralforge.containers.docker import DockerRunner
from coralforge.containers.spec import ContainerSpec, Finished, Mount
from coralforge.errors import CoralforgeError

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def runner(bundle: Path) -> Iterator[DockerRunner]:
    """Depends on the bundle, so that the base image is there."""
    runner = DockerRunner()
    yield runner
    runner.client.close()


def shell(runner: DockerRunner, script: str, **options: object) -> tuple[Finished, list[str]]:
    got: list[str] = []
    spec = ContainerSpec(name="test", image=BASE, command=("sh", "-c", script), **options)  # type: ignore[arg-type]
    return runner.run(spec, got.append), got


def test_output_and_status_come_back(runner: DockerRunner) -> None:
    finished, got = shell(runner, "echo err >&2; echo out; printf end; exit 7")
    assert finished.status == 7
    assert sorted(got) == ["end", "err", "out"]
    assert got.index("out") < got.index("end")  # stderr is a stream of its own, and comes when it comes


def test_containers_have_no_network_no_root_no_capabilities(runner: DockerRunner) -> None:
    _, got = shell(runner, "id -u; ls /sys/class/net; grep CapEff /proc/self/status; touch /x 2>&1")
    assert got[0] != "0"
    assert got[1] == "lo"
    assert got[2].split()[-1] == "0" * 16
    assert "Read-only file system" in got[3]


def test_mounts_are_read_only_unless_said_otherwise(runner: DockerRunner, tmp_path: Path) -> None:
    fixed, free = tmp_path / "fixed", tmp_path / "free"
    for folder in (fixed, free):
        folder.mkdir()
        folder.chmod(0o777)
    mounts = (Mount(fixed, "/fixed"), Mount(free, "/free", writable=True))
    _, got = shell(runner, "touch /fixed/a 2>&1; touch /free/b", mounts=mounts)
    assert "Read-only" in got[0]
    assert (free / "b").stat().st_uid == runner.owner()[0] != 0
    assert not list(fixed.iterdir())


def test_a_container_killed_for_memory_says_so(runner: DockerRunner) -> None:
    limit = 64 * 2**20
    finished, _ = shell(runner, "head -c 300M /dev/zero | tail", memory_bytes=limit)
    assert finished.out_of_memory
    assert finished.status != 0


def test_a_container_killed_from_outside_is_no_success(runner: DockerRunner) -> None:
    got: list[str] = []

    def kill(line: str) -> None:
        got.append(line)
        for container in runner.client.containers.list(filters={"label": f"coralforge.pid={os.getpid()}"}):
            container.kill()

    spec = ContainerSpec("test", BASE, ("sh", "-c", "echo up; sleep 6000"))
    finished = runner.run(spec, kill)
    assert finished.status == 137
    assert got == ["up"]


def test_a_missing_image_is_named(runner: DockerRunner) -> None:
    with pytest.raises(CoralforgeError) as caught:
        runner.run(ContainerSpec("test", "coralforge-none:0", ("true",)), lambda line: None)
    assert caught.value.reason == "image-missing"


def test_nothing_is_left_behind(runner: DockerRunner) -> None:
    shell(runner, "true")
    mine = runner.client.containers.list(all=True, filters={"label": f"coralforge.pid={os.getpid()}"})
    assert mine == []


def test_containers_of_dead_processes_are_reaped(runner: DockerRunner) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    stray = runner.client.containers.run(
        BASE,
        ["sleep", "6000"],
        name="coralforge-test-stray",
        labels={"coralforge": "1", "coralforge.pid": str(ended.pid)},
        network_mode="none",
        detach=True,
    )
    try:
        DockerRunner(runner.client)
        left = runner.client.containers.list(all=True, filters={"name": "coralforge-test-stray"})
        assert left == []
    finally:
        subprocess.run(["docker", "rm", "-f", stray.id], capture_output=True, check=False)


class Relay(threading.Thread):
    """Stands between client and engine; ``cut`` ends every connection, as an engine that dies does."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.open: list[socket.socket] = []

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect("/var/run/docker.sock")
                self.open += [client, engine]
                for pair in ((client, engine), (engine, client)):
                    threading.Thread(target=self.copy, args=pair, daemon=True).start()

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        for end in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_an_engine_that_dies_in_the_middle_is_no_success(runner: DockerRunner, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    relay = Relay(path)
    relay.start()
    client = docker.DockerClient(f"unix://{path}")

    def cut(line: str) -> None:
        relay.cut()

    with pytest.raises(CoralforgeError) as caught:
        DockerRunner(client).run(ContainerSpec("test", BASE, ("sh", "-c", "echo up; sleep 6000")), cut)
    assert caught.value.reason == "docker-lost"
    client.close()
    left = runner.client.containers.list(filters={"label": f"coralforge.pid={os.getpid()}"})
    assert len(left) == 1  # nobody could remove it; the next process will
    left[0].remove(force=True)
