"""An inspection as frozen data: what the text, the JSON, the page and other parts of coralforge look at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from coralforge.edgetpu.estimate import Estimate
from coralforge.edgetpu.evidence import Certainty
from coralforge.edgetpu.operators import Status
from coralforge.edgetpu.package import Package
from coralforge.edgetpu.partition import Decision
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.edgetpu.warnings import Warning
from coralforge.inspect.statement import Statement
from coralforge.tflite.graph import Graph, Operation


class Form(Enum):
    """The kind of file that was inspected."""

    PLAIN = "plain"
    """Not compiled: where operations run is a prediction."""
    COMPILED = "compiled"
    """Compiled by Google's compiler for hardware."""
    SIMULATED = "simulated"
    """Compiled by coralforge for the simulated Edge TPU."""


class Place(Enum):
    """Where an operation runs."""

    TPU = "tpu"
    CPU = "cpu"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Located:
    """One operation and where it runs.

    ``remark`` says where the compiler decided other than the rules known here would have.
    """

    decision: Decision
    place: Place
    remark: str = ""

    @property
    def operation(self) -> Operation:
        return self.decision.operation

    @property
    def status(self) -> Status:
        return self.decision.status

    @property
    def called(self) -> str:
        """The operator's name; for a custom one its own."""
        return self.operation.custom_code or self.operation.name


@dataclass(frozen=True)
class Program:
    """One `edgetpu-custom-op` of a compiled file. ``index`` counts the file's operators, ``size`` is in bytes."""

    index: int
    size: int
    package: Package | None
    """The package that Google's compiler made; None for the simulator."""
    note: str = ""
    """Who made it, for the simulator."""


@dataclass(frozen=True)
class Refusal:
    """A reason for which no compiler would take the model; ``reason`` is that of docs/errors.md."""

    reason: str
    brief: str
    details: str
    remedy: str


@dataclass(frozen=True)
class Advice:
    """A change to the model, and for which operations; none for one that makes the whole smaller.

    ``wins``: how many more would be mapped by it alone; ``seconds``: how much shorter an inference would be, on USB 3
    and with the Dev Board's CPU, None where that is not known.
    """

    text: str
    operations: tuple[int, ...]
    wins: int
    seconds: float | None = None


@dataclass(frozen=True)
class Inspection:
    """Everything that is known of a model. ``operations`` are those of ``graph``, in the order in which they run.

    ``graph`` is the plain model's where that is known: it was given, or is what was looked at, or could be taken
    out of the simulator's payload. Otherwise it is the compiled one, in which each `edgetpu-custom-op` stands for
    an unknown number of operations.
    """

    path: Path
    size: int
    form: Form
    plain: Path | None
    graph: Graph
    operations: tuple[Located, ...]
    programs: tuple[Program, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[Warning, ...]
    advice: tuple[Advice, ...]
    least: int
    """How many operations run on the (simulated) Edge TPU at least: with every doubt of a prediction against it."""
    most: int
    parameters: int
    """Bytes of the constants that the part on the TPU reads; 0 where its operations are unknown."""
    subgraphs: int
    estimate: Estimate | None
    """Memory and time of a plain model; None for a compiled one, and where nothing can be said."""
    statement: Statement
    """The file, and what it says of itself."""

    @property
    def predicted(self) -> bool:
        """Whether where operations run is a prediction."""
        return self.form is Form.PLAIN

    @property
    def complete(self) -> bool:
        """Whether ``operations`` are those of the plain model."""
        return not any(one.operation.custom_code == CUSTOM_CODE for one in self.operations)

    @property
    def on_cpu(self) -> tuple[Located, ...]:
        """The operations left on the CPU."""
        return tuple(one for one in self.operations if one.place is Place.CPU)

    @property
    def total(self) -> int | None:
        """How many operations the plain model has, if that is known."""
        return len(self.operations) if self.complete else None

    @property
    def mapped(self) -> int | None:
        """How many of the plain model's operations run on the (simulated) Edge TPU, if that is known."""
        return len(self.operations) - len(self.on_cpu) if self.complete else None

    @property
    def fraction(self) -> float | None:
        """The part of the plain model's operations that runs on the (simulated) Edge TPU, 0 to 1.

        None for a compiled model that leaves operations on the CPU, and whose plain form is unknown; 0 for a plain
        model that would be refused as a whole.
        """
        if self.refusals:
            return 0.0
        if not self.complete:
            return None if self.on_cpu else 1.0
        return (len(self.operations) - len(self.on_cpu)) / len(self.operations) if self.operations else 0.0

    @property
    def span(self) -> tuple[float, float] | None:
        """The least and the largest fraction that the prediction leaves open; both the same where nothing is open."""
        if self.fraction is None:
            return None
        if self.refusals or not self.complete or not self.operations:
            return self.fraction, self.fraction
        return self.least / len(self.operations), self.most / len(self.operations)

    @property
    def doubtful(self) -> tuple[Located, ...]:
        """The operations of a prediction of which it is not sure where they run."""
        return tuple(one for one in self.operations if one.decision.certainty is not Certainty.SURE)

    @property
    def packages(self) -> tuple[Package, ...]:
        """The packages that Google's compiler made for hardware."""
        return tuple(one.package for one in self.programs if one.package is not None)

    @property
    def min_runtime_version(self) -> int | None:
        """The runtime that all packages need at least; None where nothing is compiled for hardware."""
        return max((package.min_runtime_version for package in self.packages), default=None)
