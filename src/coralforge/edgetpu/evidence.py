"""The known limits of the Edge TPU compiler: from where, and between which tried values each lies.

The compiler is not open. Three kinds of sources say what it does: Coral's documentation, which was wrong at times; a
pair of a plain model and what the compiler made of it; a report, which is a compiler's log that somebody published or
what its user wrote. What nobody tried is not known, and is said so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from coralforge.tflite.graph import Graph, Operation


class Certainty(Enum):
    """How far a decision can be relied on. ``LIKELY``: by the documentation alone. ``UNKNOWN``: nobody tried it."""

    SURE = "sure"
    LIKELY = "likely"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Source:
    """Where something is known from; ``name`` is a document, a model, or the place of a report."""

    kind: Literal["document", "pair", "report"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Objection:
    """A reason against mapping an operation. ``why`` is the end of the sentence "it is not mapped, since ...".

    ``left`` is the better guess: whether it stays on the CPU.
    """

    rule: str
    why: str
    certainty: Certainty
    left: bool = True


@dataclass(frozen=True)
class Limit:
    """Something that an operation either keeps to or not; ``broken`` says how, or gives None."""

    name: str
    broken: Callable[[Graph, Operation], str | None]
    known: Source

    def objection(self, graph: Graph, operation: Operation) -> Objection | None:
        """Asked only of operations that are whole: inputs and constants there, sizes known."""
        why = self.broken(graph, operation)
        if why is None:
            return None
        return Objection(self.name, why, Certainty.LIKELY if self.known.kind == "document" else Certainty.SURE)


@dataclass(frozen=True)
class Bound:
    """A size above which an operation is left on the CPU: somewhere between ``mapped`` and ``left``.

    ``mapped`` is the largest value that was seen mapped, ``left`` the smallest that was seen left, None if none was.
    What lies between is not known; ``guess`` is up to where mapping is the better guess.
    """

    name: str
    unit: str
    size: Callable[[Graph, Operation], float]
    mapped: float
    mapped_by: Source
    left: float | None = None
    left_by: Source | None = None
    guess: float | None = None

    def objection(self, graph: Graph, operation: Operation) -> Objection | None:
        """Asked only of operations that are whole: inputs and constants there, sizes known."""
        value = self.size(graph, operation)
        if value <= self.mapped:
            return None
        why = f"{shown(value)} {self.unit}: {self.tried}"
        if self.left is not None and value >= self.left:
            return Objection(self.name, why, Certainty.SURE)
        left = value > (self.mapped if self.guess is None else self.guess)
        return Objection(self.name, why, Certainty.UNKNOWN, left)

    @property
    def tried(self) -> str:
        """The tried values: ``mapped at 82,944, not at 112,896``."""
        not_at = f", not at {shown(self.left)}" if self.left is not None else ", more was not tried"
        return f"mapped at {shown(self.mapped)}{not_at}"


def shown(value: float) -> str:
    """A size for people: ``82,944``, ``15.5``."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"
