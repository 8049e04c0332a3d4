"""Decides which operations of a plain model the Edge TPU would run, and why the others stay on the CPU. Pure.

Google's compiler, without --enable_multiple_subgraphs, maps one part of the graph: operations before the first that
it cannot map run on the CPU, and from there on everything that depends on such a one does too. So each operation is
*pre*, *tpu* or *post*; one that depends on a post operation is post, which keeps the part in the middle convex: it
can run as a single step.

Not all limits are known (evidence.py). So the graph is divided three times: as is thought best, with every doubt
against mapping, and with every doubt for it. Where the three agree the decision is sure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from coralforge.edgetpu.evidence import Certainty
from coralforge.edgetpu.operators import Status, readable
from coralforge.edgetpu.verdict import SUITABLE, Facts, Verdict, alone
from coralforge.tflite.graph import CUSTOM, Graph, Operation


class Side(Enum):
    """Where an operation runs: on the CPU before the TPU, on the TPU, or on the CPU after it."""

    PRE = "pre"
    TPU = "tpu"
    POST = "post"


@dataclass(frozen=True)
class Decision:
    """The decision on one operation. ``why`` is for people, ``rule`` names what it would have to keep to.

    Both are empty for what is mapped without a doubt. ``certainty`` is of where it runs, not of why.
    """

    operation: Operation
    status: Status
    side: Side
    why: str = ""
    rule: str = ""
    certainty: Certainty = Certainty.SURE

    @property
    def own(self) -> bool:
        """Whether it is on the CPU by itself, and not because of another operation."""
        return self.side is not Side.TPU and self.status not in (Status.MAPPED, Status.SECOND_SUBGRAPH)


@dataclass(frozen=True)
class Partition:
    """All decisions, in the order of the graph's operations.

    ``least`` and ``most``: how many operations would be mapped with every doubt against it, and for it.
    """

    decisions: tuple[Decision, ...]
    least: int
    most: int

    @classmethod
    def known(cls, decisions: tuple[Decision, ...]) -> Partition:
        """A partition that is read from a compiled model: nothing about it is in doubt."""
        mapped = _mapped(decisions)
        return cls(decisions, mapped, mapped)

    def on(self, *sides: Side) -> tuple[Operation, ...]:
        """The operations that run there, in their order."""
        return tuple(decision.operation for decision in self.decisions if decision.side in sides)

    @property
    def mapped(self) -> int:
        """How many operations run on the Edge TPU."""
        return len(self.on(Side.TPU))

    @property
    def fraction(self) -> float:
        """The part of the operations that runs on the Edge TPU, 0 to 1."""
        return self.mapped / len(self.decisions) if self.decisions else 0.0


_SECOND = Verdict(
    Status.SECOND_SUBGRAPH, "one-subgraph", "it depends on an operation that runs on the CPU after the Edge TPU"
)


def partition(graph: Graph) -> Partition:
    """Label every operation. One that is compiled already is on the Edge TPU."""
    facts = Facts(graph)
    return _divided(graph, [alone(facts, operation) for operation in graph.operations])


def suppose(graph: Graph, known: Partition, solved: Collection[int]) -> Partition:
    """The partition that would be, if the operations in ``solved`` were such that the Edge TPU could run them.

    Doubts are left aside: it is the best guess.
    """
    followers = (Status.MAPPED, Status.SECOND_SUBGRAPH)  # nothing is wrong with these themselves
    verdicts = [
        SUITABLE
        if one.status in followers or one.operation.index in solved
        else Verdict(one.status, one.rule, one.why)
        for one in known.decisions
    ]
    return Partition.known(tuple(_spread(graph, verdicts)))


def _divided(graph: Graph, verdicts: Sequence[Verdict]) -> Partition:
    best = _spread(graph, verdicts)
    worst = _spread(graph, [_against(one) for one in verdicts])
    hoped = _spread(graph, [_for(one, Certainty.UNKNOWN) for one in verdicts])
    most = _spread(graph, [_for(one, Certainty.UNKNOWN, Certainty.LIKELY) for one in verdicts])
    decisions = []
    for one, alone_, places in zip(best, verdicts, zip(worst, hoped, most, strict=True), strict=True):
        certainty = _certainty(alone_, [place.side is Side.TPU for place in places])
        decisions.append(replace(one, certainty=certainty))
    return Partition(tuple(decisions), _mapped(worst), _mapped(most))


def _certainty(verdict: Verdict, mapped: Sequence[bool]) -> Certainty:
    """From where the operation is with every doubt against it, with what nobody tried for it, and with all for it."""
    worst, hoped, most = mapped
    if worst is not hoped:
        return Certainty.UNKNOWN
    if hoped is not most:
        return Certainty.LIKELY
    return verdict.certainty if worst and verdict.certainty is Certainty.LIKELY else Certainty.SURE


def _against(verdict: Verdict) -> Verdict:
    return replace(verdict, status=Status.UNSPECIFIED) if verdict.certainty is Certainty.UNKNOWN else verdict


def _for(verdict: Verdict, *doubts: Certainty) -> Verdict:
    return SUITABLE if verdict.certainty in doubts else verdict


def _mapped(decisions: Sequence[Decision]) -> int:
    return sum(one.side is Side.TPU for one in decisions)


def _spread(graph: Graph, verdicts: Sequence[Verdict]) -> list[Decision]:
    """From what each operation is like to where it runs, which depends on those before it."""
    producers = graph.producers()
    decisions: list[Decision] = []
    for operation, found in zip(graph.operations, verdicts, strict=True):
        before = {decisions[producers[index]].side for index in operation.inputs if index in producers}
        verdict = _SECOND if found.status is Status.MAPPED and Side.POST in before else found
        side = Side.TPU if verdict.status is Status.MAPPED else Side.POST if before - {Side.PRE} else Side.PRE
        decisions.append(Decision(operation, verdict.status, side, verdict.why, verdict.rule))
    return decisions


def parameters(graph: Graph, known: Partition) -> int:
    """Bytes of the constants that the part on the TPU reads, each counted once."""
    read = {index for operation in known.on(Side.TPU) for index in operation.inputs if index != -1}
    return sum(len(graph.tensors[index].data or b"") for index in read)


def too_new(graph: Graph) -> list[Operation]:
    """Operations in a version that Google's compiler cannot read: it then rejects the whole model."""
    return [op for op in graph.operations if op.name != CUSTOM and not readable(op.name, op.version)]
