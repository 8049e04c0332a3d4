"""Containers that run on by themselves when the process that started them has ended, found again by their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coralforge.containers.docker import container_owner, creation, lines
from coralforge.containers.engine import asking
from coralforge.containers.owner import LABEL
from coralforge.containers.spec import ContainerSpec
from coralforge.errors import build_error, missing_error

_LOG_LINES = 20


@dataclass(frozen=True)
class Background:
    """A container that was found: whether it still runs, its labels, and where its ports are on 127.0.0.1."""

    name: str
    running: bool
    labels: Mapping[str, str]
    ports: Mapping[int, int]
    """By the number in the container, the one on this machine."""
    said: tuple[str, ...] = ()
    """The last lines of its output; only of one that ended."""


def start(
    client: Any, spec: ContainerSpec, name: str, labels: Mapping[str, str], ports: tuple[int, ...] = ()
) -> Background:
    """Start a container under ``name``, which must be free; each of ``ports`` gets one on 127.0.0.1.

    Raises:
        CoralforgeError: ``image-missing`` (exit code 3); ``docker-lost`` (5).
    """
    from docker.errors import ImageNotFound

    with asking(f"the container {name} was started"):
        try:
            container = client.containers.create(
                name=name,
                labels={LABEL: "1", **labels},
                ports={f"{port}/tcp": ("127.0.0.1", None) for port in ports},
                **creation(spec, container_owner()),
            )
        except ImageNotFound as error:
            raise missing_error(
                f"the image {spec.image} is not there", reason="image-missing", remedy="run the same command again"
            ) from error
        try:
            container.start()
        except BaseException:
            container.remove(force=True)
            raise
    found = find(client, name)
    if found is None:
        raise build_error(f"the container {name} is gone", reason="docker-lost", remedy="run the same command again")
    return found


def find(client: Any, name: str) -> Background | None:
    """The container of that name, whether it runs or has ended; None if there is none."""
    from docker.errors import NotFound

    with asking(f"the container {name} was looked for"):
        try:
            return _background(client.containers.get(name))
        except NotFound:
            return None


def labelled(client: Any, label: str) -> list[Background]:
    """All containers with that label."""
    with asking(f"containers with the label {label} were looked for"):
        containers = client.containers.list(all=True, ignore_removed=True, filters={"label": label})
        return [_background(container) for container in containers]


def stop(client: Any, name: str, seconds: int) -> bool:
    """Ask a container to end, and end it after ``seconds``; says whether it ran. It stays, to be looked at."""
    from docker.errors import NotFound

    with asking(f"the container {name} was stopped"):
        try:
            container = client.containers.get(name)
            ran = container.status == "running"
            container.stop(timeout=seconds)
        except NotFound:
            return False
    return bool(ran)


def remove(client: Any, name: str) -> bool:
    """End and remove the container of that name; says whether there was one."""
    from docker.errors import APIError, NotFound

    with asking(f"the container {name} was removed"):
        try:
            client.containers.get(name).remove(force=True)
        except NotFound:
            return False
        except APIError as error:
            if error.status_code != _IN_PROGRESS:
                raise
    return True


_IN_PROGRESS = 409  # another process removes it just now


def _background(container: Any) -> Background:
    bound = container.attrs["NetworkSettings"]["Ports"] or {}
    ports = {int(key.split("/")[0]): int(value[0]["HostPort"]) for key, value in bound.items() if value}
    running = container.status in ("created", "running")
    said = () if running else tuple(lines(iter([container.logs(tail=_LOG_LINES)])))
    return Background(container.name, running, container.labels, ports, said)
