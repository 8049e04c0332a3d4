"""Typed messages about progress, apart from how they are shown.

The engine calls :class:`Sink` methods; ``render`` decides between rich on a terminal and plain lines
in CI. Tests use :class:`Recorder`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Step:
    """A unit of work began (``seconds`` is None) or ended (wall-clock seconds)."""

    name: str
    seconds: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far ``name`` is. ``done`` and ``total`` are in ``unit`` (``bytes``, ``actions``); total may be unknown."""

    name: str
    done: int
    total: int | None
    unit: str


@dataclass(frozen=True)
class Note:
    """A sentence for the user. ``level`` is ``info`` or ``warning``."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Output:
    """One line that a container or program printed; kept in the log, shown only when asked for."""

    source: str
    line: str


Event = Step | Progress | Note | Output


class Sink(Protocol):
    """Takes events as they happen. Must be callable from several threads."""

    def emit(self, event: Event) -> None:
        """Show, log or record one event."""


@dataclass
class Recorder:
    """A sink that keeps everything; for tests and quiet runs."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)
