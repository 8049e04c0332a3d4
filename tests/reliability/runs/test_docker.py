"""Docker Engine fails, dies, stalls or loses what it runs: no false success, nothing left, nothing else touched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.containers import docker as runners
from coralforge.containers import owner
from coralforge.containers.base import BASE
from coralforge.containers.docker import DockerRunner
from coralforge.containers.engine import connect
from coralforge.containers.image import Image, make_image
from coralforge.containers.image_maker import ImageMaker, exists
from coralforge.containers.owner import PID_LABEL, PROCESS_LABEL, labels, reap
from coralforge.containers.spec import ContainerSpec
from coralforge.errors import CoralforgeError
from coralforge.events import Recorder
from coralforge.plan import Stage
from coralforge.settings import Cache
from tests.conftest import ROOT
from tests.support.chain import Chain, containers_of
from tests.support.docker_proxy import DockerProxy, Fault, How
from tests.support.patience import NET, growing_limits
from tests.support.promises import Promise, Trial, promised
from tests.support.second_engine import SecondEngine

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("ctrl_c")]
CALLS = Promise(
    "Docker",
    "An engine that fails at any call is one error that says so, and never a success without its result; the next "
    "run removes what was left and makes the same bytes",
    "each call of `invoke bundle --format deb` and of an image build, through a proxy: refused, done but unanswered, "
    "cut in the middle of the answer, answered with an error; once, and from then on",
    "the end of a container's output is taken for success: exit status 0 of a container that fails",
)
STALLS = Promise(
    "Docker",
    "An engine that no longer answers ends a run within a known time (CORALFORGE_DOCKER_TIMEOUT); Ctrl-C, sooner",
    "each call stalls, or its answer does in the middle, once and from then on, with a limit of 2 s; Ctrl-C at each",
    "nobody asks whether a silent engine is still there: the run goes on waiting",
)
OTHERS = Promise(
    "Docker",
    "A container that is killed, removed or out of memory is no success; containers of others, and of runs that go "
    "on, are not touched",
    "the run's container is killed, removed from outside, given 6 MiB; beside all of this chapter run containers of "
    "nobody, of a living process, of another machine and of another process namespace",
    "containers are told by process id alone: one of another machine is removed",
)
DIED = Promise(
    "Docker",
    "An engine that is killed and started again: an error, and the next run removes the container",
    "a second dockerd with folders of its own gets kill -9 while a container runs in it",
    "containers of dead processes are not removed: it stays",
)


def faults(calls: int, stalling: bool) -> list[Fault]:
    """Every way to fail at every call; the engine comes back, or stays away."""
    ways = [how for how in How if how.stalls is stalling]
    return [Fault(number, how, lasting) for number in range(calls) for how in ways for lasting in (False, True)]


@pytest.fixture(scope="module")
def bystanders(client: Any) -> Iterator[list[Any]]:
    """Containers that are nothing to any run here."""
    boot, _, began = labels()[PROCESS_LABEL].partition(" ")[0], 0, 1
    kinds = [
        {},
        labels(),
        {**labels(), PROCESS_LABEL: f"another-boot pid:[1] {began}"},
        {**labels(), PROCESS_LABEL: f"{boot} pid:[1] {began}"},
    ]
    made = [sleeper(client, said) for said in kinds]
    yield made
    for one in made:
        one.remove(force=True)


@pytest.fixture(autouse=True)
def others(bystanders: list[Any]) -> Iterator[None]:
    """They must run on."""
    yield
    for one in bystanders:
        one.reload()
    assert [one.status for one in bystanders] == ["running"] * len(bystanders)


def sleeper(client: Any, said: dict[str, str]) -> Any:
    """A container that runs on."""
    return client.containers.run(BASE, ["sleep", "6000"], labels=said, network_mode="none", detach=True, init=True)


def require_next_run(chain: Chain, client: Any, golden: dict[str, str], pid: int) -> None:
    """With a sound engine the next run that needs one makes it all, and nothing is left."""
    chain.forget(Stage.DEB)
    ran = chain.run(chain.bundle)
    assert ran.status == 0, ran.said
    assert chain.made() == golden
    assert chain.leftovers() == []
    assert containers_of(client, pid) == []


def require_honest(chain: Chain, golden: dict[str, str], status: int, said: str, where: str) -> None:
    """It failed and says by what, or it made everything."""
    assert "Traceback" not in said, f"{where}: {said}"
    if status == 0:
        assert chain.made() == golden, f"{where}: {said}"
    else:
        assert status in (3, 5), f"{where}: {said}"
        assert "[docker-lost" in said or "[docker-unreachable" in said, f"{where}: {said}"
    assert chain.leftovers() == [], f"{where}: {said}"


@promised(CALLS)
def test_each_call_of_a_run(
    chain: Chain, client: Any, golden: dict[str, str], calls: list[str], trial: Trial
) -> None:
    for fault in trial.cases(faults(len(calls), stalling=False), short=3):
        chain.forget(Stage.DEB)
        with DockerProxy(fault) as proxy:
            ran = chain.run(chain.bundle, DOCKER_HOST=proxy.host)
        require_honest(chain, golden, ran.status, ran.said, f"{fault} of {calls}")
        require_next_run(chain, client, golden, ran.pid)


@pytest.fixture
def tiny(tmp_path: Path, client: Any) -> Iterator[Image]:
    """An image that is not there, and quickly built from a recipe in ``tmp_path``."""
    recipe = f'ARG BASE\nFROM ${{BASE}}\nRUN sleep 0.2; echo {tmp_path} >/made; echo made\nCMD ["cat", "/made"]\n'
    (tmp_path / "tiny.Dockerfile").write_text(recipe)
    image = make_image(tmp_path, "tiny", {})
    yield image
    remove_image(client, image)


def remove_image(client: Any, image: Image) -> None:
    if exists(client, image):
        client.images.remove(image.tag, force=True)


def maker(client: Any, folder: Path) -> ImageMaker:
    return ImageMaker(client, folder, Cache(folder / "cache"), Recorder())


def build_through(
    proxy: DockerProxy, image: Image, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> CoralforgeError | None:
    """Build an image through a proxy; the error, if that fails."""
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", proxy.host)
        try:
            with contextlib.closing(connect()) as broken:
                maker(broken, folder).ensure(image)
        except CoralforgeError as error:
            return error
    return None


@promised(CALLS)
def test_each_call_of_an_image_build(
    client: Any, tiny: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial: Trial
) -> None:
    with DockerProxy() as proxy:
        assert build_through(proxy, tiny, tmp_path, monkeypatch) is None
    for fault in trial.cases(faults(len(proxy.calls), stalling=False), short=4):
        remove_image(client, tiny)
        with DockerProxy(fault) as broken:
            error = build_through(broken, tiny, tmp_path, monkeypatch)
        where = f"{fault} of {proxy.calls}: {error}"
        if error is None:
            assert exists(client, tiny), where
        else:
            assert error.reason in ("docker-lost", "docker-unreachable", "image-build"), where
        maker(client, tmp_path).ensure(tiny)
        assert client.containers.run(tiny.tag, remove=True).decode().strip() == str(tmp_path), where
        assert list((tmp_path / "cache" / "work").iterdir()) == []


@promised(CALLS, control=True)
def test_without_a_status_a_container_that_fails_is_a_success(
    client: Any, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ContainerSpec("test", BASE, ("sh", "-c", "echo begun; exit 7"))
    assert DockerRunner(client).run(spec, lambda line: None).status == 7
    monkeypatch.setattr(DockerRunner, "_outcome", lambda *_: (0, False))
    assert DockerRunner(client).run(spec, lambda line: None).status == 0


@promised(STALLS)
def test_a_stall_ends_by_itself(
    chain: Chain, client: Any, golden: dict[str, str], calls: list[str], trial: Trial
) -> None:
    for fault in trial.cases(faults(len(calls), stalling=True), short=2):
        chain.forget(Stage.DEB)
        with DockerProxy(fault) as proxy:
            ran = chain.run(chain.bundle, DOCKER_HOST=proxy.host, CORALFORGE_DOCKER_TIMEOUT="2")
        require_honest(chain, golden, ran.status, ran.said, f"{fault} of {calls}")
        require_next_run(chain, client, golden, ran.pid)


@promised(STALLS)
def test_a_build_that_stalls_ends_by_itself(
    client: Any, tiny: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial: Trial
) -> None:
    with DockerProxy() as proxy:
        assert build_through(proxy, tiny, tmp_path, monkeypatch) is None
    monkeypatch.setenv("CORALFORGE_DOCKER_TIMEOUT", "1")
    for fault in trial.cases(faults(len(proxy.calls), stalling=True), short=1):
        remove_image(client, tiny)
        with DockerProxy(fault) as broken:
            error = build_through(broken, tiny, tmp_path, monkeypatch)
        assert error is not None or exists(client, tiny)
        assert error is None or error.reason in ("docker-lost", "docker-unreachable", "image-build"), error


@promised(STALLS)
def test_ctrl_c_in_a_stall(chain: Chain, client: Any, golden: dict[str, str], calls: list[str], trial: Trial) -> None:
    for call in trial.cases(range(len(calls)), short=1):
        chain.forget(Stage.DEB)
        with DockerProxy(Fault(call, How.STALLED, lasting=True)) as proxy:
            process = chain.start(chain.bundle, DOCKER_HOST=proxy.host)
            proxy.failed.wait(NET)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)  # two that are alike may become one
            said, _ = process.communicate(timeout=NET)
        # The second signal may come after the run stopped for the first one, when nobody listens for it any more.
        ended = process.returncode == 130 or (process.returncode == -signal.SIGTERM and "stopped cleanly" in said)
        assert ended, f"{process.returncode} at call {call} of {calls}: {said}"
        assert "Traceback" not in said, said
        require_next_run(chain, client, golden, process.pid)


@promised(STALLS, control=True)
def test_without_asking_the_run_goes_on_waiting(
    client: Any, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    asked: list[int] = []
    attach = [call for call in calls if call != "GET /images/X/json"].index("POST /containers/X/attach")

    def nobody(self: object) -> None:
        asked.append(1)
        if len(asked) == 3:
            raise InterruptedError

    monkeypatch.setattr(runners._Watch, "__call__", nobody)
    for limit in growing_limits():  # on a busy machine an earlier call may be too slow for a short one
        with DockerProxy(Fault(attach, How.STALLED_ANSWER)) as proxy:
            monkeypatch.setenv("DOCKER_HOST", proxy.host)
            monkeypatch.setenv("CORALFORGE_DOCKER_TIMEOUT", str(max(1, int(limit))))
            with pytest.raises(CoralforgeError), contextlib.closing(connect()) as stalled:
                DockerRunner(stalled).run(ContainerSpec("test", BASE, ("echo", "all of this")), lambda line: None)
        if asked:
            break
    assert len(asked) == 3


IN_ENGINE = """
from coralforge.commands import boundary
from coralforge.containers.base import BASE
from coralforge.containers.docker import DockerRunner
from coralforge.containers.spec import ContainerSpec
spec = ContainerSpec("test", BASE, ("sh", "-c", "echo up; sleep 6000"))
boundary.run(lambda: DockerRunner().run(spec, lambda line: print(line, flush=True)))
"""


@promised(DIED)
def test_an_engine_that_is_killed(second_engine: SecondEngine, trial: Trial) -> None:
    for _ in trial.times(long=5, short=1):
        ran = lose_engine(second_engine)
        with contextlib.closing(second_engine.connect()) as client:
            assert containers_of(client, ran)
            DockerRunner(client)
            assert containers_of(client, ran) == []


@promised(DIED, control=True)
def test_without_reaping_the_container_of_a_killed_engine_stays(
    second_engine: SecondEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = lose_engine(second_engine)
    monkeypatch.setattr(runners, "reap", lambda _: None)
    with contextlib.closing(second_engine.connect()) as client:
        DockerRunner(client)
        assert containers_of(client, ran)


def lose_engine(engine: SecondEngine) -> int:
    """Kill the engine under a run that has a container in it, and start it again; the id of the run's process."""
    environment = {**os.environ, "DOCKER_HOST": engine.host, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", IN_ENGINE], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    engine.kill()
    _, said = process.communicate(timeout=NET)
    assert (process.returncode, "[docker-lost, exit 5]" in said) == (5, True), said
    assert engine.start()
    return process.pid


@promised(OTHERS)
@pytest.mark.parametrize("how", ["killed", "removed"])
def test_a_container_that_is_ended_from_outside(
    chain: Chain, client: Any, golden: dict[str, str], how: str, trial: Trial
) -> None:
    for _ in trial.times(long=10, short=1):
        chain.forget(Stage.DEB)
        process = chain.start(chain.bundle)
        while process.poll() is None and not (names := containers_of(client, process.pid)):
            time.sleep(0.01)
        if process.poll() is None:
            end(client, names[0], how)
        said, _ = process.communicate(timeout=NET)
        assert "Traceback" not in said
        assert process.returncode == 5 or chain.made() == golden, said
        require_next_run(chain, client, golden, process.pid)


def end(client: Any, name: str, how: str) -> None:
    from docker.errors import APIError

    with contextlib.suppress(APIError):  # it is not started yet, or has ended
        client.api.kill(name) if how == "killed" else client.api.remove_container(name, force=True)


@promised(OTHERS)
def test_a_container_without_memory(chain: Chain, client: Any, golden: dict[str, str], trial: Trial) -> None:
    def little(call: str, body: bytes) -> bytes:
        if call != "POST /containers/create":
            return body
        asked = json.loads(body)
        asked["HostConfig"]["Memory"] = asked["HostConfig"]["MemorySwap"] = 6 << 20
        return json.dumps(asked).encode()

    for _ in trial.times(long=3, short=1):
        chain.forget(Stage.DEB)
        with DockerProxy(edit=little) as proxy:
            ran = chain.run(chain.bundle, DOCKER_HOST=proxy.host)
        assert ran.status == 5, ran.said
        assert "[build-memory, exit 5]" in ran.said or "[docker-lost, exit 5]" in ran.said
        assert containers_of(client, ran.pid) == []
        require_next_run(chain, client, golden, ran.pid)


@promised(OTHERS, control=True)
def test_by_process_id_alone_a_container_of_another_machine_is_removed(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    theirs = sleeper(client, {**labels(), PID_LABEL: str(ended.pid), PROCESS_LABEL: "another-boot pid:[1] 1"})
    listed = client.api.containers(filters={"id": theirs.id})
    only = SimpleNamespace(containers=lambda **_: listed, remove_container=client.api.remove_container)
    try:
        reap(SimpleNamespace(api=only))
        assert client.api.containers(filters={"id": theirs.id})
        monkeypatch.setattr(owner, "_space", lambda: "another-boot pid:[1]")
        reap(SimpleNamespace(api=only))
        assert not client.api.containers(filters={"id": theirs.id})
    finally:
        subprocess.run(["docker", "rm", "-f", theirs.id], capture_output=True, check=False)
