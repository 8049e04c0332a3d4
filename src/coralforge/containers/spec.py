"""The specification of a container run, and the Runner interface (Docker, or a test double)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host at ``target`` in the container; read-only unless ``writable``."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """One command in a fresh container: non-root, no network unless asked for, read-only root, no capabilities.

    ``memory_bytes`` and ``cpus`` limit it; ``name`` is what messages call it (``sdk``, ``smoke``).
    """

    name: str
    image: str
    command: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = "/tmp"
    cpus: int | None = None
    memory_bytes: int | None = None
    pids: int = 4096
    devices: tuple[str, ...] = ()
    """Device nodes of the host."""
    network: bool = False
    """Only where pipeline.yaml names a remote cache or executor, and where a port is reached from the host."""
    names: tuple[tuple[str, str], ...] = ()
    """Host names that have another address in the container, and that address."""


@dataclass(frozen=True)
class Finished:
    """How a container ended: exit status (0 to 255), whether the kernel killed it for memory, wall seconds."""

    status: int
    out_of_memory: bool
    seconds: float


class Runner(Protocol):
    """Runs containers. A container is gone when ``run`` returns or raises, however it ends."""

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        """Run to the end; every line of stdout and stderr goes to ``on_line`` without its newline.

        Raises:
            CoralforgeError: ``docker-missing``, ``docker-unreachable``, ``docker-lost`` (the daemon went away),
                ``image-missing``; exit code 3 or 5.
        """

    def owner(self) -> tuple[int, int]:
        """The uid and gid that containers run as; writable mounts must belong to them."""
