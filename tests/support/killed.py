"""Runs Invoke and stops it at one of the points where it touches the disk, another program or the screen.

``Plan(...).command(ARGS)`` is the command line. The points are Python's own audit events (open for writing, rename,
unlink, mkdir, connect, ...) and each word to the user, so there is one at every step and between any two changes of
files. A plan may also turn a protection off, for negative controls.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SHOWN = "coralforge.shown"
STEPS = frozenset({SHOWN, "os.rename", "os.rmdir", "fcntl.flock", "socket.connect", "subprocess.Popen"})
"""Where one thing ends and another begins."""
FILES = frozenset(
    {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.symlink", "os.truncate", "os.utime"}
)
OPENED = "open"
_WRITES = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class Plan:
    """Which signals come at which points (from 0 on), which protections are off, and where the points' names go."""

    at: tuple[int, ...] = ()
    signals: tuple[int, ...] = ()
    without: tuple[str, ...] = ()
    """Names in WEAKENED."""
    record: str = ""
    """A file that gets the names of all points as a JSON list at the end."""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line for ``invoke ARGUMENTS...``."""
        return [sys.executable, "-m", "tests.support.killed", json.dumps(asdict(self)), *arguments]


class Points:
    """Counts points, and sends the signals."""

    def __init__(self, plan: Plan) -> None:
        self.due = dict(zip(plan.at, plan.signals, strict=True))
        self.came: list[str] = []
        if plan.record:
            atexit.register(lambda: Path(plan.record).write_text(json.dumps(self.came), encoding="ascii"))

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not (event in STEPS or event in FILES or (event == OPENED and _writes(arguments))):
            return
        self.came.append(event)
        if (number := self.due.get(len(self.came) - 1)) is not None:
            os.kill(os.getpid(), number)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & _WRITES)


def _copy_into_store() -> None:
    """The bundle comes into the store file by file, and the run is killed after the first."""
    from coralforge import store
    from coralforge.plan import Stage

    commit = store.commit

    def copied(cache: Any, action: Any, folder: Path) -> Path:
        if action.stage is not Stage.BUNDLE:
            return commit(cache, action, folder)
        place = store.location(cache, action)
        place.mkdir()
        shutil.copy(min(folder.iterdir()), place)
        os.kill(os.getpid(), signal.SIGKILL)
        return place

    _put(store, "commit", copied)


def _believe_store() -> None:
    """An artifact in the store is not compared with its record."""
    from coralforge import store

    _put(store, "damage", lambda *_, **__: "")


def _keep_containers() -> None:
    """Nothing that a killed run left in Docker is removed."""
    from coralforge.containers import docker

    _put(docker, "reap", lambda _: None)


def _keep_leftovers() -> None:
    """Nothing that a killed run left on the disk is removed."""
    from coralforge import store
    from coralforge.util import atomic, scratch

    _put(store, "_sweep", lambda _: None)
    for module in (atomic, scratch):
        _put(module, "remove_leftovers", lambda *_: None)


def _ignore_stops() -> None:
    """Ctrl-C and the like do what they do to any program."""
    from coralforge.commands import boundary

    _put(boundary, "_on_stopping", lambda _: None)


def _end_with_the_reader() -> None:
    """A word that nobody reads is an error where it is written, as in any program."""
    from coralforge.util import streams

    def fail(self: object, error: OSError) -> None:
        raise error

    _put(streams._Lasting, "_fail", fail)


def _pack_as_found() -> None:
    """The bundle's entries are packed in the order of the folder, with the time of the clock."""
    from coralforge.bundle import pack

    def write(folder: Path, stream: Any) -> None:
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for path in folder.rglob("*"):
                tar.add(path, path.relative_to(folder.parent).as_posix(), recursive=False)

    _put(pack, "_write", write)


def _put(module: object, name: str, stand_in: Callable[..., object]) -> None:
    assert hasattr(module, name), name
    setattr(module, name, stand_in)


WEAKENED: dict[str, Callable[[], None]] = {
    "one rename": _copy_into_store,
    "damage": _believe_store,
    "reap": _keep_containers,
    "sweep": _keep_leftovers,
    "stops": _ignore_stops,
    "sorted entries": _pack_as_found,
    "lasting output": _end_with_the_reader,
}


def main() -> None:
    """Run Invoke as the plan in the first argument says."""
    from coralforge import console

    plan = Plan(**json.loads(sys.argv[1]))
    emit = console.PlainSink.emit

    def shown(self: console.PlainSink, event: Any) -> None:
        sys.audit(SHOWN)
        emit(self, event)
        sys.audit(SHOWN)

    console.PlainSink.emit = shown  # type: ignore[method-assign]
    for name in plan.without:
        WEAKENED[name]()
    sys.argv = [str(Path(sys.executable).parent / "invoke"), *sys.argv[2:]]
    sys.addaudithook(Points(plan))
    from invoke.main import program

    program.run()


if __name__ == "__main__":
    main()
