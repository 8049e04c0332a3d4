"""Checks of a freshly quantized model: would the Edge TPU compiler and the board's runtime take it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coralforge.edgetpu.operators import newest_versions
from coralforge.edgetpu.partition import too_new
from coralforge.edgetpu.requirements import require_plain, require_quantized
from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite.graph import CUSTOM, Graph
from coralforge.tflite.model import Model

# Why an operation of 8 bits gets a version above what the compiler reads, and what helps. From the rules by which
# TensorFlow Lite's converter chooses versions (tensorflow/lite/tools/versioning/op_version.cc of TensorFlow 2.21).
CAUSES: Mapping[tuple[str, int], tuple[str, str]] = {
    ("BROADCAST_TO", 3): ("tf.broadcast_to, or a Keras layer that repeats its input", "multiply by ones instead"),
    ("CAST", 3): ("tf.cast of a quantized tensor", "keep the tensor in floats until the end"),
    ("CONV_2D", 6): ("a Conv2D with groups above 1", "use groups=1, or DepthwiseConv2D"),
    ("DEQUANTIZE", 5): ("weights that are used as data, per channel", "use the layer that the weights are made for"),
    ("EXP", 2): (
        "tf.exp, also in ELU, SELU, softplus or mish written out",
        "use relu, relu6, sigmoid, tanh or softmax",
    ),
    ("FLOOR_DIV", 3): ("a division // of quantized tensors", "multiply by the inverse"),
    ("FLOOR_MOD", 2): ("a remainder % of quantized tensors", "take it out of the model"),
    ("GELU", 2): ("the activation gelu", "use relu, relu6 or swish"),
    ("LOG", 2): ("tf.math.log", "take it out of the model: the order of scores is the same without"),
    ("PAD", 4): ("padding of more than 4 dimensions", "reshape to 4 dimensions before"),
    ("PADV2", 4): ("padding of more than 4 dimensions", "reshape to 4 dimensions before"),
    ("QUANTIZE", 3): ("weights that are used as data, per channel", "use the layer that the weights are made for"),
    ("REDUCE_PROD", 2): ("tf.reduce_prod", "take it out of the model"),
    ("STRIDED_SLICE", 6): ("a slice with ... or tf.newaxis", "write out all axes, and use tf.reshape"),
    ("STRIDED_SLICE", 8): ("a slice whose end is computed from its start", "use sizes that are fixed"),
    ("TILE", 3): (
        "tf.tile, RepeatVector, or UpSampling2D of Keras 3 in a SavedModel",
        "give the .keras file instead",
    ),
    ("TRANSPOSE", 6): ("a Permute of more than 5 dimensions", "reshape to fewer dimensions before"),
    ("TRANSPOSE_CONV", 4): (
        "an activation after Conv2DTranspose",
        "use relu or relu6, or take another layer between",
    ),
}

_BORDER = {"QUANTIZE", "DEQUANTIZE"}  # they surround the operations that are to blame


def check_quantized(model: Model, source: Path, tensorflow: str) -> None:
    """Refuse a model that would be rejected, run on the CPU, or compute garbage later.

    Args:
        source: the model that the user gave; it is named in errors.
        tensorflow: version of the converter.

    Raises:
        CoralforgeError: exit code 2, reason ``model-op-version``, ``model-not-quantized``, ``model-per-channel``,
            ``model-dynamic`` or ``model-control-flow``.
    """
    newest = newest_versions()
    if newer := sorted({(operation.name, operation.version) for operation in too_new(model.graph)}):
        raise user_error(
            f"{source} has operations that are too new for the Edge TPU compiler, which would reject the whole model",
            reason="model-op-version",
            details="\n".join(_explained(name, version, newest.get(name, 0), tensorflow) for name, version in newer),
            remedy="change the model there, and quantize it again",
        )
    require_plain(model)
    require_quantized(model)
    _require_integers(model.graph, source)


def _explained(name: str, version: int, newest: int, tensorflow: str) -> str:
    known = f"the compiler reads up to version {newest}" if newest else "the compiler does not know it"
    cause, remedy = CAUSES.get((name, version), ("", ""))
    why = f"; it comes from {cause}: {remedy}" if cause else f"; TensorFlow {tensorflow} writes it so"
    return f"{name} version {version}: {known}{why}"


def _require_integers(graph: Graph, source: Path) -> None:
    """No float tensor that an operation reads or makes; the inner state that LSTMs declare as float is none."""
    left: dict[str, str] = {}
    for operation in graph.operations:
        found = [i for i in (*operation.outputs, *operation.inputs) if i != -1 and graph.tensors[i].floating]
        if found:
            name = operation.custom_code if operation.name == CUSTOM else operation.name
            left.setdefault(name, f"{name}: {graph.tensors[found[0]].name[:60]} is {graph.tensors[found[0]].kind}")
    if left:
        raise _floats(source, {name: text for name, text in left.items() if name not in _BORDER} or left)


def _floats(source: Path, left: Mapping[str, str]) -> CoralforgeError:
    return user_error(
        f"{source} could not be quantized to full integer: some operations still compute with floats",
        reason="model-not-quantized",
        details="\n".join(left.values()),
        remedy="replace these operations; docs/models.md says what the Edge TPU takes",
    )
