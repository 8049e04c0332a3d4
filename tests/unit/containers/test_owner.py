"""Only what was left behind is removed: never a container of a run that goes on, here or elsewhere."""

from __future__ import annotations

import os
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from coralforge.containers.owner import PID_LABEL, PROCESS_LABEL, labels, reap
from coralforge.errors import CoralforgeError

HOUR, DAY = 3600, 86400


def reaped(said: dict[str, str], state: str = "running", age: float = 0.0) -> bool:
    """Whether a container with these labels is removed."""
    removed: list[str] = []
    listed = [{"Id": "x", "Labels": said, "State": state, "Created": int(time.time() - age)}]
    api = SimpleNamespace(
        containers=lambda **_: listed,
        remove_container=lambda name, force: removed.append(name),
    )
    reap(SimpleNamespace(api=api))
    return removed == ["x"]


@pytest.fixture
def dead() -> int:
    """The id of a process that is gone."""
    with subprocess.Popen(["true"]) as ended:
        pass
    return ended.pid


def test_those_of_this_process_stay() -> None:
    assert not reaped(labels())
    assert not reaped(labels(), "exited", 2 * DAY)


def test_those_of_a_process_that_is_gone_go(dead: int) -> None:
    assert reaped({**labels(), PID_LABEL: str(dead)})
    assert reaped({PID_LABEL: str(dead)})  # as versions before 0.3 marked them


def test_a_process_id_that_was_given_again_does_not_keep_them() -> None:
    space = labels()[PROCESS_LABEL].rpartition(" ")[0]
    assert reaped({**labels(), PROCESS_LABEL: f"{space} 1"})
    assert not reaped({PID_LABEL: str(os.getpid())})


@pytest.mark.parametrize(
    "space", ["another-boot pid:[4026531836]", "unknown", "SAME pid:[1]"], ids=["boot", "unknown", "namespace"]
)
def test_those_of_another_machine_or_namespace_are_not_judged_by_a_process_id(space: str, dead: int) -> None:
    """Two CI jobs, each in a container with the host's engine: the ids of one mean nothing to the other."""
    boot = labels()[PROCESS_LABEL].partition(" ")[0]
    said = {**labels(), PID_LABEL: str(dead), PROCESS_LABEL: f"{space.replace('SAME', boot)} 5"}
    assert not reaped(said, "running", 2 * DAY)
    assert not reaped(said, "created", HOUR)
    assert reaped(said, "created", 2 * DAY)
    assert reaped(said, "exited", 2 * DAY)


@pytest.mark.parametrize("pid", ["", "x", "-1", "0", str(10**30)])
def test_a_label_that_is_no_process_is_no_process(pid: str) -> None:
    assert reaped({**labels(), PID_LABEL: pid}) is (pid != "0")


def test_one_that_another_run_removes_just_now_is_no_trouble(dead: int) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise APIError("removal of container x is already in progress")

    listed = [{"Id": "x", "Labels": {PID_LABEL: str(dead)}, "State": "running", "Created": 0}]
    reap(SimpleNamespace(api=SimpleNamespace(containers=lambda **_: listed, remove_container=busy)))


def test_an_engine_that_fails_then_is_named() -> None:
    def fail(**_: Any) -> None:
        raise ConnectionError("gone")

    with pytest.raises(CoralforgeError) as caught:
        reap(SimpleNamespace(api=SimpleNamespace(containers=fail)))
    assert caught.value.reason == "docker-lost"
