"""Maximum pooling of padded pictures, written so that it can be quantized.

PyTorch pads with minus infinity, and onnx2tf with the lowest float where TensorFlow's own padding is another one: a
ResNet's first pooling. In 8 bits that number would be in the range, and nothing but it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ZERO_OR_MORE = ("Relu", "Sigmoid", "Softmax", "HardSigmoid", "Abs")
_KEEPS_SIGN = ("MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Add", "Identity", "Reshape", "Transpose")
_FAR = 16  # operations back from a pooling


def padded_by_zeros(model: Any) -> Any:
    """The model, whose padded poolings are changed.

    They become zeros before them where no value is below zero; otherwise a pooling with a stride of 1, which
    TensorFlow pads in the same way, and the picking of every n-th value. onnxsim, which would undo the zeros, comes
    before.
    """
    from onnx import numpy_helper, shape_inference

    producers = {name: node for node in model.graph.node for name in node.output}
    constants = {one.name: one for one in model.graph.initializer}
    nodes: list[Any] = []
    for node in model.graph.node:
        made = [node]
        if node.op_type == "MaxPool" and len(node.output) == 1:
            fields = _fields(node)
            if _padded(fields):
                floor = {
                    name: float(numpy_helper.to_array(one).min()) for name, one in constants.items() if _small(one)
                }
                if _never_negative(node.input[0], producers, floor, _FAR):
                    made = _zeros(model, node, fields)
                elif _around(fields):
                    made = _picked(node, fields)
        nodes += made
    if len(nodes) == len(model.graph.node):
        return model
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _fields(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _padded(fields: Mapping[str, Any]) -> bool:
    """Whether it is padded in a way that TensorFlow has no name for."""
    padded = any(fields.get("pads", ())) and fields.get("auto_pad", b"NOTSET") == b"NOTSET"
    return padded and len(fields["kernel_shape"]) == 2 and any(size > 1 for size in fields.get("strides", (1, 1)))


def _around(fields: Mapping[str, Any]) -> bool:
    """Whether each result is the maximum around one value, at every n-th of them."""
    kernel, pads = list(fields["kernel_shape"]), list(fields["pads"])
    middle = [(size - 1) // 2 for size in kernel]
    plain = not fields.get("ceil_mode") and set(fields.get("dilations", (1, 1))) == {1}
    return plain and all(size % 2 for size in kernel) and pads == middle * 2


def _zeros(model: Any, node: Any, fields: Mapping[str, Any]) -> list[Any]:
    import numpy as np
    from onnx import helper, numpy_helper

    name = f"coralforge_padded_{node.output[0]}"
    (top, left, bottom, right), one = fields["pads"], f"{name}_sizes"
    sizes = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    model.graph.initializer.append(numpy_helper.from_array(sizes, one))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), f"{name}_zero"))
    pad = helper.make_node("Pad", [node.input[0], one, f"{name}_zero"], [name], name, mode="constant")
    rest = {key: value for key, value in fields.items() if key not in ("pads", "auto_pad")}
    return [pad, helper.make_node("MaxPool", [name], list(node.output), node.name, **rest)]


def _picked(node: Any, fields: Mapping[str, Any]) -> list[Any]:
    from onnx import helper

    name = f"coralforge_around_{node.output[0]}"
    around = {"kernel_shape": fields["kernel_shape"], "pads": fields["pads"], "strides": [1, 1]}
    return [
        helper.make_node("MaxPool", [node.input[0]], [name], name, **around),
        helper.make_node(
            "MaxPool", [name], list(node.output), node.name, kernel_shape=[1, 1], strides=fields["strides"]
        ),
    ]


def _never_negative(name: str, producers: Mapping[str, Any], floor: Mapping[str, float], far: int) -> bool:
    node = producers.get(name)
    if node is None or far == 0:
        return False
    if node.op_type in _ZERO_OR_MORE:
        return True
    if node.op_type == "Clip":
        return len(node.input) > 1 and floor.get(node.input[1], -1.0) >= 0
    data = node.input if node.op_type in ("Concat", "Add") else node.input[:1]
    return node.op_type in _KEEPS_SIGN and all(_never_negative(one, producers, floor, far - 1) for one in data)


def _small(tensor: Any) -> bool:
    """Whether it is one number, such as the lower limit of a Clip."""
    return not any(size > 1 for size in tensor.dims)
