"""The Runner that uses Docker Engine, through docker-py.

The end of an output stream is never success, since a stream that is cut ends normally: the status comes from
``wait``. A killed client leaves its container running, so every container carries the label of the process that made
it and is reaped by the next run.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coralforge.containers.engine import asking, connect, lost, watched
from coralforge.containers.owner import labels, reap
from coralforge.containers.spec import ContainerSpec, Finished
from coralforge.errors import missing_error

FALLBACK_ID = 1000
WAIT_SECONDS = 30.0


def container_owner() -> tuple[int, int]:
    """uid and gid of containers: the user's own, and 1000 when the user is root (never root itself)."""
    uid, gid = os.getuid(), os.getgid()
    return (uid, gid) if uid != 0 else (FALLBACK_ID, FALLBACK_ID)


class DockerRunner:
    """Runs each :class:`ContainerSpec` in a fresh container that is gone afterwards, however it ends.

    Making one removes the containers of killed runs. Raises as ``connect``, and CoralforgeError: ``docker-lost``.
    """

    def __init__(self, client: Any | None = None) -> None:
        self.client = client if client is not None else connect()
        reap(self.client)

    def owner(self) -> tuple[int, int]:
        return container_owner()

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        started = time.monotonic()
        doing = f"the container '{spec.name}' was running"
        name = f"coralforge-{spec.name}-{uuid.uuid4().hex[:8]}"
        with self._gone_afterwards(name):
            with asking(doing):
                container = self._create(spec, name)
                stream = container.attach(stdout=True, stderr=True, stream=True, logs=True, demux=True)
            with contextlib.ExitStack() as closing:
                closing.callback(_close, stream)
                with asking(doing):
                    container.start()
                for line in lines_of_both(watched(stream, doing, _Watch(container, doing))):
                    on_line(line)
            with asking(doing):
                status, out_of_memory = self._outcome(container)
        return Finished(status, out_of_memory, time.monotonic() - started)

    def _outcome(self, container: Any) -> tuple[int, bool]:
        """Status and whether the kernel killed something in it. The stream has ended; ask what happened."""
        status = int(container.wait(timeout=WAIT_SECONDS)["StatusCode"])
        container.reload()
        return status, bool(container.attrs["State"].get("OOMKilled"))

    def _create(self, spec: ContainerSpec, name: str) -> Any:
        from docker.errors import ImageNotFound

        try:
            return self.client.containers.create(name=name, labels=labels(), **creation(spec, self.owner()))
        except ImageNotFound as error:
            raise missing_error(
                f"the image {spec.image} is not there", reason="image-missing", remedy="run invoke image"
            ) from error

    @contextlib.contextmanager
    def _gone_afterwards(self, name: str) -> Iterator[None]:
        """Removed by its name: the engine may have made it though its answer never came, or Ctrl-C came first."""
        try:
            yield
        finally:
            try:
                self._remove(name)
            except KeyboardInterrupt:
                self._remove(name)
                raise

    def _remove(self, name: str) -> None:
        # The daemon may be the very thing that died; then the next run reaps the container by its label.
        with contextlib.suppress(Exception):
            self.client.api.remove_container(name, force=True)


class _Watch:
    """Asked when a container has long said nothing: whether it still runs, which only a running engine answers."""

    def __init__(self, container: Any, doing: str) -> None:
        self._container = container
        self._doing = doing
        self._ended = False

    def __call__(self) -> None:
        if self._ended:
            raise lost(self._doing, "the container ended, but its output does not")
        self._container.reload()
        self._ended = self._container.status not in ("created", "running")  # its last words may be on their way


def _close(stream: Any) -> None:
    with contextlib.suppress(Exception):  # of a connection that is gone
        stream.close()


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
