"""Feeds damaged models, and files of other kinds, to all of `invoke inspect`, in a process with little memory.

    python -m tests.support.fuzz_models CASES FIRST_SEED MEGABYTES FOLDER

FOLDER holds real models. Prints JSON: cases, how many were shown, and the processor time in yardsticks
(tests/support/patience.py), in total and of the slowest case.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.support.damage import FOREIGN, KINDS, REAL, STATED, damaged
from tests.support.inspect_everything import carry_everything, inspect_everything, inspect_file
from tests.support.mutations import mutated
from tests.support.patience import yardstick


def main(cases: int, first: int, megabytes: int, folder: Path, scratch: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    real = {name: (folder / f"{name}.tflite").read_bytes() for name in REAL}
    names = [*KINDS, *REAL, *STATED, *FOREIGN]
    unit, shown, slowest, started = yardstick(), 0, 0.0, time.process_time()
    for seed in range(first, first + cases):
        name, before = names[seed % len(names)], time.process_time()
        data = mutated(real[name], seed) if name in real else damaged(name, seed)
        try:
            if name in FOREIGN:
                shown += inspect_file(scratch / name, data) is not None
            else:
                shown += inspect_everything(data, terminal=seed % 20 == 0) is not None
            if name in STATED:
                carry_everything(data)
        except BaseException:
            print(f"{name}, seed {seed}", file=sys.stderr)
            raise
        slowest = max(slowest, time.process_time() - before)
    total = time.process_time() - started
    unit = min(unit, yardstick())
    print(json.dumps({"cases": cases, "shown": shown, "effort": total / unit, "slowest": slowest / unit}))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), Path(made))
