"""Compiles a model for the simulator: what the Edge TPU would run becomes one `edgetpu-custom-op`.

Nothing is translated. The operations go, as they are, into a model of their own inside the custom operator's payload,
and the simulated libedgetpu runs that with TensorFlow Lite: the outputs are those of the plain model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coralforge.edgetpu.partition import Partition, Side, parameters, partition
from coralforge.edgetpu.payload import CUSTOM_CODE, Payload, write_payload
from coralforge.edgetpu.requirements import require_plain, require_quantized
from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite import schema
from coralforge.tflite.appended import with_archive
from coralforge.tflite.cut import Cut, cut
from coralforge.tflite.graph import CUSTOM, Graph
from coralforge.tflite.model import Model

_CUSTOM_NUMBER = 32  # BuiltinOperator.CUSTOM


@dataclass(frozen=True)
class SimulatorModel:
    """A model for the simulator and how it came about. ``parameters`` are the bytes of constants on the TPU."""

    data: bytes = field(repr=False)
    partition: Partition
    parameters: int


@dataclass(frozen=True)
class Border:
    """Tensors that enter and leave the part on the TPU, in the order of the custom operator's inputs and outputs."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def compile_for_simulator(model: Model) -> SimulatorModel:
    """Wrap what the Edge TPU would run.

    Raises:
        CoralforgeError: exit code 2, with the reasons of :func:`require_plain` and :func:`require_quantized`, or
            ``model-not-mapped`` when nothing would run on the Edge TPU.
    """
    require_plain(model)
    require_quantized(model)
    decisions = partition(model.graph)
    edge = border(model.graph, decisions)
    if not decisions.mapped or not edge.inputs or not edge.outputs:
        raise _not_mapped(model, decisions)
    inner = schema.pack(sub_model(model, decisions, edge))
    outer = _outer_model(model, decisions, edge, write_payload(Payload(inner)))
    data = with_archive(schema.pack(outer), model.archive)
    return SimulatorModel(data, decisions, parameters(model.graph, decisions))


def border(graph: Graph, decisions: Partition) -> Border:
    """Where the part on the TPU begins and ends. State of operations stays inside."""
    inside = decisions.on(Side.TPU)
    made = [index for operation in inside for index in operation.outputs]
    read = dict.fromkeys(index for operation in inside for index in operation.inputs if index != -1)
    outside = set(graph.outputs).union(*(operation.inputs for operation in decisions.on(Side.PRE, Side.POST)))
    inputs = [i for i in read if i not in made and not graph.tensors[i].constant and not graph.tensors[i].variable]
    return Border(tuple(inputs), tuple(index for index in made if index in outside))


def sub_model(model: Model, decisions: Partition, edge: Border) -> Any:
    """The part on the TPU as a ``ModelT`` that any TensorFlow Lite runs."""
    operators = model.native.subgraphs[0].operators
    inside = [operators[operation.index] for operation in decisions.on(Side.TPU)]
    return cut(Cut(model.native, inside, model.native.operatorCodes, edge.inputs, edge.outputs, whole=False))


def _outer_model(model: Model, decisions: Partition, edge: Border, payload: bytes) -> Any:
    native = model.native
    operators = native.subgraphs[0].operators
    code = schema.new(
        "OperatorCode",
        deprecatedBuiltinCode=_CUSTOM_NUMBER,
        builtinCode=_CUSTOM_NUMBER,
        customCode=CUSTOM_CODE.encode(),
        version=1,
    )
    custom = schema.new(
        "Operator",
        opcodeIndex=len(native.operatorCodes),
        inputs=list(edge.inputs),
        outputs=list(edge.outputs),
        customOptions=schema.numbers(payload),
    )
    kept = [
        *(operators[operation.index] for operation in decisions.on(Side.PRE)),
        custom,
        *(operators[operation.index] for operation in decisions.on(Side.POST)),
    ]
    graph = model.graph
    return cut(Cut(native, kept, [*native.operatorCodes, code], graph.inputs, graph.outputs, whole=True))


def _not_mapped(model: Model, decisions: Partition) -> CoralforgeError:
    left = dict.fromkeys(
        f"{d.operation.custom_code if d.operation.name == CUSTOM else d.operation.name}: {d.status.value}"
        + (f" ({d.why})" if d.why else "")
        for d in decisions.decisions
    )
    shown = list(left)[:10]
    return user_error(
        f"no operation of {model.path} would run on the Edge TPU",
        reason="model-not-mapped",
        details="\n".join(shown + ([f"and {len(left) - len(shown)} more"] if len(left) > len(shown) else [])),
        remedy="see what the Edge TPU takes in docs/models.md",
    )
