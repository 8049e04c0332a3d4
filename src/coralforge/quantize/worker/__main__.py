"""The worker process: `python -I .../quantize/worker/__main__.py REQUEST.json EVENTS_FD PARENT_PID`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coralforge.quantize.worker.wire import Reporter

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Do what the request says."""
    from coralforge.quantize.worker.job import run
    from coralforge.quantize.worker.request import read_request

    return serve(arguments, lambda place, reporter: run(read_request(place), reporter))


def serve(arguments: list[str], work: Callable[[Path, Reporter], dict[str, Any]]) -> int:
    """Do the work for the request in a file; everything that comes of it goes to the events' file descriptor."""
    from coralforge.errors import CoralforgeError
    from coralforge.quantize.worker.wire import PipeReporter

    place, number, parent = arguments
    _die_with(int(parent))
    reporter = PipeReporter(int(number))
    try:
        reporter.result(work(Path(place), reporter))
    except CoralforgeError as error:
        reporter.error(error)
    except Exception:
        traceback.print_exc()  # into the log: the engine says that this process failed, and where the log is
        return 1
    return 0


def leave(code: int) -> None:
    """End this process; TensorFlow's threads need not be waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _die_with(parent: int) -> None:
    """End at once when the engine does, however it does."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    sys.path[:] = [str(Path(__file__).resolve().parents[3]), *sys.path]
    leave(main(sys.argv[1:]))
