"""Booting a board: it is waited for, however long, and what keeps it from coming up is said. Docker is a double."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.board import board as boards
from coralforge.board.board import LABEL, Place, find, place_of, require, start, stop, stop_all
from coralforge.containers.owner import PID_LABEL
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Recorder

IMAGE = "coralforge-emulated-board:test"


class Container:
    """Test double of a docker-py container; ``console`` is what the board in it writes when it starts."""

    def __init__(self, docker: Docker, made: dict[str, Any]) -> None:
        self.docker, self.made = docker, made
        self.name, self.labels = made["name"], made["labels"]
        self.status = "created"
        self.attrs = {"NetworkSettings": {"Ports": {"2222/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40022"}]}}}

    def start(self) -> None:
        self.status = self.docker.status
        [run] = [mount["Source"] for mount in self.made["mounts"] if mount["Target"] == "/run/board"]
        (Path(run) / "console.log").write_text(self.docker.console)

    def logs(self, **_: Any) -> bytes:
        return b"qemu-system-aarch64: cannot set up guest memory\n"

    def remove(self, **_: Any) -> None:
        self.docker.containers_by_name.pop(self.name, None)


class Docker:
    """Test double of a docker-py client."""

    def __init__(self, console: str = "board: ready (1 s)\n", status: str = "running") -> None:
        self.console, self.status = console, status
        self.containers_by_name: dict[str, Container] = {}
        self.containers = SimpleNamespace(create=self._create, get=self._get, list=self._list)

    def _create(self, **made: Any) -> Container:
        return self.containers_by_name.setdefault(made["name"], Container(self, made))

    def _get(self, name: str) -> Container:
        from docker.errors import NotFound

        if name not in self.containers_by_name:
            raise NotFound("no such container")
        return self.containers_by_name[name]

    def _list(self, **_: Any) -> list[Container]:
        return list(self.containers_by_name.values())


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the SSH client, which runs the words here, and for ssh-keygen."""
    folder = tmp_path / "bin"
    folder.mkdir()
    keygen = 'for word; do :; done; echo secret >"$word"; echo "ssh-ed25519 AAAAkey coralforge" >"$word.pub"\n'
    for name, text in {"ssh": 'for word; do :; done; eval "$word"\n', "ssh-keygen": keygen}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "chown", lambda *_: None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_of(tmp_path / "boards", "board")


def test_a_board_that_is_ready_is_found_again_by_its_place(place: Place) -> None:
    docker, sink = Docker(), Recorder()
    made = start(docker, place, IMAGE, sink)
    assert find(docker, place) == made
    assert (made.ssh_port, made.image) == (40022, IMAGE)
    assert "Port 40022" in place.ssh.config.read_text()
    assert any(isinstance(event, Note) and "no hardware" in event.text for event in sink.events)
    [container] = docker.containers_by_name.values()
    assert "coralforge.key=AAAAkey" in " ".join(container.made["command"])
    assert container.made["ports"] == {"2222/tcp": ("127.0.0.1", None)}
    assert (container.made["cap_drop"], container.made["read_only"]) == (["ALL"], True)


def test_its_key_is_its_users_alone(place: Place) -> None:
    start(Docker(), place, IMAGE, Recorder())
    assert place.folder.stat().st_mode & 0o077 == 0
    [mount] = [path for path in place.folder.iterdir() if path.is_dir()]
    assert mount == place.run
    assert list(mount.glob("*key*")) == [], "the container does not get it"


def test_only_a_temporary_one_is_reaped_with_its_process(place: Place) -> None:
    docker = Docker()
    start(docker, place, IMAGE, Recorder())
    assert PID_LABEL not in docker.containers_by_name[place.container].labels
    start(docker, place, IMAGE, Recorder(), temporary=True)
    assert docker.containers_by_name[place.container].labels[PID_LABEL] == str(os.getpid())


def test_one_that_ends_shows_the_emulators_words_and_its_console(place: Place) -> None:
    docker = Docker(console="board: kernel 6.1 (3 s)\n\x1b[31mKernel panic\n", status="exited")
    with pytest.raises(CoralforgeError) as caught:
        start(docker, place, IMAGE, Recorder())
    assert (caught.value.reason, caught.value.code) == ("board-boot", ExitCode.BUILD)
    assert "ended before it was ready" in caught.value.brief
    assert "cannot set up guest memory" in caught.value.details
    assert "Kernel panic" in caught.value.details
    assert "\x1b" not in caught.value.details
    assert docker.containers_by_name == {}
    assert not place.folder.exists()


def test_waiting_has_an_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "BOOT_SECONDS", 0.0)
    docker = Docker(console="board: kernel 6.1 (3 s)\n")
    with pytest.raises(CoralforgeError) as caught:
        start(docker, place, IMAGE, Recorder())
    assert caught.value.reason == "board-boot"
    assert "was not ready within" in caught.value.brief
    assert "board: kernel 6.1" in caught.value.details
    assert docker.containers_by_name == {}


def test_stopping_leaves_nothing(place: Place) -> None:
    docker = Docker()
    start(docker, place, IMAGE, Recorder())
    assert stop(docker, place)
    assert docker.containers_by_name == {}
    assert not place.folder.exists()
    assert not stop(docker, place)
    assert find(docker, place) is None
    with pytest.raises(CoralforgeError, match="no emulated board 'board' runs") as caught:
        require(docker, place)
    assert caught.value.code is ExitCode.USER


def test_all_boards_of_one_cache_are_stopped_and_no_others(place: Place, tmp_path: Path) -> None:
    docker = Docker()
    start(docker, place, IMAGE, Recorder())
    other = place_of(tmp_path / "other cache", "board")
    start(docker, other, IMAGE, Recorder())
    assert other.container != place.container
    assert stop_all(docker, place.folder.parent) == 1
    assert [container.labels[LABEL] for container in docker.containers_by_name.values()] == [str(other.folder)]


@pytest.mark.parametrize("name", ["", "../up", "Board", "a" * 32, "a b"])
def test_a_name_is_a_plain_word(name: str, tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError) as caught:
        place_of(tmp_path, name)
    assert caught.value.reason == "board-name"
