"""Quantizes a loaded model to full integer with TensorFlow Lite's converter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coralforge.errors import CoralforgeError, lines_of, user_error
from coralforge.quantize.worker.load import DEFAULT_SIGNATURE, FloatModel
from coralforge.quantize.worker.samples import Feed

_OPERATIONS = re.compile(r"\btf\.([A-Z]\w*)")
_CUSTOM = re.compile(r"(?:not yet supported for op|failed to quantize|unsupported op)[^']*'(\w+)'", re.IGNORECASE)


def save(model: FloatModel, folder: Path) -> None:
    """Write the model with its fixed shapes as a SavedModel, the converter's own ground.

    From there names of inputs and outputs reach the result, and recurrent layers of Keras 2 stay one operation.
    """
    import tensorflow as tf

    tf.saved_model.save(model.holder, str(folder), signatures={DEFAULT_SIGNATURE: model.concrete})


def convert(model: str, folder: Path, io: str, feeds: Callable[[], Iterator[Feed]]) -> bytes:
    """The bytes of the .tflite: 8 bits inside, ``io`` (``uint8`` or ``int8``) as inputs and outputs.

    Raises:
        CoralforgeError: exit code 2, ``model-op-unsupported`` or ``model-conversion``, or what ``feeds`` raise.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[DEFAULT_SIGNATURE])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = feeds
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(io)
    if not hasattr(converter, "_experimental_disable_per_channel_quantization_for_dense_layers"):
        raise AttributeError("this TensorFlow cannot quantize dense layers per tensor")
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    try:
        return bytes(converter.convert())
    except (CoralforgeError, MemoryError):
        raise
    except Exception as error:
        raise _refused(model, error) from error


def convert_float(folder: Path) -> bytes:
    """The bytes of the same model in floats: its layers have the names that those of the quantized one have."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[DEFAULT_SIGNATURE])
    return bytes(converter.convert())


def open_interpreter(data: bytes, *, keep_all: bool = False) -> Any:
    """TensorFlow Lite's interpreter: one thread, no delegate, always the same figures.

    Args:
        keep_all: whether tensors between layers can be read after a run.
    """
    import tensorflow as tf

    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(
        model_content=data,
        num_threads=1,
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=keep_all,
    )
    interpreter.allocate_tensors()
    return interpreter


def _refused(model: str, error: BaseException) -> CoralforgeError:
    text = str(error)
    named = sorted(set(_OPERATIONS.findall(text)) | set(_CUSTOM.findall(text)))
    if named:
        return user_error(
            f"{model} has operations that TensorFlow Lite does not have, or cannot quantize",
            reason="model-op-unsupported",
            details=", ".join(named[:20]),
            remedy="replace the layers that need them; docs/models.md says what the Edge TPU takes",
        )
    return user_error(
        f"{model} cannot be converted to full integer",
        reason="model-conversion",
        details="\n".join(lines_of(error)),
        remedy="docs/quantize.md says what a model has to be like",
    )


class Quantized:
    """The quantized model in TensorFlow Lite's interpreter."""

    def __init__(self, data: bytes) -> None:
        self._interpreter = open_interpreter(data)
        self._runner = self._interpreter.get_signature_runner(DEFAULT_SIGNATURE)
        self.inputs: dict[str, Any] = self._runner.get_input_details()
        self.outputs: dict[str, Any] = self._runner.get_output_details()

    def run(self, feed: Feed) -> dict[str, Any]:
        """Outputs as real numbers, by name, for real inputs."""
        import numpy as np

        self._interpreter.reset_all_variables()  # the state of recurrent layers, which would carry over
        made = self._runner(**{name: quantize(feed[name], details) for name, details in self.inputs.items()})
        real = {}
        for name, value in made.items():
            scale, zero_point = self.outputs[name]["quantization"]
            real[name] = (value.astype(np.float64) - zero_point) * scale if scale else value
        return real


def quantize(values: Any, details: Any) -> Any:
    """Real numbers in the type of a tensor of the quantized model."""
    import numpy as np

    scale, zero_point = details["quantization"]
    kind = np.dtype(details["dtype"])
    if not scale:
        return np.asarray(values).astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(kind)
