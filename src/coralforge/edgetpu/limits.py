"""The limits of single operators as data: what is asked, where it is known from, and what was tried."""

from __future__ import annotations

import math

from coralforge.edgetpu.evidence import Bound, Limit, Source
from coralforge.tflite.graph import Graph, Operation, Tensor

DOCUMENT = Source("document", "coral.ai, Supported operations")
_YOLO_192 = Source("report", "jveitchmichaelis/edgetpu-yolo, log of yolov8n at 192 pixels")
_ISSUE_31 = Source("report", "google-coral/edgetpu#31")


def _fused(_graph: Graph, operation: Operation) -> str | None:
    return "it has a fused activation" if operation.options.get("fusedActivationFunction") else None


def _dilated(graph: Graph, operation: Operation) -> str | None:
    """Dilation has no effect in a direction in which the filter is 1 wide."""
    x, y = operation.options.get("dilationWFactor", 1), operation.options.get("dilationHFactor", 1)
    filters = graph.tensors[operation.inputs[1]].shape
    if x == y or len(filters) != 4 or 1 in filters[1:3]:
        return None
    return f"its dilation differs: {x} in x, {y} in y"


def _constant_input(graph: Graph, operation: Operation) -> str | None:
    """A constant that is concatenated has to be padding: one of two inputs, and all zero."""
    constants = [tensor for tensor in _inputs(graph, operation) if tensor.constant]
    zeros = all(tensor.uniform == (tensor.zero_points or (0,))[0] % 256 for tensor in constants)
    if constants and (len(operation.inputs) != 2 or not zeros):
        return "a constant input has to be one of two, and all zero"
    return None


def _special_weights(_graph: Graph, operation: Operation) -> str | None:
    return "its weights are in a special format" if operation.options.get("weightsFormat") else None


def _wide_alpha(graph: Graph, operation: Operation) -> str | None:
    shape = graph.tensors[operation.inputs[1]].shape
    return None if math.prod(shape[:-1]) == 1 else f"its alpha {_sizes(shape)} is not one-dimensional"


def _reduced(graph: Graph, operation: Operation) -> str | None:
    """No batch dimension; a reduction over channels takes a multiple of 4 of them."""
    shape = graph.tensors[operation.inputs[0]].shape
    axes = {axis % len(shape) for axis in graph.tensors[operation.inputs[1]].integers() or () if shape}
    if len(shape) > 3 and 0 in axes:
        return "it reduces the batch dimension"
    if len(shape) - 1 in axes and shape[-1] % 4:
        return f"it reduces {shape[-1]} channels, which is not a multiple of 4"
    return None


def _stepped(graph: Graph, operation: Operation) -> str | None:
    strides = graph.tensors[operation.inputs[3]].integers() or ()
    masks = [operation.options.get("ellipsisMask", 0), operation.options.get("newAxisMask", 0)]
    return "its strides are not all 1" if set(strides) != {1} else "it has axis masks" if any(masks) else None


def _squeezed(graph: Graph, operation: Operation) -> str | None:
    before = _without_leading_ones(graph.tensors[operation.inputs[0]].shape)
    after = _without_leading_ones(graph.tensors[operation.outputs[0]].shape)
    return None if before == after else "it removes a dimension that is not leading"


def _split_first(graph: Graph, operation: Operation) -> str | None:
    shape = graph.tensors[operation.inputs[1]].shape
    axes = graph.tensors[operation.inputs[0]].integers() or ()
    first = bool(shape) and 0 in {axis % len(shape) for axis in axes}
    return f"it splits the first dimension of {_sizes(shape)}" if first and len(operation.outputs) > 1 else None


def _rows(graph: Graph, operation: Operation) -> float:
    return math.prod(graph.tensors[operation.outputs[0]].shape[:-1])


def _row(graph: Graph, operation: Operation) -> float:
    return math.prod(graph.tensors[operation.outputs[0]].shape[-1:])


def _elements(graph: Graph, operation: Operation) -> float:
    return math.prod(graph.tensors[operation.outputs[0]].shape)


def _enlarged(graph: Graph, operation: Operation) -> float:
    before, after = (graph.tensors[index].shape for index in (operation.inputs[0], operation.outputs[0]))
    return max((new / max(old, 1) for old, new in zip(before[1:3], after[1:3], strict=False)), default=1.0)


def _resized_side(graph: Graph, operation: Operation) -> float:
    before, after = (graph.tensors[index].shape for index in (operation.inputs[0], operation.outputs[0]))
    return max(after[1:3], default=0) if before != after else 0


UNFUSED = Limit("unfused", _fused, DOCUMENT)
SAME_DILATION = Limit("same-dilation", _dilated, DOCUMENT)
ZERO_PADDING = Limit("zero-padding", _constant_input, DOCUMENT)
DEFAULT_WEIGHTS = Limit("default-weights", _special_weights, DOCUMENT)
FLAT_ALPHA = Limit("flat-alpha", _wide_alpha, DOCUMENT)
NOT_IN_BATCH = Limit("not-in-batch", _reduced, DOCUMENT)
PLAIN_SLICE = Limit("plain-slice", _stepped, DOCUMENT)
LEADING_ONES = Limit("leading-ones", _squeezed, DOCUMENT)
NOT_FIRST = Limit("not-first", _split_first, Source("pair", "prbodmann/Coral-TPU, efficient_l3"))

# The documentation says that a dense layer's output has one dimension.
DENSE_ROWS = Bound(
    "dense-rows",
    "rows",
    _rows,
    mapped=49,
    mapped_by=Source("pair", "prbodmann/Coral-TPU, efficient_l3"),
    guess=math.inf,
)
# The documentation says at most 16,000 elements, and one dimension.
SOFTMAX_SIZE = Bound(
    "softmax-size",
    "elements in a row",
    _row,
    mapped=16_384,
    mapped_by=Source("pair", "ricardodeazambuja/LibrEdgeTPU, bright_128x128"),
)
SOFTMAX_ROWS = Bound(
    "softmax-rows",
    "rows",
    _rows,
    mapped=4_420,
    mapped_by=Source("report", "a face detector with an output of 1x4420x2"),
    guess=math.inf,
)
TRANSPOSE_SIZE = Bound(
    "transpose-size",
    "elements",
    _elements,
    mapped=82_944,
    mapped_by=_YOLO_192,
    left=107_200,
    left_by=Source("pair", "koush/tflite-models, scrypted_yolov9t_relu_320"),
)
# "Depending on input/output size, this operation might not be mapped to avoid loss in precision."
RESIZE_FACTOR = Bound(
    "resize-factor",
    "times enlarged",
    _enlarged,
    mapped=2,
    mapped_by=Source("pair", "google-coral/test_data, movenet_single_pose_lightning_ptq"),
    left=513 / 33,
    left_by=Source("pair", "google-coral/test_data, deeplab_mobilenet_edgetpu_slim_cityscapes_quant"),
    guess=8,
)
# One log of version 16.0 maps all of 5 RESIZE_BILINEAR, of which one is probably 128x128 to 256x256.
RESIZE_SIDE = Bound(
    "resize-side",
    "pixels a side",
    _resized_side,
    mapped=128,
    mapped_by=_ISSUE_31,
    left=512,
    left_by=_ISSUE_31,
    guess=256,
)


def _inputs(graph: Graph, operation: Operation) -> list[Tensor]:
    return [graph.tensors[index] for index in operation.inputs if index != -1]


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    start = next((index for index, size in enumerate(shape) if size != 1), len(shape))
    return shape[start:]


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
