"""Measures our TensorFlow Lite beside others: the same models, interleaved in one run, each pinned to its processors.

For docs/performance.md: ``python -m tests.performance.compare_interpreters --ours LIB [--peer NAME=...] MODEL...``.
LIB is a libtensorflowlite_c.so, of a bundle or of ``artifacts/libraries-*`` in the cache, or one with a delegate as
below. ``--peer`` is repeatable:

    NAME=c:PATH[+DELEGATE]       another libtensorflowlite_c.so, such as that of npm's tfjs-tflite-node; or one with a
                                 delegate, such as ours with our libtensorflowlite_xnnpack.so
    NAME=PACKAGE:MODE[:PYTHON]   a Python interpreter: PACKAGE is ai_edge_litert or tflite_runtime; MODE is
                                 ``builtin`` (no delegate) or ``default`` (its own choice); PYTHON of its environment

Each interpreter is a process of its own (interpreter_worker.py). They take turns of a few inferences, each round in
another order, so that what else the machine does hits all alike. Shown are medians with their quartiles, and ours in
theirs ("1.00" is as fast, less is faster) with the bounds of 95 % of the medians of resampled rounds. Processor time
is what one thread needs, whatever else runs; with more threads look at wall time, on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

WORKER = Path(__file__).resolve().parent / "interpreter_worker.py"
TURN = 5
"""Inferences of an interpreter before the next one's turn."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Peer:
    """One interpreter, as the command line names it."""

    name: str
    kind: str
    where: str
    python: str = sys.executable

    @classmethod
    def parse(cls, text: str) -> Peer:
        """``NAME=c:PATH`` or ``NAME=PACKAGE:MODE[:PYTHON]``.

        Raises: argparse.ArgumentTypeError: it is neither.
        """
        name, _, rest = text.partition("=")
        kind, _, where = rest.partition(":")
        if not (name and kind and where):
            raise argparse.ArgumentTypeError(f"not NAME=KIND:WHERE: {text}")
        mode, _, python = where.partition(":")
        return cls(name, kind, where) if kind == "c" else cls(name, kind, mode, python or sys.executable)


class Worker:
    """An interpreter at work on one model."""

    def __init__(self, peer: Peer, model: Path, threads: int, processors: Sequence[int]) -> None:
        self.peer = peer
        self.rounds: dict[str, list[float]] = {"wall": [], "processor": []}
        """The median of each round, in milliseconds."""
        self.samples: dict[str, list[float]] = {"wall": [], "processor": []}
        """Each inference, in milliseconds."""
        self.process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, processors))]
            + [peer.python, str(WORKER), peer.kind, peer.where, str(threads), str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.outputs = [bytes.fromhex(output) for output in self._answer()["outputs"]]

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline() or '{"error": "it ended without a word"}')
        return answer if "error" not in answer else sys.exit(f"{self.peer.name}: {answer['error']}")

    def turn(self, runs: int) -> None:
        """Measure some inferences, after one that is not measured."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{runs + 1}\n")
        self.process.stdin.flush()
        for clock, times in self._answer().items():
            self.samples[clock] += times[1:]
            self.rounds[clock].append(median(times[1:]))

    def end(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def shown(samples: list[float]) -> str:
    """The median, and the quartiles."""
    low, middle, high = quantiles(samples, n=4)
    return f"{middle:8.2f} ({low:.2f} to {high:.2f})"


def ratio(ours: list[float], theirs: list[float], chance: random.Random) -> str:
    """Ours in theirs, with the bounds of 95 % of the ratios of resampled rounds."""
    indices = range(len(ours))
    resampled = []
    for _ in range(RESAMPLES):
        chosen = chance.choices(indices, k=len(indices))
        resampled.append(median(ours[i] for i in chosen) / median(theirs[i] for i in chosen))
    resampled.sort()
    low, high = resampled[RESAMPLES // 40], resampled[-RESAMPLES // 40]
    return f"{median(ours) / median(theirs):5.2f} ({low:.2f} to {high:.2f})"


def difference(ours: list[bytes], theirs: list[bytes]) -> str:
    """How far two interpreters' outputs are apart, byte by byte."""
    ours_all, theirs_all = b"".join(ours), b"".join(theirs)
    if len(ours_all) != len(theirs_all):
        return "outputs of another size"
    apart = [abs(a - b) for a, b in zip(ours_all, theirs_all, strict=True) if a != b]
    return f"{len(apart)} of {len(ours_all)} bytes differ, by up to {max(apart)}" if apart else "same bytes"


def compare(model: Path, peers: list[Peer], options: argparse.Namespace) -> None:
    """Measure all interpreters on one model, and print a row for each."""
    processors = sorted(os.sched_getaffinity(0))[-options.threads :]
    workers = [Worker(peer, model, options.threads, processors) for peer in peers]
    chance = random.Random(1)
    for _ in range(-(-options.samples // TURN)):
        for worker in chance.sample(workers, len(workers)):
            worker.turn(TURN)
    ours = workers[0]
    print(f"{model.name}, threads: {options.threads}, samples: {len(ours.samples['wall'])}")
    for worker in workers:
        row = f"  {worker.peer.name:22}"
        for clock in ("wall", "processor"):
            row += f" {clock} {shown(worker.samples[clock]):28}"
        if worker is not ours:
            clock = "processor" if options.threads == 1 else "wall"
            row += f" ours/this {ratio(ours.rounds[clock], worker.rounds[clock], chance)}"
            row += f" {difference(ours.outputs, worker.outputs)}"
        print(row, flush=True)
        worker.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, metavar="LIB")
    parser.add_argument("--peer", action="append", default=[], type=Peer.parse, metavar="NAME=KIND:WHERE")
    parser.add_argument("--samples", type=int, default=60, help="inferences that are measured, of each (default 60)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("models", nargs="+", type=Path)
    options = parser.parse_args()
    for model in options.models:
        compare(model, [Peer("ours", "c", options.ours), *options.peer], options)


if __name__ == "__main__":
    main()
