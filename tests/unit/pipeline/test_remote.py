"""A build with ``remote:``: what the container gets, what Bazel is told, and what happens when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.config.remote import Remote
from coralforge.containers.docker import creation
from coralforge.containers.spec import ContainerSpec, Finished, Mount
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Recorder
from coralforge.pipeline.build import BuildEnvironment, run_container
from coralforge.pipeline.remote import connect as module
from coralforge.pipeline.remote.connect import RemoteRunner, connected
from coralforge.pipeline.remote.reach import Trouble
from coralforge.pipeline.remote.tunnels import Tunnel, inside, names, tunnels
from coralforge.pipeline.survey import collect
from coralforge.plan import Stage
from coralforge.settings import Options, Project, Settings, resolve
from tests.conftest import ROOT

ADDRESS = "grpcs://192.0.2.7:8980"
SECRET = "s3cret-of-the-test"
HEADERS = {"authorization": {"env": "TOKEN", "prefix": "Bearer "}}


@dataclass
class RunnerDouble:
    """A test double: keeps what it is asked to run, and says what it is told to."""

    says: tuple[str, ...] = ()
    status: int = 0
    ran: list[ContainerSpec] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)

    def owner(self) -> tuple[int, int]:
        return (1000, 1000)

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        self.ran.append(spec)
        for mount in spec.mounts:
            if mount.target == "/remote":
                self.shown = {path.name: path.read_text() for path in mount.source.iterdir()}
        for line in self.says:
            on_line(line)
        return Finished(self.status, False, 1.0)


def settings(folder: Path, **said: Any) -> Settings:
    found = resolve(Project(ROOT), Options(), {"CORALFORGE_CACHE": str(folder / "cache")})
    remote = Remote.model_validate(said)
    return replace(found, pipeline=found.pipeline.model_copy(update={"remote": remote}))


def spec(folder: Path) -> ContainerSpec:
    for name in ("workspace", "cache/1234", "out"):
        (folder / name).mkdir(parents=True)
    (folder / "workspace/.bazelrc").write_text("build --stamp\n")
    mounts = (
        Mount(folder / "workspace", "/workspace"),
        Mount(folder / "cache/1234", "/cache", writable=True),
        Mount(folder / "out", "/out", writable=True),
    )
    return ContainerSpec("libraries", "image", ("python3", "/scripts/build-sdk"), mounts, network=True, cpus=40)


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "trouble", lambda *_: None)
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", (host, port))])
    monkeypatch.setenv("TOKEN", SECRET)


def build(folder: Path, runner: RunnerDouble, **said: Any) -> Recorder:
    sink = Recorder()
    with connected(BuildEnvironment(settings(folder, **said), runner, "image", sink)) as environment:
        run_container(environment, spec(folder), "k" * 16)
    return sink


def notes(sink: Recorder) -> list[str]:
    return [event.text for event in sink.events if isinstance(event, Note)]


def test_without_remote_nothing_is_changed(tmp_path: Path) -> None:
    environment = BuildEnvironment(settings(tmp_path), RunnerDouble(), "image", Recorder())
    with connected(environment) as same:
        assert same is environment


def test_bazel_is_told_in_its_rc_file_and_secrets_only_in_a_folder(tmp_path: Path, reachable: None) -> None:
    runner = RunnerDouble(says=("INFO: 16 processes: 11 remote cache hit, 5 internal.",))
    sink = build(tmp_path, runner, cache=ADDRESS, instance="main", headers=HEADERS, upload=False, timeout=9)
    (ran,) = runner.ran
    assert (tmp_path / "workspace/.bazelrc").read_text().splitlines() == [
        "build --stamp",
        "build --remote_timeout=9s",
        "build --noremote_upload_local_results",
        "build --remote_local_fallback",
        "build --experimental_circuit_breaker_strategy=failure",
        "build --remote_instance_name=main",
        "build --credential_helper=/remote/helper",
    ]
    assert ran.command == ("python3", "/scripts/remote_run.py", "python3", "/scripts/build-sdk")
    assert SECRET in runner.shown["headers.json"]
    assert SECRET not in repr(ran) + repr(sink.events) + (tmp_path / "workspace/.bazelrc").read_text()
    assert not list((tmp_path / "cache/tmp").iterdir()), "secrets stay on the disk"
    assert notes(sink) == ["remote: 16 processes: 11 remote cache hit, 5 internal"]


def test_results_of_others_are_kept_apart_from_what_is_built_here(tmp_path: Path, reachable: None) -> None:
    """A local build would take them for its own, and `verify --rebuild` would compare them with themselves."""
    runner = RunnerDouble()
    build(tmp_path, runner, cache=ADDRESS)
    (ran,) = runner.ran
    assert {mount.target: mount.source.name for mount in ran.mounts}["/cache"] == "1234-remote"


def test_jobs_are_of_other_machines_and_the_containers_processors_stay(tmp_path: Path, reachable: None) -> None:
    found = settings(tmp_path, executor=ADDRESS, jobs=40)
    limits = found.pipeline.limits.model_copy(update={"cpus": 1})
    found = replace(found, pipeline=found.pipeline.model_copy(update={"limits": limits}))
    runner = RunnerDouble()
    with connected(BuildEnvironment(found, runner, "image", Recorder())) as environment:
        assert environment.settings.pipeline.limits.cpus == 40
        environment.runner.run(spec(tmp_path), lambda _: None)
    assert runner.ran[0].cpus == 1


def test_nobody_there_is_said_and_this_machine_builds_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "trouble", lambda *_: Trouble(ADDRESS, "connection refused", away=True))
    runner = RunnerDouble()
    sink = Recorder()
    with connected(BuildEnvironment(settings(tmp_path, cache=ADDRESS), runner, "image", sink)) as environment:
        assert not environment.settings.pipeline.remote.used
        assert environment.runner is runner
    assert notes(sink) == [
        f"remote {ADDRESS}: connection refused. All is built on this machine alone, which takes longer "
        "(remote.away: local)"
    ]


@pytest.mark.parametrize(
    ("trouble", "away", "reason"),
    [
        (Trouble(ADDRESS, "connection refused", away=True), "fail", "remote-away"),
        (Trouble(ADDRESS, "its certificate is not trusted", away=False), "local", "remote-untrusted"),
    ],
)
def test_a_build_that_must_not_go_on_alone_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Trouble, away: str, reason: str
) -> None:
    monkeypatch.setattr(module, "trouble", lambda *_: trouble)
    with pytest.raises(CoralforgeError) as caught:
        build(tmp_path, RunnerDouble(), cache=ADDRESS, away=away)
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.MISSING)
    assert ADDRESS in caught.value.brief


def test_a_server_that_refuses_is_the_error_not_the_build(tmp_path: Path, reachable: None) -> None:
    runner = RunnerDouble(("x", "remote_run: refused: UNAUTHENTICATED: no", "remote_run: stopped"), status=1)
    with pytest.raises(CoralforgeError) as caught:
        build(tmp_path, runner, cache=ADDRESS, instance="main")
    assert caught.value.reason == "remote-refused"
    assert caught.value.brief == f"remote {ADDRESS} (instance main): it refuses what is asked: UNAUTHENTICATED: no"
    assert "log: " in caught.value.details


def test_a_compilers_error_stays_one(tmp_path: Path, reachable: None) -> None:
    lines = ("remote_run: away: UNAVAILABLE: io exception", "a.c:1: error: x")
    with pytest.raises(CoralforgeError) as caught:
        build(tmp_path, RunnerDouble(lines, status=1), cache=ADDRESS)
    assert caught.value.reason == "build-failed"


def test_a_server_that_goes_away_in_between_is_a_warning(tmp_path: Path, reachable: None) -> None:
    sink = build(tmp_path, RunnerDouble(("remote_run: away: UNAVAILABLE: io exception",) * 2), cache=ADDRESS)
    assert notes(sink) == [f"remote {ADDRESS}: it does not answer any more: UNAVAILABLE: io exception"]


def test_bazel_speaks_to_the_servers_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", ("192.0.2.9", port))])
    said = Remote(cache="grpcs://cache.example", executor="grpcs://192.0.2.7:8981")
    through = tunnels(said)
    assert through == (
        Tunnel("127.0.0.2", 443, "cache.example", 443, ("192.0.2.9",), "h2"),
        Tunnel("127.0.0.3", 8981, "192.0.2.7", 8981, ("192.0.2.9",), "h2"),
    )
    assert inside(said, through).addresses == ("grpc://cache.example:443", "grpc://127.0.0.3:8981")
    assert names(through) == (("cache.example", "127.0.0.2"),)
    made = ContainerSpec("libraries", "image", ("true",), names=names(through))
    assert creation(made, (1, 1))["extra_hosts"] == {"cache.example": "127.0.0.2"}


def test_a_key_says_whose_results_were_believed_and_is_todays_where_none_were(tmp_path: Path) -> None:
    def inputs(**said: Any) -> dict[str, str]:
        return dict(collect(settings(tmp_path, **said)).facts.inputs[Stage.LIBRARIES])

    alone, remote = inputs(), inputs(cache=ADDRESS, instance="main")
    assert "remote" not in alone
    assert remote == {**alone, "remote": f"remote {ADDRESS} (instance main)"}


def test_the_runner_has_the_owner_of_the_one_inside(tmp_path: Path) -> None:
    runner = RemoteRunner(RunnerDouble(), (), (), tmp_path, settings(tmp_path).pipeline, Recorder())
    assert runner.owner() == (1000, 1000)
