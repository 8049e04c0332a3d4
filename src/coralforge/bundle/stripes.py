"""A small quantized image classifier that coralforge makes itself, for where no trained model can be had.

Nothing is trained or downloaded: the weights are chosen by hand. Eight 3 x 3 filters look for horizontal and
vertical edges, for red, green and blue, and for darkness; a blur and a pool measure how much of each the picture
holds; a fully connected layer weighs them. It is a true int8 convolutional network nevertheless, of operations in
versions that every TensorFlow Lite since 2.5 and the Edge TPU compiler take.

The result is text for ``flatc --binary`` with TensorFlow Lite's schema, so that this module needs only the
standard library. Everything here is deterministic.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable

LABELS = ("horizontal stripes", "vertical stripes", "red", "green", "blue", "dark")

SIDE = 32  # of the input, in pixels
FEATURES = 8  # edges down, up, right, left; red, green, blue; dark
EXPECTED = 0  # class of the sample image

Json = dict[str, object]

# Quantization: real value = (stored value - zero point) * scale.
_PIXEL = (1 / 128, 0)  # 0..255 enters as -128..127, that is -1..1
_FEATURE = (1 / 255, -128)  # 0..1, all that is left after the rectifier
_LOGIT = (1 / 8, 0)  # -16..16
_SCORE = (1 / 256, -128)  # 0..1; the kernel for softmax demands just this
_FILTER_SCALE = 1 / 240
_BLUR_SCALE = 1 / 900
_DENSE_SCALE = 1 / 10


def sample_files() -> dict[str, bytes]:
    """The sample's files by name: sample.json (for flatc), labels.txt and image.bmp."""
    return {
        "sample.json": (json.dumps(model_json(), indent=1) + "\n").encode(),
        "labels.txt": "".join(label + "\n" for label in LABELS).encode(),
        "image.bmp": sample_image(),
    }


