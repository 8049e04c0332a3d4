"""A container for a person at a terminal is what any other is: the same user, limits and mounts."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from coralforge.containers.interactive import command
from coralforge.containers.owner import PID_LABEL
from coralforge.containers.spec import ContainerSpec, Mount

SPEC = ContainerSpec(
    "shell",
    "coralforge-builder:x",
    ("bash", "-l"),
    (Mount(Path("/a"), "/sources/a"), Mount(Path("/c"), "/cache", writable=True)),
    env=(("HOME", "/cache/home"),),
    cpus=2,
    memory_bytes=1 << 30,
)


def test_all_that_is_said_of_a_container_is_an_option() -> None:
    made = command(SPEC, (1000, 1001))
    assert made[:4] == ["docker", "run", "--rm", "-it"]
    assert made[-3:] == ["coralforge-builder:x", "bash", "-l"]
    assert {option for option in made[4:-3] if not option.startswith("--label=")} == {
        "--user=1000:1001",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp:exec,mode=1777",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--init",
        "--pids-limit=4096",
        f"--memory={1 << 30}",
        f"--memory-swap={1 << 30}",
        "--cpus=2",
        "--env=HOME=/cache/home",
        "--workdir=/tmp",
        '--mount=type=bind,"source=/a",target=/sources/a,readonly',
        '--mount=type=bind,"source=/c",target=/cache',
    }


def test_what_is_not_said_is_no_option() -> None:
    made = command(ContainerSpec("shell", "image", ("bash",)), (1000, 1000))
    assert not [option for option in made if option.startswith(("--memory", "--cpus", "--mount", "--env"))]


def test_it_is_known_whose_it_is() -> None:
    """The process becomes docker's program: when that is gone, the next run removes the container."""
    assert f"--label={PID_LABEL}={os.getpid()}" in command(SPEC, (1000, 1000))


@pytest.mark.parametrize("folder", ["/a,target=/etc", '/a"b', "/a:b", "/a b"])
def test_the_name_of_a_folder_is_no_option(folder: str) -> None:
    made = command(ContainerSpec("shell", "image", ("bash",), (Mount(Path(folder), "/m"),)), (1000, 1000))
    [mount] = [option for option in made if option.startswith("--mount=")]
    [fields] = csv.reader([mount.removeprefix("--mount=")])
    assert fields == ["type=bind", f"source={folder}", "target=/m", "readonly"]
