"""onnx2tf: from an ONNX model with fixed sizes to a Keras model, and that to a SavedModel.

In the result the channels of pictures come last, as TensorFlow and the Edge TPU have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coralforge.convert.worker.read import inputs
from coralforge.convert.worker.shapes import CHANNELS, shape_of
from coralforge.errors import CoralforgeError, lines_of, user_error
from coralforge.quantize.worker.names import plain

SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Tensor:
    """An input or output: its shape in ONNX, and as it is now."""

    name: str
    onnx: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def turned(self) -> tuple[int, ...] | None:
        """How axes were moved (for numpy.transpose from ONNX' order); None for an input that is as it was."""
        last = (0, *range(2, len(self.onnx)), 1)
        if self.shape == self.onnx or tuple(self.onnx[axis] for axis in last) != self.shape:
            return None
        return last

    def facts(self) -> dict[str, Any]:
        """For the report."""
        return {"name": self.name, "onnx": list(self.onnx), "shape": list(self.shape)}


@dataclass(frozen=True)
class Translated:
    """The converted model; ``call`` takes and gives tensors in these orders."""

    call: Any = field(repr=False)
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    kinds: Mapping[str, Any] = field(repr=False)
    """The type of each input."""

    def run(self, values: Sequence[Any]) -> list[Any]:
        """Outputs for inputs in ONNX' order of axes; as numpy, in their new order."""
        import numpy as np

        turned = [
            np.transpose(value, one.turned) if one.turned else value
            for one, value in zip(self.inputs, values, strict=True)
        ]
        made = self.call(turned)
        return [one.numpy() for one in (made if isinstance(made, (list, tuple)) else [made])]


def load() -> None:
    """Import onnx2tf, and take its way to the network away: it is given noise for the pictures it would fetch.

    It runs the ONNX model with them, to see by the results whether each operation was converted right.
    """
    import numpy as np
    import onnx2tf.onnx2tf as program

    def noise() -> Any:
        return np.random.default_rng(0).random((20, 128, 128, 3), np.float32)

    if not hasattr(program, "download_test_image_data"):
        raise AttributeError("this onnx2tf gets its sample pictures in another way")
    program.download_test_image_data = noise
    _see_depthwise()


def _see_depthwise() -> None:
    """Give depthwise convolutions their input with the channels last, as onnx2tf 1.29 expects it there.

    Behind a reshape (in the attention of YOLO11) it is not yet, and a convolution in groups would be made of them,
    which the Edge TPU compiler does not read.
    """
    import tensorflow as tf
    from onnx2tf.ops import Conv

    convert = Conv.make_node

    def make_node(*, graph_node: Any, tf_layers_dict: dict[str, Any], **rest: Any) -> None:
        known = tf_layers_dict.get(graph_node.inputs[0].name, {})
        before, shape = known.get("tf_node"), tuple(graph_node.inputs[0].shape or ())
        if graph_node.attrs.get("group", 1) > 1 and len(shape) == 4 and tuple(getattr(before, "shape", ())) == shape:
            known["tf_node"] = tf.transpose(before, (0, 2, 3, 1))
        try:
            convert(graph_node=graph_node, tf_layers_dict=tf_layers_dict, **rest)
        finally:
            if before is not None:
                known["tf_node"] = before

    Conv.make_node = make_node


def translate(path: str, model: Any, staging: Path) -> Translated:
    """Convert a model all of whose sizes are known.

    Raises:
        CoralforgeError: exit code 2, reason ``model-conversion``.
    """
    import onnx
    import onnx2tf

    place = staging / "model.onnx"
    onnx.save(model, str(place))
    kept = [one.name for one in inputs(model) if not _channels_first(shape_of(one))]
    try:
        made = onnx2tf.convert(
            input_onnx_file_path=str(place),
            output_folder_path=str(staging / "onnx2tf"),
            keep_shape_absolutely_input_names=kept or None,
            disable_group_convolution=True,  # one for each group instead, which the Edge TPU compiler reads
            not_use_onnxsim=True,
            disable_model_save=True,
            verbosity="error",
        )
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:  # it ends the process for what it does not know
        raise _failed(path, error) from error
    return Translated(
        made,
        tuple(
            Tensor(one.name, shape_of(one), tuple(new.shape))
            for one, new in zip(inputs(model), made.inputs, strict=True)
        ),
        tuple(
            Tensor(one.name, shape_of(one), tuple(new.shape))
            for one, new in zip(model.graph.output, made.outputs, strict=True)
        ),
        {one.name: new.dtype for one, new in zip(inputs(model), made.inputs, strict=True)},
    )


def save(made: Translated, folder: Path) -> None:
    """Write the SavedModel, with one signature, whose names are those of ONNX as far as TensorFlow allows."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    names, given = plain([one.name for one in made.inputs]), plain([one.name for one in made.outputs])
    specs = [
        tf.TensorSpec(one.shape, made.kinds[one.name], name=name)
        for one, name in zip(made.inputs, names, strict=True)
    ]

    def compute(*values: Any) -> list[Any]:
        result = made.call(list(values))
        return list(result) if isinstance(result, (list, tuple)) else [result]

    # As constants: the names that onnx2tf gives its variables are not always such as a SavedModel can have.
    frozen = convert_variables_to_constants_v2(tf.function(compute, input_signature=specs).get_concrete_function())

    def call(*values: Any) -> dict[str, Any]:
        return {name: tf.identity(one, name=name) for name, one in zip(given, frozen(*values), strict=True)}

    holder = tf.Module()
    function = tf.function(call, input_signature=specs)
    tf.saved_model.save(holder, str(folder), signatures={SIGNATURE: function.get_concrete_function()})


def _channels_first(shape: Sequence[int]) -> bool:
    """Whether an input is one with channels before the other sizes: most are; pictures of TensorFlow are not."""
    if len(shape) == 4 and shape[3] in CHANNELS and shape[1] not in CHANNELS:
        return False
    return len(shape) in (3, 4, 5)


def _failed(path: str, error: BaseException) -> CoralforgeError:
    where = _operation(error)
    return user_error(
        f"{path} cannot be converted" + (f": onnx2tf fails at {where}" if where else ""),
        reason="model-conversion",
        details="\n".join(lines_of(error, 4)),
        remedy="end before it with --outputs NAME,...; or export the model with another opset version (13 to 17)",
    )


def _operation(error: BaseException) -> str:
    """The operation that onnx2tf was at, for people; empty where the traceback does not say."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        node = trace.tb_frame.f_locals.get("graph_node")
        if node is not None and hasattr(node, "op"):
            found = f"{node.op} {str(node.name)[:100]!r}"
        trace = trace.tb_next
    return found
