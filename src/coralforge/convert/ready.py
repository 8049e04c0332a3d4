"""A .tflite where a model to quantize is wanted: which numbers it computes in, and where to go from there."""

from __future__ import annotations

from pathlib import Path

from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.edgetpu.requirements import require_plain
from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite.arithmetic import Arithmetic, arithmetic_of
from coralforge.tflite.model import read_model

_DONE = "it is quantized already: `invoke compile --model {name}` takes it"
_BACK = (
    "quantize what it was made of: the Keras model, the SavedModel or the ONNX file. TensorFlow does not quantize a "
    ".tflite; Google's package ai-edge-quantizer does (recipe static_wi8_ai8; models without dense layers), and "
    "`invoke compile` takes the result"
)


def is_tflite(path: Path) -> bool:
    """Whether a file is a TensorFlow Lite model by its beginning."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(8)[4:] == b"TFL3"
    except OSError:
        return False


def refuse(path: Path) -> CoralforgeError:
    """The error for a TensorFlow Lite model; exit code 2, reason ``model-quantized`` or ``model-format``.

    Raises:
        CoralforgeError: it is damaged or compiled: ``model-invalid``, ``model-compiled`` and more of ``read_model``.
    """
    model = read_model(path)
    if any(operation.custom_code == CUSTOM_CODE for operation in model.graph.operations):
        require_plain(model)
    numbers = arithmetic_of(model.graph)
    brief = f"{path} is a TensorFlow Lite model that computes {numbers.words}"
    if numbers in (Arithmetic.FULL_INTEGER, Arithmetic.FLOAT_ENDS):
        return user_error(brief, reason="model-quantized", remedy=_DONE.replace("{name}", path.name))
    return user_error(brief, reason="model-format", remedy=_BACK)
