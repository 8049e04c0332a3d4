"""The contract of a Runner, held by the fake one here and by the real one in tests/integration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.containers.docker import DockerRunner, container_owner, lines
from coralforge.containers.spec import ContainerSpec
from coralforge.errors import CoralforgeError, ExitCode

SPEC = ContainerSpec(name="t", image="coralforge-none", command=("true",))


class FakeContainer:
    """Test double of a docker-py container: prints chunks (to stderr those in pairs), then ends with a status."""

    def __init__(self, chunks: list[Any], status: int = 0, lost: bool = False) -> None:
        self.chunks, self.status, self.lost = chunks, status, lost
        self.removed = False
        self.labels = {"coralforge.pid": "999999999"}
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
        return {"StatusCode": self.status}

    def remove(self, **_: Any) -> None:
        self.removed = True


def runner(container: FakeContainer, stale: list[FakeContainer] | None = None) -> DockerRunner:
    containers = SimpleNamespace(create=lambda *a, **k: container, list=lambda **k: stale or [])
    return DockerRunner(SimpleNamespace(containers=containers))


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


def test_containers_of_killed_runs_are_reaped() -> None:
    stale = FakeContainer([])
    runner(FakeContainer([]), [stale])
    assert stale.removed


def test_root_is_never_the_containers_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert container_owner() == (1000, 1000)
    monkeypatch.setattr("os.getuid", lambda: 1234)
    monkeypatch.setattr("os.getgid", lambda: 4321)
    assert container_owner() == (1234, 4321)


def test_what_a_container_prints_is_harmless() -> None:
    assert list(lines(iter([b"\x1b[31mred\x00\r\n", b"\xff\xfe\n"]))) == ["[31mred", "\ufffd\ufffd"]
    assert [len(line) for line in lines(iter([b"x" * 100_000, b"\n"]), limit=1000)] == [1000, 0]
