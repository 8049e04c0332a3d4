"""The Runner that uses Docker Engine, through docker-py.

Learned the hard way (FACTS in the project's notes): the end of an output stream is never success, since a
cut stream ends normally; the status comes from ``wait``. A killed client leaves its container running, so
every container carries the label of the process that made it and is reaped by the next run.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coralforge.containers.spec import ContainerSpec, Finished
from coralforge.errors import CoralforgeError, build_error, missing_error

LABEL = "coralforge"
PID_LABEL = "coralforge.pid"
FALLBACK_ID = 1000
WAIT_SECONDS = 30.0


def connect() -> Any:
    """A docker-py client of the engine that the environment points to.

    Raises:
        CoralforgeError: ``docker-unreachable``, exit code 3.
    """
    from docker.errors import DockerException

    import docker

    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except (DockerException, OSError) as error:
        raise missing_error(
            "Docker Engine does not answer",
            reason="docker-unreachable",
            details=str(error).splitlines()[0][:300],
            remedy="start it (systemctl start docker), add yourself to the group docker, or install it with "
            "scripts/bootstrap --install doctor",
        ) from error
    return client


def container_owner() -> tuple[int, int]:
    """uid and gid of containers: the user's own, and 1000 when the user is root (never root itself)."""
    uid, gid = os.getuid(), os.getgid()
    return (uid, gid) if uid != 0 else (FALLBACK_ID, FALLBACK_ID)


class DockerRunner:
    """Runs each :class:`ContainerSpec` in a fresh container that is gone afterwards, however it ends."""

    def __init__(self, client: Any | None = None) -> None:
        self.client = client if client is not None else connect()
        self._reap()

    def owner(self) -> tuple[int, int]:
        return container_owner()

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        from docker.errors import DockerException
        from requests import RequestException

        started = time.monotonic()
        container = None
        try:
            container = self._create(spec)
            stream = container.attach(stdout=True, stderr=True, stream=True, logs=True, demux=True)
            with contextlib.closing(stream):
                container.start()
                for line in lines_of_both(stream):
                    on_line(line)
            status, out_of_memory = self._outcome(container)
        except (DockerException, RequestException, OSError) as error:
            raise _lost(spec, error) from error
        finally:
            if container is not None:
                self._remove(container)
        return Finished(status, out_of_memory, time.monotonic() - started)

    def _outcome(self, container: Any) -> tuple[int, bool]:
        """Status and whether the kernel killed something in it. The stream has ended; ask what happened."""
        status = int(container.wait(timeout=WAIT_SECONDS)["StatusCode"])
        container.reload()
        return status, bool(container.attrs["State"].get("OOMKilled"))

    def _create(self, spec: ContainerSpec) -> Any:
        from docker.errors import ImageNotFound

        try:
            return self.client.containers.create(
                name=f"coralforge-{spec.name}-{uuid.uuid4().hex[:8]}",
                labels={LABEL: "1", PID_LABEL: str(os.getpid())},
                **creation(spec, self.owner()),
            )
        except ImageNotFound as error:
            raise missing_error(
                f"the image {spec.image} is not there", reason="image-missing", remedy="run invoke image"
            ) from error

    def _remove(self, container: Any) -> None:
        # The daemon may be the very thing that died; then the next run reaps the container by its label.
        with contextlib.suppress(Exception):
            container.remove(force=True)

    def _reap(self) -> None:
        """Remove containers whose client process no longer exists."""
        with contextlib.suppress(Exception):
            for container in self.client.containers.list(all=True, filters={"label": PID_LABEL}):
                pid = container.labels.get(PID_LABEL, "")
                if not (pid.isdigit() and Path(f"/proc/{pid}").exists()):
                    self._remove(container)


def creation(spec: ContainerSpec, owner: tuple[int, int]) -> dict[str, Any]:
    """The arguments of docker-py's ``create`` that say what may be done in a container, and as whom."""
    return {
        "image": spec.image,
        "command": list(spec.command),
        "user": "{}:{}".format(*owner),
        "network_mode": "bridge" if spec.network else "none",
        "extra_hosts": dict(spec.names),
        "read_only": True,
        "tmpfs": {"/tmp": "exec,mode=1777"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "pids_limit": spec.pids,
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "nano_cpus": spec.cpus * 10**9 if spec.cpus else None,
        "environment": dict(spec.env),
        "working_dir": spec.workdir,
        "mounts": [_mount(m.source, m.target, m.writable) for m in spec.mounts],
        "devices": list(spec.devices),
        "group_add": [Path(device).stat().st_gid for device in spec.devices],
        "detach": True,
    }


def lines(chunks: Iterator[bytes], limit: int = 1 << 16) -> Iterator[str]:
    """Split a byte stream into text lines; control characters are dropped, long lines are cut at ``limit``."""
    splitter = _Splitter(limit)
    for chunk in chunks:
        yield from splitter.add(chunk)
    yield from splitter.end()


def lines_of_both(chunks: Iterator[tuple[bytes | None, bytes | None]], limit: int = 1 << 16) -> Iterator[str]:
    """The lines of stdout and stderr as they come, a chunk of each a pair: a line has bytes of one stream only."""
    splitters = _Splitter(limit), _Splitter(limit)
    for pair in chunks:
        for splitter, chunk in zip(splitters, pair, strict=True):
            yield from splitter.add(chunk or b"")
    for splitter in splitters:
        yield from splitter.end()


class _Splitter:
    """Cuts what one stream brings into lines; an unfinished one waits for its end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""

    def add(self, chunk: bytes) -> Iterator[str]:
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            yield _clean(line[: self._limit])
        if len(self._rest) > self._limit:
            yield _clean(self._rest[: self._limit])
            self._rest = b""

    def end(self) -> Iterator[str]:
        if self._rest:
            yield _clean(self._rest)


def _clean(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\r")
    return "".join(c for c in text if c == "\t" or c.isprintable())


def _mount(source: Path, target: str, writable: bool) -> Any:
    from docker.types import Mount

    return Mount(target, str(source), type="bind", read_only=not writable)


def _lost(spec: ContainerSpec, error: Exception) -> CoralforgeError:
    return build_error(
        f"Docker failed while the container '{spec.name}' was running",
        reason="docker-lost",
        details=str(error).splitlines()[0][:300] if str(error) else type(error).__name__,
        remedy="look at Docker's own log, then run the same command again; finished work is kept",
    )
