"""Runs Google's compiler in the container of docker/edgetpu-compiler.Dockerfile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coralforge.compile.local import MAX_OUTPUT, Ended, Stop
from coralforge.containers.folders import writable_folder
from coralforge.containers.spec import ContainerSpec, Mount, Runner

PROGRAM = "edgetpu_compiler"
INPUTS = "in"
OUTPUTS = "out"
_WORK = "/work"
_MEMORY = 4 << 30
_PIDS = 256
_KILLED = 137


class _TooMuch(Exception):
    """The program prints more than anybody will read."""


@dataclass
class _Printed:
    lines: list[str] = field(default_factory=list)
    size: int = 0

    def __call__(self, line: str) -> None:
        self.size += len(line) + 1
        if self.size > MAX_OUTPUT:
            raise _TooMuch
        self.lines.append(line)


@dataclass(frozen=True)
class ContainerProgram:
    """The compiler in ``image``: without a network, non-root, read-only but for the folder of outputs, bounded."""

    runner: Runner
    image: str

    @property
    def name(self) -> str:
        return f"{PROGRAM} in the image {self.image}"

    def run(self, arguments: Sequence[str], folder: Path, seconds: float) -> Ended:
        """As ``LocalProgram.run``; only ``in`` and ``out`` of ``folder`` are there.

        Raises:
            CoralforgeError: as ``Runner.run``.
        """
        out = writable_folder(folder / OUTPUTS, self.runner)
        limit = math.ceil(seconds)
        spec = ContainerSpec(
            name="compile",
            image=self.image,
            command=("timeout", "--signal=KILL", str(limit), PROGRAM, *arguments),
            mounts=(Mount(folder / INPUTS, f"{_WORK}/{INPUTS}"), Mount(out, f"{_WORK}/{OUTPUTS}", writable=True)),
            env=(("HOME", "/tmp"), ("LC_ALL", "C.UTF-8")),
            workdir=_WORK,
            memory_bytes=_MEMORY,
            pids=_PIDS,
        )
        printed = _Printed()
        try:
            finished = self.runner.run(spec, printed)
        except _TooMuch:
            return Ended(_KILLED, "\n".join(printed.lines), seconds, Stop.OUTPUT)
        late = finished.status == _KILLED and finished.seconds >= limit
        stopped = Stop.MEMORY if finished.out_of_memory else Stop.TIME if late else None
        return Ended(finished.status, "\n".join(printed.lines), finished.seconds, stopped)
