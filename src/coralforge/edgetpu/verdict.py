"""Whether the Edge TPU could run an operation, were it alone in a model. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from coralforge.edgetpu.evidence import Certainty
from coralforge.edgetpu.operators import RULES, UNSUPPORTED, Rule, Status, newest_versions
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.tflite.graph import CUSTOM, Graph, Operation


@dataclass(frozen=True)
class Verdict:
    """Whether the Edge TPU could run an operation. ``why`` is for people, ``rule`` names what it has to keep to."""

    status: Status
    rule: str = ""
    why: str = ""
    certainty: Certainty = Certainty.SURE


SUITABLE = Verdict(Status.MAPPED)
_SUREST = (Certainty.SURE, Certainty.LIKELY, Certainty.UNKNOWN)


@dataclass(frozen=True)
class Facts:
    """Answers about a graph that are asked for again and again."""

    graph: Graph

    @cached_property
    def users(self) -> Mapping[int, tuple[int, ...]]:
        """Which operations read each tensor."""
        return self.graph.users()


def alone(facts: Facts, operation: Operation) -> Verdict:
    """The verdict on one operation, whatever the others do. One that is compiled already is on the Edge TPU."""
    if operation.custom_code == CUSTOM_CODE:
        return SUITABLE
    rule = RULES.get(operation.name)
    if why := _data_type(facts, operation):
        status = (
            Status.UNSPECIFIED if operation.name == "QUANTIZE" else Status.DATA_TYPE
        )  # as the compiler's logs say
        return Verdict(status, "eight-bits", why)
    if rule is None:
        return _unsupported(operation)
    return _broken(facts, operation, rule) or _limited(facts.graph, operation, rule)


def _unsupported(operation: Operation) -> Verdict:
    if operation.name in (CUSTOM, *UNSUPPORTED):
        return Verdict(Status.UNSUPPORTED, "known-operator", "the Edge TPU has no such operation")
    why = "the documentation lists no such operation"
    return Verdict(Status.UNSUPPORTED, "known-operator", why, Certainty.LIKELY)


def _broken(facts: Facts, operation: Operation, rule: Rule) -> Verdict | None:
    """A rule for any operation that this one breaks."""
    newest = newest_versions().get(operation.name, 0)
    if operation.version > newest:
        why = f"version {operation.version}; the compiler reads versions up to {newest}"
        return Verdict(Status.VERSION, "readable-version", why)
    if not operation.outputs or -1 in operation.inputs[: rule.needs] or len(operation.inputs) < rule.needs:
        return Verdict(Status.UNSPECIFIED, "complete", "it lacks inputs or outputs")
    for position in rule.constants:
        index = operation.inputs[position] if position < len(operation.inputs) else -1
        if index != -1 and not facts.graph.tensors[index].constant:
            why = f"its input {position} ({facts.graph.tensors[index].name}) is not a constant"
            return Verdict(Status.NOT_CONSTANT, "constant-parameters", why)
    if why := _rank(facts, operation):
        return Verdict(Status.RANK, "three-dimensions", why)
    return _shape(facts, operation)


def _limited(graph: Graph, operation: Operation, rule: Rule) -> Verdict:
    """By the limits of this operator: of those that it breaks the one that is surest, and then the first, counts."""
    objections = [one for limit in rule.limits if (one := limit.objection(graph, operation)) is not None]
    if objections:
        most = min(objections, key=lambda one: (not one.left, _SUREST.index(one.certainty)))
        status = Status.UNSPECIFIED if most.left else Status.MAPPED
        return Verdict(status, most.rule, most.why, most.certainty)
    return Verdict(Status.MAPPED, certainty=Certainty.LIKELY) if rule.known.kind == "document" else SUITABLE


def _data_type(facts: Facts, operation: Operation) -> str:
    tensors = facts.graph.tensors
    for index in _activations(facts, operation):
        tensor = tensors[index]
        if not tensor.quantized:
            kind = tensor.kind if tensor.kind not in ("INT8", "UINT8") else f"{tensor.kind} without a scale"
            return f"{tensor.name} is {kind}"
    for index in operation.inputs:
        if index != -1 and tensors[index].constant and tensors[index].floating:
            return f"{tensors[index].name} is {tensors[index].kind}"
    return ""


def _rank(facts: Facts, operation: Operation) -> str:
    for index in _activations(facts, operation):
        tensor = facts.graph.tensors[index]
        if math.prod(tensor.shape[:-3]) != 1:
            return f"{tensor.name} is {'x'.join(map(str, tensor.shape))}"
    return ""


def _shape(facts: Facts, operation: Operation) -> Verdict | None:
    """Static tensors, some input that is not constant, state of its own."""
    graph = facts.graph
    tensors = [graph.tensors[index] for index in (*operation.inputs, *operation.outputs) if index != -1]
    for tensor in tensors:
        if not tensor.static:
            why = f"the size of {tensor.name} is only known at run time"
            return Verdict(Status.UNSPECIFIED, "static-size", why)
        if tensor.variable and len(facts.users.get(tensor.index, ())) > 1:
            why = f"its state {tensor.name} is shared with another operation"
            return Verdict(Status.UNSPECIFIED, "own-state", why)
    if not any(not graph.tensors[index].constant for index in operation.inputs if index != -1):
        return Verdict(Status.UNSPECIFIED, "some-input", "all its inputs are constants")
    return None


def _activations(facts: Facts, operation: Operation) -> list[int]:
    """Inputs and outputs that are computed: neither constants nor state."""
    read = [index for index in operation.inputs if index != -1]
    tensors = facts.graph.tensors
    computed = [index for index in read if not (tensors[index].constant or tensors[index].variable)]
    return computed + list(operation.outputs)
