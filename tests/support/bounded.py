"""Reads hostile YAML files with a bound on memory, and says how much of the processor each took.

    python -m tests.support.bounded MIB FILE...     one JSON object

Each file is read in a process of its own, which may take MIB more than it has when it begins.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from coralforge.config.document import read_document
from coralforge.errors import CoralforgeError
from tests.support.patience import yardstick

NET = 120  # seconds of the processor, after which the system ends it


def read(path: Path) -> dict[str, object]:
    """The reason of the error (empty: it was read), its text, and seconds of the processor."""
    started = time.process_time()
    try:
        read_document(path)
        reason, text = "", ""
    except CoralforgeError as error:
        reason, text = error.reason, error.brief
    except MemoryError:
        reason, text = "MemoryError", ""
    return {"reason": reason, "text": text[:300], "seconds": time.process_time() - started}


def apart(path: Path, mib: int) -> dict[str, object]:
    """The same in a process of its own, with its bounds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (mib << 20), size + (mib << 20)))
        resource.setrlimit(resource.RLIMIT_CPU, (NET, NET))
        os.write(writing, json.dumps(read(path)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return dict(json.loads(said)) if said else {"reason": "killed", "text": "", "seconds": NET}


if __name__ == "__main__":
    results = [{"file": name, **apart(Path(name), int(sys.argv[1]))} for name in sys.argv[2:]]
    print(json.dumps({"yardstick": yardstick(), "files": results}))
