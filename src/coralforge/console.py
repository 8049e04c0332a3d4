"""Shows events: one live progress line with rich on a terminal, plain lines elsewhere (CI, a pipe, a file)."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TextIO

from coralforge.events import Event, Note, Output, Progress, Sink, Step
from coralforge.util.plain import plain

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_INTERVAL = 10.0


class PlainSink:
    """One line per event; progress at most every ten seconds per name, so that CI logs stay short."""

    def __init__(self, stream: TextIO | None = None, interval: float = PLAIN_INTERVAL) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.interval = interval
        self.last: dict[str, float] = {}
        self.lock = threading.Lock()

    def emit(self, event: Event) -> None:
        text = self._text(event)
        if text is not None:
            with self.lock:
                print(text, file=self.stream, flush=True)

    def _text(self, event: Event) -> str | None:
        if isinstance(event, Output):
            return None
        if isinstance(event, Progress):
            now = time.monotonic()
            if now - self.last.setdefault(event.name, now) < self.interval:
                return None
            self.last[event.name] = now
            return f"   {event.name}: {_amount(event)}"
        return _line(event)


class RichSink:
    """Live bars on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("   {task.description}"), BarColumn(), TextColumn("{task.fields[amount]}"))
        self.bars = Bars(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self.tasks: dict[str, TaskID] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> RichSink:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def emit(self, event: Event) -> None:
        with self.lock:
            if isinstance(event, Progress):
                self._progress(event)
            elif not isinstance(event, Output):
                if isinstance(event, Step) and event.seconds is not None:
                    self._drop(event.name)
                self.bars.console.print(_line(event), markup=False, highlight=False)

    def _progress(self, event: Progress) -> None:
        if event.total is not None and event.done >= event.total:
            self._drop(event.name)
            return
        if event.name not in self.tasks:
            self.tasks[event.name] = self.bars.add_task(event.name, total=event.total, amount="")
        self.bars.update(self.tasks[event.name], completed=event.done, total=event.total, amount=_amount(event))

    def _drop(self, name: str) -> None:
        task = self.tasks.pop(name, None)
        if task is not None:
            self.bars.remove_task(task)


def make_sink() -> AbstractContextManager[Sink]:
    """The sink that fits where stderr goes."""
    return RichSink() if sys.stderr.isatty() else nullcontext(PlainSink())


def _line(event: Note | Step) -> str:
    if isinstance(event, Note):
        return f"warning: {plain(event.text)}" if event.level == "warning" else f"   {plain(event.text)}"
    return f"-> {event.name}" if event.seconds is None else f"   {event.name}: done in {event.seconds:.1f} s"


def _amount(event: Progress) -> str:
    if event.unit == "bytes":
        total = f" of {event.total / 1e6:.1f}" if event.total else ""
        return f"{event.done / 1e6:.1f}{total} MB"
    return f"{event.done} of {event.total} {event.unit}" if event.total else f"{event.done} {event.unit}"
