"""Changes to a model that make it faster: one advice for each cause, the one that wins most time first."""

from __future__ import annotations

import math
from dataclasses import replace

from coralforge.edgetpu.cost import inference_seconds
from coralforge.edgetpu.estimate import CACHE, HOST, Estimate, estimate
from coralforge.edgetpu.operators import Status, newest_versions
from coralforge.edgetpu.partition import Decision, Partition, Side, suppose
from coralforge.inspect import remedies
from coralforge.inspect.inspection import Advice
from coralforge.tflite.graph import CUSTOM, Graph, Operation, Tensor

_MOST = 30  # causes
_SMALLER = 0.75  # of a picture's side
_PICTURE = 64  # pixels a side, from which a smaller picture is an idea
_WORTH = 0.5e-3  # seconds that a smaller model has to win to be spoken of


def advise(graph: Graph, known: Partition, *, timed: bool = True, parts: int = 1) -> tuple[Advice, ...]:
    """One advice for each cause that keeps operations on the CPU, and for a smaller model where it wins time.

    They are ordered by the time that each would win by itself, then by operations. What only follows another
    operation is no cause. An advice that wins no operation by itself is in the way together with others.

    Args:
        timed: whether to estimate times; without, none is known.
        parts: how many parts of it are on the Edge TPU, one after the other.
    """
    causes: dict[str, list[int]] = {}
    for decision in known.decisions:
        if decision.side is not Side.TPU and decision.status is not Status.SECOND_SUBGRAPH:
            causes.setdefault(remedy(graph, decision), []).append(decision.operation.index)
    most = sorted(causes.items(), key=lambda cause: -len(cause[1]))[:_MOST]
    now = inference_seconds(graph, known) if timed else None
    found = [_solved(graph, known, now, text, tuple(indices)) for text, indices in most]
    chip = estimate(graph, known) if now is not None else None
    found += _smaller(graph, chip, now - chip.usb3) if now is not None and chip is not None else []
    if parts > 1:
        found.append(Advice(remedies.ONE_PART.format(parts=parts), (), 0, (parts - 1) * HOST))
    return tuple(sorted(found, key=lambda one: (-(one.seconds or 0), -one.wins, one.operations)))


def _solved(graph: Graph, known: Partition, now: float | None, text: str, indices: tuple[int, ...]) -> Advice:
    """The advice on one cause: operations and time that are won where these operations are no longer in the way."""
    then = suppose(graph, known, frozenset(indices))
    wins = then.mapped - known.mapped
    after = inference_seconds(graph, then) if now is not None else None
    if now is None or after is None:
        return Advice(text, indices, wins)
    stays = text == remedies.DETECTION_STAYS
    return Advice(text, indices, wins, 0.0 if stays else max(now - after, 0.0))


def _smaller(graph: Graph, chip: Estimate, cpu: float) -> list[Advice]:
    """A model that fits onto the chip, and one that takes a smaller picture; ``cpu``: seconds of the rest."""
    found = []
    if chip.streamed:
        fits = replace(chip, streamed=0)
        width = math.floor(100 * math.sqrt(CACHE / chip.parameters)) / 100
        text = remedies.FIT.format(megabytes=f"{chip.streamed / 1e6:.1f}", width=width)
        found.append(Advice(text, (), 0, chip.usb3 - fits.usb3))
    sides = [tensor.shape[1:3] for tensor in map(graph.tensors.__getitem__, graph.inputs) if len(tensor.shape) == 4]
    if len(sides) == 1 and min(sides[0]) >= _PICTURE:
        area = _SMALLER**2
        less = replace(
            chip,
            transfers=round(chip.transfers * area),
            multiplications=round(chip.multiplications * area),
            depthwise=round(chip.depthwise * area),
        )
        text = remedies.SMALLER.format(*sides[0], *(round(side * _SMALLER) for side in sides[0]))
        found.append(Advice(text, (), 0, chip.usb3 - less.usb3 + cpu * (1 - area)))
    return [one for one in found if (one.seconds or 0) >= _WORTH]


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
