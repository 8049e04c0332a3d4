"""Changes to a model that get the rest of it onto the Edge TPU: one advice for each cause, the best first."""

from __future__ import annotations

from coralforge.edgetpu.operators import Status, newest_versions
from coralforge.edgetpu.partition import Decision, Partition, Side, suppose
from coralforge.inspect import remedies
from coralforge.inspect.inspection import Advice
from coralforge.tflite.graph import CUSTOM, Graph, Operation, Tensor

_MOST = 30  # causes


def advise(graph: Graph, known: Partition) -> tuple[Advice, ...]:
    """One advice for each cause that keeps operations on the CPU, ordered by how many it would win by itself.

    What only follows another operation is no cause. An advice that wins none by itself is in the way together with
    others.
    """
    causes: dict[str, list[int]] = {}
    for decision in known.decisions:
        if decision.side is not Side.TPU and decision.status is not Status.SECOND_SUBGRAPH:
            causes.setdefault(remedy(graph, decision), []).append(decision.operation.index)
    most = sorted(causes.items(), key=lambda cause: -len(cause[1]))[:_MOST]
    found = [
        Advice(text, tuple(indices), suppose(graph, known, frozenset(indices)).mapped - known.mapped)
        for text, indices in most
    ]
    return tuple(sorted(found, key=lambda one: (-one.wins, one.operations)))


def remedy(graph: Graph, decision: Decision) -> str:
    """The advice on one operation."""
    operation = decision.operation
    name = operation.custom_code or operation.name
    if decision.rule == "eight-bits":
        return _data_type(graph, operation)
    if decision.rule == "known-operator":
        if name == remedies.DETECTION:
            return remedies.DETECTION_STAYS
        text = remedies.LEAVE_OUT if operation.name == CUSTOM else remedies.OPERATORS.get(name, remedies.LEAVE_OUT)
    else:
        text = remedies.RULES.get(decision.rule, remedies.UNKNOWN_CAUSE)
    return text.format(name=name, newest=newest_versions().get(operation.name, 0))


def _data_type(graph: Graph, operation: Operation) -> str:
    if operation.custom_code == remedies.DETECTION:
        return remedies.DETECTION_STAYS
    wrong = [
        graph.tensors[index]
        for index in (*operation.inputs, *operation.outputs)
        if index != -1 and not _fits(graph.tensors[index])
    ]
    if any(tensor.floating for tensor in wrong):
        if operation.name == "QUANTIZE" and operation.inputs[0] in graph.inputs:
            return remedies.FLOAT_INPUT
        if operation.name == "DEQUANTIZE" and operation.outputs[0] in graph.outputs:
            return remedies.FLOAT_OUTPUT
        return remedies.FLOAT_INSIDE
    kinds = {tensor.kind for tensor in wrong}
    if kinds & {"INT8", "UINT8"}:
        return remedies.UNSCALED
    if "INT16" in kinds:
        return remedies.WIDE_INSIDE
    return remedies.OPERATORS.get(operation.name, remedies.INTEGER_INSIDE)


def _fits(tensor: Tensor) -> bool:
    return tensor.quantized or (tensor.constant and not tensor.floating) or tensor.variable
