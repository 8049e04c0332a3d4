"""Requirements on a model before anything compiles it: for hardware or for the simulator.

Each check refuses what Google's compiler refuses, or what runtimes compute wrongly, and says what to change.
"""

from __future__ import annotations

from coralforge.edgetpu.partition import too_new
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite.graph import Graph
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
    """Refuse float and dynamic models, and dense layers that the runtime would compute wrongly.

    Raises:
        CoralforgeError: reason ``model-not-quantized``, ``model-dynamic`` or ``model-per-channel``; exit code 2.
    """
    for error in (_float(model), _dynamic(model), _per_channel(model)):
        if error is not None:
            raise error


def refusals(model: Model) -> tuple[CoralforgeError, ...]:
    """Everything at once for which :func:`require_plain` and :func:`require_quantized` would refuse the model."""
    checks = (_compiled, _control_flow, _version, _float, _dynamic, _per_channel)
    return tuple(error for error in (check(model) for check in checks) if error is not None)


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
    tensors = model.graph.tensors
    floating = [tensors[index].name for index in model.graph.inputs if tensors[index].floating]
    if not floating and any(tensor.quantized for tensor in tensors):
        return None
    return user_error(
        f"{model.path}: Model not quantized",
        reason="model-not-quantized",
        details="\n".join(f"the input {name} is a float" for name in floating) or "no tensor has 8 bits",
        remedy="quantize to full integer with a representative data set, and with uint8 or int8 input and output",
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


def _per_channel(model: Model) -> CoralforgeError | None:
    wrong = [name for name, scales in _dense_weights(model.graph) if scales > 1]
    if not wrong:
        return None
    return user_error(
        f"{model.path} has dense layers quantized per channel, which this TensorFlow Lite computes wrongly",
        reason="model-per-channel",
        details="\n".join(wrong),
        remedy="set converter._experimental_disable_per_channel_quantization_for_dense_layers = True",
    )


def _dense_weights(graph: Graph) -> list[tuple[str, int]]:
    dense = [operation for operation in graph.operations if operation.name == "FULLY_CONNECTED"]
    weights = [graph.tensors[operation.inputs[1]] for operation in dense if len(operation.inputs) > 1]
    return [(tensor.name, len(tensor.scales)) for tensor in weights]
