"""``docker run`` for a person at a terminal, with what ``creation`` says of any container of ours.

docker-py cannot hand a terminal on, so it is Docker's own program, and options instead of arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coralforge.containers.docker import creation
from coralforge.containers.owner import labels
from coralforge.containers.spec import ContainerSpec


def command(spec: ContainerSpec, owner: tuple[int, int]) -> list[str]:
    """The command that runs ``spec``. Its container goes with the process that becomes this command."""
    made = creation(spec, owner)
    image, words = made.pop("image"), made.pop("command")
    options = [option for name, value in made.items() for option in _OPTIONS[name](value)]
    options += [f"--label={name}={value}" for name, value in labels().items()]
    return ["docker", "run", "--rm", "-it", *options, image, *words]


def _one(option: str) -> Callable[[Any], list[str]]:
    return lambda value: [] if value is None else [f"{option}={value}"]


def _each(option: str) -> Callable[[Iterable[Any]], list[str]]:
    return lambda values: [f"{option}={value}" for value in values]


def _pairs(option: str, between: str) -> Callable[[Mapping[str, str]], list[str]]:
    return lambda values: [f"{option}={name}{between}{value}" for name, value in values.items()]


def _mount(mount: Mapping[str, Any]) -> str:
    # A field that has a comma or a quotation mark in it stands in quotes, as in CSV.
    source = f"source={mount['Source']}".replace('"', '""')
    return f'type=bind,"{source}",target={mount["Target"]}{",readonly" if mount["ReadOnly"] else ""}'


_OPTIONS: Mapping[str, Callable[[Any], list[str]]] = {
    "user": _one("--user"),
    "network_mode": _one("--network"),
    "extra_hosts": _pairs("--add-host", ":"),
    "read_only": lambda value: ["--read-only"] if value else [],
    "tmpfs": _pairs("--tmpfs", ":"),
    "cap_drop": _each("--cap-drop"),
    "security_opt": _each("--security-opt"),
    "init": lambda value: ["--init"] if value else [],
    "pids_limit": _one("--pids-limit"),
    "mem_limit": _one("--memory"),
    "memswap_limit": _one("--memory-swap"),
    "nano_cpus": lambda value: [f"--cpus={value / 10**9:g}"] if value else [],
    "environment": _pairs("--env", "="),
    "working_dir": _one("--workdir"),
    "mounts": lambda mounts: [f"--mount={_mount(one)}" for one in mounts],
    "devices": _each("--device"),
    "group_add": _each("--group-add"),
    "detach": lambda _: [],
}
