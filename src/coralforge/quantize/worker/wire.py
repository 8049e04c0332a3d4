"""Events from the worker to the engine: one JSON object a line, on a pipe of their own.

    {"event": "step", "name": "load the model"}
    {"event": "progress", "name": "calibrate", "done": 3, "total": 80}
    {"event": "note", "text": "...", "level": "warning"}
    {"event": "error", "brief": ..., "reason": ..., "code": 2, "details": ..., "remedy": ...}
    {"event": "result", "result": {...}}

The last line is an error or the result. A worker that ends without one has crashed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Protocol

from coralforge.errors import CoralforgeError, ExitCode

READ_MODEL = "read the model"
"""The step in which nothing but the model file is looked at, without TensorFlow."""
MAX_LINE = 4 << 20  # bytes; a result lists every input and output of a model


class Reporter(Protocol):
    """Takes what happens while a model is quantized."""

    def step(self, name: str) -> None:
        """A step begins; the one before is done."""

    def progress(self, name: str, done: int, total: int) -> None:
        """So many samples of a step are done."""

    def note(self, text: str, level: str = "info") -> None:
        """A sentence for the user."""


@dataclass(frozen=True)
class PipeReporter:
    """Writes events to a file descriptor."""

    number: int

    def step(self, name: str) -> None:
        self.send({"event": "step", "name": name})

    def progress(self, name: str, done: int, total: int) -> None:
        self.send({"event": "progress", "name": name, "done": done, "total": total})

    def note(self, text: str, level: str = "info") -> None:
        self.send({"event": "note", "text": text, "level": level})

    def error(self, error: CoralforgeError) -> None:
        fields = {"brief": error.brief, "reason": error.reason, "code": int(error.code)}
        self.send({"event": "error", **fields, "details": error.details, "remedy": error.remedy})

    def result(self, result: dict[str, Any]) -> None:
        self.send({"event": "result", "result": result})

    def send(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        while line:
            line = line[os.write(self.number, line) :]


def decode(line: bytes) -> dict[str, Any]:
    """One event.

    Raises:
        ValueError: not one of the events above.
    """
    event = json.loads(line)
    if not isinstance(event, dict) or event.get("event") not in _FIELDS:
        raise ValueError("not an event")
    for name, kind in _FIELDS[event["event"]].items():
        if not isinstance(event.get(name), kind):
            raise ValueError(f"{event['event']}: {name} is not {kind}")
    return event


def to_error(event: dict[str, Any]) -> CoralforgeError:
    """The error that an ``error`` event tells of.

    Raises:
        ValueError: an exit code that does not exist.
    """
    brief, reason, details, remedy = (printable(event[name]) for name in ("brief", "reason", "details", "remedy"))
    return CoralforgeError(brief, reason=reason, code=ExitCode(event["code"]), details=details, remedy=remedy)


def printable(text: str) -> str:
    """Text that may come from a file, without what could act on a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def one_line(text: str, most: int) -> str:
    """Text that may come from a file as one line of at most ``most`` characters."""
    return " ".join(printable(text[: 4 * most]).split())[:most]


_FIELDS: dict[str, dict[str, type]] = {
    "step": {"name": str},
    "progress": {"name": str, "done": int, "total": int},
    "note": {"text": str, "level": str},
    "error": {"brief": str, "reason": str, "code": int, "details": str, "remedy": str},
    "result": {"result": dict},
}
