"""What a model has to be before anything compiles it: for hardware or for the simulator.

Each check refuses what Google's compiler refuses, or what runtimes compute wrongly, and says what to change.
"""

from __future__ import annotations

from coralforge.errors import user_error
from coralforge.models.graph import Graph
from coralforge.models.partition import too_new
from coralforge.models.payload import CUSTOM_CODE
from coralforge.models.tflite import Model

_CONTROL_FLOW = {"IF", "WHILE", "CALL", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


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


def _dense_weights(graph: Graph) -> list[tuple[str, int]]:
    dense = [operation for operation in graph.operations if operation.name == "FULLY_CONNECTED"]
    weights = [graph.tensors[operation.inputs[1]] for operation in dense if len(operation.inputs) > 1]
    return [(tensor.name, len(tensor.scales)) for tensor in weights]
