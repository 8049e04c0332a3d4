"""Decides which operations of a plain model the Edge TPU would run, and why the others stay on the CPU. Pure.

Google's compiler, without --enable_multiple_subgraphs, maps one part of the graph: operations before the first that
it cannot map run on the CPU, and from there on everything that depends on such a one does too. So each operation is
*pre*, *tpu* or *post*; one that depends on a post operation is post, which keeps the part in the middle convex: it
can run as a single step.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from coralforge.edgetpu.operators import RULES, Status, newest_versions
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.tflite.graph import CUSTOM, Graph, Operation


class Side(Enum):
    """Where an operation runs: on the CPU before the TPU, on the TPU, or on the CPU after it."""

    PRE = "pre"
    TPU = "tpu"
    POST = "post"


@dataclass(frozen=True)
class Decision:
    """The decision on one operation. ``why`` is for people, ``rule`` names what it would have to keep to.

    Both are empty for what is mapped without a doubt.
    """

    operation: Operation
    status: Status
    side: Side
    why: str = ""
    rule: str = ""


@dataclass(frozen=True)
class Partition:
    """All decisions, in the order of the graph's operations."""

    decisions: tuple[Decision, ...]

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


@dataclass(frozen=True)
class _Verdict:
    """Whether the Edge TPU could run an operation, were it alone."""

    status: Status
    rule: str = ""
    why: str = ""


_SUITABLE = _Verdict(Status.MAPPED)
_SECOND = _Verdict(
    Status.SECOND_SUBGRAPH, "one-subgraph", "it depends on an operation that runs on the CPU after the Edge TPU"
)


def partition(graph: Graph) -> Partition:
    """Label every operation. One that is compiled already is on the Edge TPU."""
    users = graph.users()
    return _spread(graph, [_suitable(graph, operation, users) for operation in graph.operations])


def suppose(graph: Graph, known: Partition, solved: Collection[int]) -> Partition:
    """The partition that would be, if the operations in ``solved`` were such that the Edge TPU could run them."""
    followers = (Status.MAPPED, Status.SECOND_SUBGRAPH)  # nothing is wrong with these themselves
    return _spread(
        graph,
        [
            _SUITABLE
            if one.status in followers or one.operation.index in solved
            else _Verdict(one.status, one.rule, one.why)
            for one in known.decisions
        ],
    )


def _spread(graph: Graph, verdicts: Sequence[_Verdict]) -> Partition:
    """From what each operation is like to where it runs, which depends on those before it."""
    producers = graph.producers()
    decisions: list[Decision] = []
    for operation, alone in zip(graph.operations, verdicts, strict=True):
        before = {decisions[producers[index]].side for index in operation.inputs if index in producers}
        verdict = _SECOND if alone.status is Status.MAPPED and Side.POST in before else alone
        side = Side.TPU if verdict.status is Status.MAPPED else Side.POST if before - {Side.PRE} else Side.PRE
        decisions.append(Decision(operation, verdict.status, side, verdict.why, verdict.rule))
    return Partition(tuple(decisions))


def parameters(graph: Graph, known: Partition) -> int:
    """Bytes of the constants that the part on the TPU reads, each counted once."""
    read = {index for operation in known.on(Side.TPU) for index in operation.inputs if index != -1}
    return sum(len(graph.tensors[index].data or b"") for index in read)


def too_new(graph: Graph) -> list[Operation]:
    """Operations in a version that Google's compiler cannot read: it then rejects the whole model."""
    newest = newest_versions()
    return [op for op in graph.operations if op.name != CUSTOM and op.version > newest.get(op.name, 0)]


def _suitable(graph: Graph, operation: Operation, users: Mapping[int, tuple[int, ...]]) -> _Verdict:
    if operation.custom_code == CUSTOM_CODE:
        return _SUITABLE
    newest = newest_versions().get(operation.name, 0)
    rule = RULES.get(operation.name)
    if why := _data_type(graph, operation):
        return _Verdict(Status.DATA_TYPE, "eight-bits", why)
    if rule is None:
        return _Verdict(Status.UNSUPPORTED, "known-operator", "the Edge TPU has no such operation")
    if operation.version > newest:
        why = f"version {operation.version}; the compiler reads versions up to {newest}"
        return _Verdict(Status.VERSION, "readable-version", why)
    if not operation.outputs or -1 in operation.inputs[: rule.needs] or len(operation.inputs) < rule.needs:
        return _Verdict(Status.UNSPECIFIED, "complete", "it lacks inputs or outputs")
    for position in rule.constants:
        index = operation.inputs[position] if position < len(operation.inputs) else -1
        if index != -1 and not graph.tensors[index].constant:
            why = f"its input {position} ({graph.tensors[index].name}) is not a constant"
            return _Verdict(Status.NOT_CONSTANT, "constant-parameters", why)
    if why := _rank(graph, operation):
        return _Verdict(Status.RANK, "three-dimensions", why)
    if verdict := _shape(graph, operation, users):
        return verdict
    for limit in rule.limits:
        if why := limit(graph, operation) or "":
            return _Verdict(Status.UNSPECIFIED, limit.__name__.replace("_", "-"), why)
    return _SUITABLE


def _data_type(graph: Graph, operation: Operation) -> str:
    for index in _activations(graph, operation):
        tensor = graph.tensors[index]
        if not tensor.quantized:
            kind = tensor.kind if tensor.kind not in ("INT8", "UINT8") else f"{tensor.kind} without a scale"
            return f"{tensor.name} is {kind}"
    for index in operation.inputs:
        if index != -1 and graph.tensors[index].constant and graph.tensors[index].floating:
            return f"{graph.tensors[index].name} is {graph.tensors[index].kind}"
    return ""


def _rank(graph: Graph, operation: Operation) -> str:
    for index in _activations(graph, operation):
        tensor = graph.tensors[index]
        if math.prod(tensor.shape[:-3]) != 1:
            return f"{tensor.name} is {'x'.join(map(str, tensor.shape))}"
    return ""


def _shape(graph: Graph, operation: Operation, users: Mapping[int, tuple[int, ...]]) -> _Verdict | None:
    """Rules for any operation: static tensors, some input that is not constant, state of its own."""
    tensors = [graph.tensors[index] for index in (*operation.inputs, *operation.outputs) if index != -1]
    for tensor in tensors:
        if not tensor.static:
            why = f"the size of {tensor.name} is only known at run time"
            return _Verdict(Status.UNSPECIFIED, "static-size", why)
        if tensor.variable and len(users.get(tensor.index, ())) > 1:
            why = f"its state {tensor.name} is shared with another operation"
            return _Verdict(Status.UNSPECIFIED, "own-state", why)
    if not any(not graph.tensors[index].constant for index in operation.inputs if index != -1):
        return _Verdict(Status.UNSPECIFIED, "some-input", "all its inputs are constants")
    return None


def _activations(graph: Graph, operation: Operation) -> list[int]:
    """Inputs and outputs that are computed: neither constants nor state."""
    inputs = [index for index in operation.inputs if index != -1]
    computed = [i for i in inputs if not (graph.tensors[i].constant or graph.tensors[i].variable)]
    return computed + list(operation.outputs)
