"""Requirements on a model before anything compiles it: for hardware or for the simulator.

Each check refuses what Google's compiler refuses, or what runtimes compute wrongly, and says what to change. What is
taken all the same, but goes wrong for people, is in warnings.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from coralforge.edgetpu.partition import Partition, Side, too_new
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite.arithmetic import NOT_AFTERWARDS, arithmetic_of
from coralforge.tflite.graph import Graph, Operation
from coralforge.tflite.model import Model

_CONTROL_FLOW = {"IF", "WHILE", "CALL", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


def require_plain(model: Model) -> None:
    """Refuse what is compiled already, has control flow, or could not be read by Google's compiler.

    Raises:
        CoralforgeError: reason ``model-compiled``, ``model-control-flow`` or ``model-op-version``; exit code 2.
    """
    for error in (_compiled(model), _control_flow(model), _version(model)):
        if error is not None:
            raise error


def require_quantized(model: Model) -> None:
    """Refuse float and dynamic models, and dense layers that TensorFlow Lite's CPU kernels would compute wrongly.

    Raises:
        CoralforgeError: reason ``model-not-quantized``, ``model-dynamic`` or ``model-per-channel``; exit code 2.
    """
    for error in (_float(model), _dynamic(model), _per_channel(model, per_channel(model.graph))):
        if error is not None:
            raise error


def refusals(model: Model, decisions: Partition) -> tuple[CoralforgeError, ...]:
    """Everything at once for which Google's compiler, or what runs its output, could not be used with the model.

    Dense layers quantized per channel are a reason only where they would stay on the CPU: the Edge TPU computes them
    as they are meant.
    """
    found = [check(model) for check in (_compiled, _control_flow, _version, _float, _dynamic)]
    on_cpu = {operation.index for operation in decisions.on(Side.PRE, Side.POST)}
    found.append(_per_channel(model, [one for one in per_channel(model.graph) if one.index in on_cpu]))
    return tuple(error for error in found if error is not None)


def per_channel(graph: Graph) -> list[Operation]:
    """Dense layers with a scale for each row of their weights, as TensorFlow writes them from 2.17 on.

    The Edge TPU takes these. TensorFlow Lite's CPU kernels up to 2.16 use the first scale for all rows, silently.
    """
    dense = [one for one in graph.operations if one.name == "FULLY_CONNECTED" and len(one.inputs) > 1]
    return [one for one in dense if one.inputs[1] != -1 and len(graph.tensors[one.inputs[1]].scales) > 1]


def dense_on_cpu(plain: Model, left: Graph) -> CoralforgeError | None:
    """The error for dense layers quantized per channel that a compiler left on the CPU; ``left`` is what it made."""
    return _per_channel(plain, per_channel(left), left)


def _compiled(model: Model) -> CoralforgeError | None:
    if not any(operation.custom_code == CUSTOM_CODE for operation in model.graph.operations):
        return None
    return user_error(
        f"{model.path} is compiled already: it has the operator {CUSTOM_CODE}",
        reason="model-compiled",
        remedy="give the model that it was compiled from",
    )


def _control_flow(model: Model) -> CoralforgeError | None:
    control = sorted({operation.name for operation in model.graph.operations} & _CONTROL_FLOW)
    if model.subgraphs == 1 and not control:
        return None
    return user_error(
        f"{model.path} has control flow or variables, which the Edge TPU compiler does not take",
        reason="model-control-flow",
        details=f"{model.subgraphs} subgraph(s); operations: {', '.join(control) or 'none of these'}",
        remedy="unroll loops (for example unroll=True of Keras' recurrent layers) and convert again",
    )


def _version(model: Model) -> CoralforgeError | None:
    newer = sorted({(operation.name, operation.version) for operation in too_new(model.graph)})
    if not newer:
        return None
    return user_error(
        f"{model.path} has operations that are too new for the Edge TPU compiler, which would reject all of it",
        reason="model-op-version",
        details="\n".join(f"{name} version {version}" for name, version in newer),
        remedy="convert it again with an older TensorFlow (2.8 for most), see docs/models.md",
    )


def _float(model: Model) -> CoralforgeError | None:
    """Float inputs and outputs alone are no reason: then the ends stay on the CPU."""
    if any(tensor.quantized and not tensor.constant for tensor in model.graph.tensors):
        return None
    return user_error(
        f"{model.path}: Model not quantized",
        reason="model-not-quantized",
        details=f"it computes {arithmetic_of(model.graph).words}",
        remedy=NOT_AFTERWARDS,
    )


def _dynamic(model: Model) -> CoralforgeError | None:
    inputs = [model.graph.tensors[index] for index in model.graph.inputs]
    dynamic = [tensor for tensor in inputs if not tensor.static]
    if not dynamic:
        return None
    return user_error(
        f"{model.path} has inputs whose size is only known at run time",
        reason="model-dynamic",
        details="\n".join(f"{tensor.name}: {list(tensor.shape)}" for tensor in dynamic),
        remedy="convert it again with a fixed shape, the batch included",
    )


def _per_channel(model: Model, wrong: Sequence[Operation], graph: Graph | None = None) -> CoralforgeError | None:
    if not wrong:
        return None
    return user_error(
        f"{model.path} has dense layers quantized per channel, which the CPU computes wrongly",
        reason="model-per-channel",
        details="\n".join((graph or model.graph).tensors[one.inputs[1]].name for one in wrong),
        remedy="set converter._experimental_disable_per_channel_quantization_for_dense_layers = True",
    )