def sample_image(width: int = 96, height: int = 64, stripe: int = 8) -> bytes:
    """A 24-bit BMP of horizontal stripes, light and dark. Sizes are in pixels; not the model's own, on purpose."""
    light, dark = bytes((210, 220, 230)), bytes((40, 30, 20))
    padding = bytes(-width * 3 % 4)
    rows = b"".join((dark if y // stripe % 2 else light) * width + padding for y in range(height))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    start = 14 + len(header)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + header + rows


def filters() -> list[list[list[list[int]]]]:
    """Weights of the first layer, [feature][row][column][channel], in steps of 1/240."""
    # The sum of all weights of one sign is 1/2, so that features stay within 0..1 for pixels within -1..1.
    edge_down = [[[w * sign] * 3 for w in (10, 20, 10)] for sign in (-1, 0, 1)]
    edge_right = [[[w * sign] * 3 for sign in (-1, 0, 1)] for w in (10, 20, 10)]
    colours = [[120 if channel == wanted else -60 for channel in range(3)] for wanted in range(3)]
    return [
        edge_down,
        _negated(edge_down),
        edge_right,
        _negated(edge_right),
        *(_centre(colour) for colour in colours),
        _centre([-80, -80, -80]),
    ]


def dense() -> list[list[int]]:
    """Weights of the last layer, [class][feature], in steps of 1/10."""
    across, along = [120, 120], [-120, -120]
    return [
        [*across, *along, 0, 0, 0, 0],
        [*along, *across, 0, 0, 0, 0],
        [*along, *along, 120, -60, -60, 0],
        [*along, *along, -60, 120, -60, 0],
        [*along, *along, -60, -60, 120, 0],
        [*along, *along, -60, -60, -60, 120],
    ]


def model_json() -> Json:
    """The model in the JSON form of TensorFlow Lite's schema (version 3)."""
    half = SIDE // 2
    weights = [
        _flat(filters()),
        [100] * (9 * FEATURES),
        _flat(dense()),
    ]
    tensors = [
        _tensor("image", [1, SIDE, SIDE, 3], _PIXEL),
        _tensor("filters", [FEATURES, 3, 3, 3], (_FILTER_SCALE, 0), buffer=1),
        _tensor("filters_bias", [FEATURES], (_PIXEL[0] * _FILTER_SCALE, 0), "INT32", buffer=2),
        _tensor("features", [1, SIDE, SIDE, FEATURES], _FEATURE),
        _tensor("blur", [1, 3, 3, FEATURES], (_BLUR_SCALE, 0), buffer=3),
        _tensor("blur_bias", [FEATURES], (_FEATURE[0] * _BLUR_SCALE, 0), "INT32", buffer=4),
        _tensor("blurred", [1, half, half, FEATURES], _FEATURE),
        _tensor("amounts", [1, 1, 1, FEATURES], _FEATURE),
        _tensor("dense", [len(LABELS), FEATURES], (_DENSE_SCALE, 0), buffer=5),
        _tensor("dense_bias", [len(LABELS)], (_FEATURE[0] * _DENSE_SCALE, 0), "INT32", buffer=6),
        _tensor("logits", [1, len(LABELS)], _LOGIT),
        _tensor("scores", [1, len(LABELS)], _SCORE),
    ]
    graph: Json = {
        "name": "main",
        "tensors": tensors,
        "inputs": [0],
        "outputs": [11],
        "operators": _operators(half),
    }
    buffers = [[], _int8(weights[0]), _zeros(FEATURES), _int8(weights[1]), _zeros(FEATURES)]
    buffers += [_int8(weights[2]), _zeros(len(LABELS))]
    return {
        "version": 3,
        "operator_codes": [_code(*code) for code in _CODES],
        "subgraphs": [graph],
        "description": "coralforge sample: stripes and colours",
        "buffers": [{"data": data} if data else {} for data in buffers],
    }


# Name, number and version of each operation; int8 with one scale per tensor.
_CODES = (
    ("CONV_2D", 3, 3),
    ("DEPTHWISE_CONV_2D", 4, 3),
    ("AVERAGE_POOL_2D", 1, 2),
    ("FULLY_CONNECTED", 9, 4),
    ("SOFTMAX", 25, 2),
)


def _operators(half: int) -> list[Json]:
    step = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
    double = {"padding": "SAME", "stride_w": 2, "stride_h": 2}
    pool = {"padding": "VALID", "stride_w": half, "stride_h": half, "filter_width": half, "filter_height": half}
    return [
        _operator(0, [0, 1, 2], 3, "Conv2DOptions", {**step, "fused_activation_function": "RELU"}),
        _operator(1, [3, 4, 5], 6, "DepthwiseConv2DOptions", {**double, "depth_multiplier": 1}),
        _operator(2, [6], 7, "Pool2DOptions", pool),
        _operator(3, [7, 8, 9], 10, "FullyConnectedOptions", {}),
        _operator(4, [10], 11, "SoftmaxOptions", {"beta": 1.0}),
    ]


def _operator(code: int, inputs: list[int], output: int, kind: str, options: Json) -> Json:
    return {
        "opcode_index": code,
        "inputs": inputs,
        "outputs": [output],
        "builtin_options_type": kind,
        "builtin_options": options,
    }


def _code(name: str, number: int, version: int) -> Json:
    # Readers of before TensorFlow 2.4 look at the first field, later ones at the larger of the two.
    return {"deprecated_builtin_code": number, "version": version, "builtin_code": name}


def _tensor(
    name: str, shape: list[int], quantization: tuple[float, int], kind: str = "INT8", buffer: int = 0
) -> Json:
    scale, zero_point = quantization
    return {
        "shape": shape,
        "type": kind,
        "buffer": buffer,
        "name": name,
        "quantization": {"scale": [scale], "zero_point": [zero_point]},
    }


def _negated(weights: list[list[list[int]]]) -> list[list[list[int]]]:
    return [[[-w for w in column] for column in row] for row in weights]


def _centre(weights: list[int]) -> list[list[list[int]]]:
    return [[weights if (y, x) == (1, 1) else [0, 0, 0] for x in range(3)] for y in range(3)]


def _flat(values: Iterable[object]) -> list[int]:
    flat: list[int] = []
    for value in values:
        if isinstance(value, int):
            flat.append(value)
        elif isinstance(value, list):
            flat.extend(_flat(value))
    return flat


def _int8(values: list[int]) -> list[int]:
    """The bytes of signed 8-bit numbers; the schema's data field holds unsigned ones."""
    return list(struct.pack(f"{len(values)}b", *values))


def _zeros(count: int) -> list[int]:
    """The bytes of ``count`` 32-bit zeros."""
    return [0] * (4 * count)
