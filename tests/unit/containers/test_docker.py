"""The contract of a Runner, held by the fake one here and by the real one in tests/integration."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.containers.docker import DockerRunner, container_owner, lines
from coralforge.containers.spec import ContainerSpec
from coralforge.errors import CoralforgeError, ExitCode
from tests.support.patience import NET

SPEC = ContainerSpec(name="t", image="coralforge-none", command=("true",))


class FakeContainer:
    """Test double of a docker-py container: prints chunks (to stderr those in pairs), then ends with a status."""

    def __init__(self, chunks: list[Any], status: int = 0, lost: bool = False) -> None:
        self.chunks, self.code, self.lost = chunks, status, lost
        self.status = "running"
        self.removed = False
        self.attrs = {"State": {"OOMKilled": False}}

    def attach(self, **_: Any) -> Any:
        for chunk in self.chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk if isinstance(chunk, tuple) else (chunk, None)

    def start(self) -> None: ...

    def reload(self) -> None: ...

    def wait(self, **_: Any) -> dict[str, int]:
        if self.lost:
            raise ConnectionError("the daemon is gone")
        return {"StatusCode": self.code}

    def remove(self, **_: Any) -> None:
        self.removed = True


class FakeApi:
    """Test double of docker-py's lower half: knows which containers there are, and which were removed."""

    def __init__(self, container: FakeContainer, listed: list[dict[str, Any]]) -> None:
        self.container, self.listed = container, listed
        self.removed: list[str] = []

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return self.listed

    def remove_container(self, name: str, **_: Any) -> None:
        self.removed.append(name)
        self.container.remove()


def runner(container: FakeContainer, listed: list[dict[str, Any]] | None = None) -> DockerRunner:
    containers = SimpleNamespace(create=lambda *a, **k: container)
    return DockerRunner(SimpleNamespace(containers=containers, api=FakeApi(container, listed or [])))


def test_lines_and_status_arrive_and_the_container_goes() -> None:
    container = FakeContainer([b"one\ntw", b"o\n", b"rest"], status=3)
    got: list[str] = []
    finished = runner(container).run(SPEC, got.append)
    assert got == ["one", "two", "rest"]
    assert finished.status == 3
    assert container.removed


def test_a_line_has_bytes_of_one_stream_only() -> None:
    container = FakeContainer([b"out\nen", (None, b"er"), b"d", (None, b"r\n")])
    got: list[str] = []
    runner(container).run(SPEC, got.append)
    assert got == ["out", "err", "end"]


def test_the_end_of_the_stream_is_not_success_when_the_daemon_died() -> None:
    container = FakeContainer([b"all well\n"], lost=True)
    with pytest.raises(CoralforgeError) as caught:
        runner(container).run(SPEC, lambda line: None)
    assert caught.value.reason == "docker-lost"
    assert caught.value.code is ExitCode.BUILD


def test_ctrl_c_removes_the_container() -> None:
    container = FakeContainer([b"one\n", KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        runner(container).run(SPEC, lambda line: None)
    assert container.removed


def test_root_is_never_the_containers_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert container_owner() == (1000, 1000)
    monkeypatch.setattr("os.getuid", lambda: 1234)
    monkeypatch.setattr("os.getgid", lambda: 4321)
    assert container_owner() == (1234, 4321)


def test_what_a_container_prints_is_harmless() -> None:
    assert list(lines(iter([b"\x1b[31mred\x00\r\n", b"\xff\xfe\n"]))) == ["[31mred", "\ufffd\ufffd"]
    assert [len(line) for line in lines(iter([b"x" * 100_000, b"\n"]), limit=1000)] == [1000, 0]


def test_a_container_goes_whose_making_was_never_confirmed() -> None:
    """Ctrl-C, or an engine that dies, between the engine's work and its answer."""
    container = FakeContainer([])
    lost = runner(container)

    def create(**_: Any) -> None:
        raise KeyboardInterrupt

    lost.client.containers.create = create
    with pytest.raises(KeyboardInterrupt):
        lost.run(SPEC, lambda line: None)
    [name] = lost.client.api.removed
    assert name.startswith("coralforge-t-")


def test_ctrl_c_while_it_is_removed_removes_it_all_the_same() -> None:
    container = FakeContainer([])
    stopped = runner(container)
    came = iter([KeyboardInterrupt()])
    remove = stopped.client.api.remove_container

    def interrupted(name: str, **options: Any) -> None:
        for stop in came:
            raise stop
        remove(name, **options)

    stopped.client.api.remove_container = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.run(SPEC, lambda line: None)
    assert container.removed


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError()])
def test_an_error_of_whoever_takes_the_lines_is_not_dockers(error: OSError) -> None:
    container = FakeContainer([b"one\n"])

    def full(line: str) -> None:
        raise error

    with pytest.raises(OSError) as caught:
        runner(container).run(SPEC, full)
    assert caught.value is error
    assert container.removed


def test_a_container_that_ended_but_whose_output_does_not_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORALFORGE_DOCKER_TIMEOUT", "1")
    never = threading.Event()

    class Stalled(FakeContainer):
        def attach(self, **_: Any) -> Any:
            yield b"one\n", None
            never.wait(NET)

        def reload(self) -> None:
            self.status = "exited"

    container, got = Stalled([]), list[str]()
    with pytest.raises(CoralforgeError) as caught:
        runner(container).run(SPEC, got.append)
    never.set()
    assert caught.value.reason == "docker-lost"
    assert "its output does not" in caught.value.details
    assert got == ["one"]
    assert container.removed
