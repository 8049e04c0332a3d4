"""Reads mutated copies of FOLDER/whole.h5, cases FIRST to LAST: run by test_model_files.py in a process of its own.

The number of the case stands in FOLDER/case, for who finds this process dead. A traceback is a failure.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.quantize.worker.model_files import recognise

LONGEST = 1.0  # seconds of the processor for one file, of which a few thousandths are usual; then SIGPROF ends this


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, most of them in the structures at the front; sometimes cut short."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        changed[chance.randrange(len(data) if chance.random() < 0.5 else 2500)] = chance.randrange(256)
    return bytes(changed[: chance.randrange(len(data))] if chance.random() < 0.2 else changed)


def main(folder: Path, first: int, last: int) -> None:
    whole = (folder / "whole.h5").read_bytes()
    path = folder / "fuzzed.h5"
    with (folder / "case").open("w") as note:
        for case in range(first, last):
            note.seek(0)
            note.write(str(case))
            note.flush()
            path.write_bytes(mutated(whole, random.Random(case)))
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            try:
                recognise(path)
            except CoralforgeError as error:
                assert error.code is ExitCode.USER


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
