"""Runs verbs of tasks.py as the command line does, each in a process of its own that is forked from a warm one.

python -m tests.support.verb_runner SCRATCH < REQUESTS > RESULTS      both JSON lists
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.conftest import ROOT
from tests.support.patience import NET


@dataclass(frozen=True)
class Ran:
    """How a command ended (negative: by that signal), and all that it wrote."""

    status: int
    stdout: str
    stderr: str


def load_tasks() -> ModuleType:
    """The project's tasks.py as a module."""
    sys.path.insert(0, str(ROOT))
    import tasks

    return tasks


def run(arguments: list[str], folder: Path, scratch: Path) -> Ran:
    """``invoke ARGUMENTS`` in ``folder``; it is killed after NET seconds."""
    files = [scratch / "stdout", scratch / "stderr"]
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        for number, file in zip((1, 2), files, strict=True):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.alarm(NET)
        os._exit(_invoke(arguments))
    _, status = os.waitpid(child, 0)
    said = [file.read_bytes().decode("utf-8", "surrogateescape") for file in files]
    return Ran(os.waitstatus_to_exitcode(status), *said)


def _invoke(arguments: list[str]) -> int:
    from invoke import Collection, Program

    sys.stdout, sys.stderr = _text(1), _text(2)
    try:
        Program(namespace=Collection.from_module(load_tasks())).run(["invoke", *arguments])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _text(number: int) -> io.TextIOWrapper:
    """As Python's own at a UTF-8 terminal."""
    stream = io.BufferedWriter(io.FileIO(number, "w"))
    errors = "backslashreplace" if number == 2 else "strict"
    return io.TextIOWrapper(stream, "utf-8", errors, line_buffering=True)


def main(scratch: Path) -> None:
    requests: list[dict[str, Any]] = json.load(sys.stdin)
    load_tasks()
    for module in ("deploy", "inspect", "models", "pipeline", "release", "smoke"):  # warm: each child has it
        importlib.import_module(f"coralforge.commands.{module}")
    for module in ("docker", "jinja2", "requests", "rich.progress", "coralforge.edgetpu.partition"):
        importlib.import_module(module)
    results = [asdict(run(one["arguments"], Path(one["folder"]), scratch)) for one in requests]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
