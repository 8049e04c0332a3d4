"""Compiles a model for the simulator: what the Edge TPU would run becomes one `edgetpu-custom-op`.

Nothing is translated. The operations go, as they are, into a model of their own inside the custom operator's payload,
and the simulated libedgetpu runs that with TensorFlow Lite: the outputs are those of the plain model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coralforge.errors import CoralforgeError, user_error
from coralforge.models import schema
from coralforge.models.graph import CUSTOM, Graph
from coralforge.models.partition import Partition, Side, partition, too_new
from coralforge.models.payload import CUSTOM_CODE, Payload, write_payload
from coralforge.models.surgery import Cut, cut
from coralforge.models.tflite import Model

_CONTROL_FLOW = {"IF", "WHILE", "CALL", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
_CUSTOM_NUMBER = 32  # BuiltinOperator.CUSTOM


@dataclass(frozen=True)
class Compiled:
    """A model for the simulator and how it came about. ``parameters`` are the bytes of constants on the TPU."""

    data: bytes = field(repr=False)
    partition: Partition
    parameters: int


@dataclass(frozen=True)
class Border:
    """Tensors that enter and leave the part on the TPU, in the order of the custom operator's inputs and outputs."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def compile_for_simulator(model: Model) -> Compiled:
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
    return Compiled(schema.pack(outer), decisions, _parameters(model.graph, decisions))


def require_plain(model: Model) -> None:
    """Refuse what is compiled already, has control flow, or could not be read by Google's compiler.

    Raises:
        CoralforgeError: reason ``model-compiled``, ``model-control-flow`` or ``model-op-version``; exit code 2.
    """
    graph = model.graph
    if any(operation.custom_code == CUSTOM_CODE for operation in graph.operations):
        raise user_error(
            f"{model.path} is compiled already: it has the operator {CUSTOM_CODE}",
            reason="model-compiled",
            remedy="give the model that it was compiled from",
        )
    control = sorted({operation.name for operation in graph.operations} & _CONTROL_FLOW)
    if model.subgraphs > 1 or control:
        raise user_error(
            f"{model.path} has control flow or variables, which the Edge TPU compiler does not take",
            reason="model-control-flow",
            details=f"{model.subgraphs} subgraph(s); operations: {', '.join(control) or 'none of these'}",
            remedy="unroll loops (for example unroll=True of Keras' recurrent layers) and convert again",
        )
    if newer := sorted({(operation.name, operation.version) for operation in too_new(graph)}):
        raise user_error(
            f"{model.path} has operations that are too new for the Edge TPU compiler, which would reject all of it",
            reason="model-op-version",
            details="\n".join(f"{name} version {version}" for name, version in newer),
            remedy="convert it again with an older TensorFlow (2.8 for most), see docs/models.md",
        )


def require_quantized(model: Model) -> None:
    """Refuse float and dynamic models, and dense layers that the runtime would compute wrongly.

    Raises:
        CoralforgeError: reason ``model-not-quantized``, ``model-dynamic`` or ``model-per-channel``; exit code 2.
    """
    tensors = model.graph.tensors
    floating = [tensors[index].name for index in model.graph.inputs if tensors[index].floating]
    if floating or not any(tensor.quantized for tensor in tensors):
        raise user_error(
            f"{model.path}: Model not quantized",
            reason="model-not-quantized",
            details="\n".join(f"the input {name} is a float" for name in floating) or "no tensor has 8 bits",
            remedy="quantize to full integer with a representative data set, and with uint8 or int8 input and output",
        )
    if dynamic := [tensors[index] for index in model.graph.inputs if not tensors[index].static]:
        raise user_error(
            f"{model.path} has inputs whose size is only known at run time",
            reason="model-dynamic",
            details="\n".join(f"{tensor.name}: {list(tensor.shape)}" for tensor in dynamic),
            remedy="convert it again with a fixed shape, the batch included",
        )
    if wrong := [name for name, scales in _dense_weights(model.graph) if scales > 1]:
        raise user_error(
            f"{model.path} has dense layers quantized per channel, which this TensorFlow Lite computes wrongly",
            reason="model-per-channel",
            details="\n".join(wrong),
            remedy="set converter._experimental_disable_per_channel_quantization_for_dense_layers = True",
        )


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


def _parameters(graph: Graph, decisions: Partition) -> int:
    """Bytes of the constants that the part on the TPU reads, each counted once."""
    read = {index for operation in decisions.on(Side.TPU) for index in operation.inputs if index != -1}
    return sum(len(graph.tensors[index].data or b"") for index in read)


def _dense_weights(graph: Graph) -> list[tuple[str, int]]:
    dense = [operation for operation in graph.operations if operation.name == "FULLY_CONNECTED"]
    weights = [graph.tensors[operation.inputs[1]] for operation in dense if len(operation.inputs) > 1]
    return [(tensor.name, len(tensor.scales)) for tensor in weights]


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
