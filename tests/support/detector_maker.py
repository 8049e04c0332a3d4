"""Makes models with the outputs of detectors, for tests: whatever the picture is, they find the same.

Their outputs are constants, but for :func:`ssd`, which has the real operation with constant inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from coralforge.tflite import schema
from tests.support.model_maker import Maker

ROLES = ("boxes", "classes", "scores", "count")
COCO = 80
"""Classes of the usual labels."""


def constant(
    outputs: Sequence[tuple[str, Any]], *, side: tuple[int, int] = (32, 32), scale: float = 0, point: int = 0
) -> bytes:
    """A model that takes a picture, ``side`` high and wide, and gives the named arrays; int8 ones are quantized."""
    make = Maker()
    image = make.tensor("image", [1, *side, 3], "UINT8", scales=[1 / 255])
    given = []
    for name, array in outputs:
        kind = {"float32": "FLOAT32", "int8": "INT8", "int64": "INT64"}[array.dtype.name]
        scales = [scale] if kind == "INT8" else []
        given.append(make.tensor(name, array.shape, kind, array.tobytes(), scales))
        if scales:
            make.graph.tensors[given[-1]].quantization.zeroPoint = [point]
    # A graph without any operation is not run.
    make.operator(
        "RESHAPE", [image, make.integers("shape", -1)], [make.tensor("flat", [side[0] * side[1] * 3], "UINT8")]
    )
    return make.pack([image], given)


def changing(declared: Sequence[int], real: Sequence[int]) -> bytes:
    """A model whose one output, all zero, is ``declared`` in the file, and ``real`` once the model has run."""
    make = Maker()
    image = make.tensor("image", [1, 32, 32, 3], "UINT8", scales=[1 / 255])
    zeros = np.zeros(int(np.prod(real)), np.float32)
    values = make.tensor("values", zeros.shape, "FLOAT32", zeros.tobytes(), ())
    sizes = make.tensor("sizes", [len(real)], "INT32", None, ())
    output = make.tensor("output", declared, "FLOAT32", None, ())
    # No constant, so that the shape is only known when the sum is.
    make.operator("ADD", [make.integers("some", *real), make.integers("none", *(0 for _ in real))], [sizes])
    make.operator("RESHAPE", [values, sizes], [output])
    make.operator("RESHAPE", [image, make.integers("shape", -1)], [make.tensor("flat", [32 * 32 * 3], "UINT8")])
    return make.pack([image], [output])


def yolo(
    form: str, rows: Sequence[Sequence[float]], *, classes: int = COCO, pixels: int = 1, candidates: int = 400
) -> Any:
    """An output of ``yolov5``, ``yolov8`` or ``yolov10``; float32.

    Args:
        rows: centre x, centre y, width, height, score and class of each object, in fractions of the input.
        pixels: what coordinates are multiplied with.
    """
    if form == "yolov10":
        made = np.zeros((1, 300, 6), np.float32)
        for i, (x, y, width, height, score, label) in enumerate(rows):
            edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            made[0, i] = [*(edge * pixels for edge in edges), score, label]
        return made
    first = 5 if form == "yolov5" else 4
    made = np.zeros((1, candidates, first + classes), np.float32)
    for i, (*box, score, label) in enumerate(rows):
        made[0, i, :4] = np.multiply(box, pixels)
        made[0, i, first + int(label)] = score
        if form == "yolov5":
            made[0, i, 4] = 1
    return made if form == "yolov5" else made.transpose(0, 2, 1).copy()


def detections(boxes: Sequence[Sequence[float]], classes: Sequence[float], scores: Sequence[float]) -> dict[str, Any]:
    """The four outputs of an SSD model, by role; boxes are top, left, bottom, right."""
    arrays = {"boxes": [boxes], "classes": [classes], "scores": [scores], "count": [len(scores)]}
    return {role: np.array(values, np.float32) for role, values in arrays.items()}


def ssd(order: Sequence[str] = ROLES) -> bytes:
    """A model whose outputs, in the given order, are those of TFLite_Detection_PostProcess itself.

    It finds class 2 with 0.9 at left 0.4, top 0.2, right 0.6, bottom 0.4, and class 1 with 0.8 at 0.6 to 0.8.
    """
    make = Maker()
    image = make.tensor("image", [1, 32, 32, 3], "UINT8", scales=[1 / 255])
    anchors = np.array([[0.3, 0.5, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]], np.float32)  # centre y, x, height, width
    scores = np.array([[[0, 0.1, 0.1, 0.9], [0, 0.1, 0.8, 0.1]]], np.float32)  # the first class is the background
    inputs = [
        make.tensor(name, array.shape, "FLOAT32", array.tobytes(), ())
        for name, array in (
            ("encodings", np.zeros((1, 2, 4), np.float32)),
            ("predictions", scores),
            ("anchors", anchors),
        )
    ]
    shapes = {"boxes": [1, 2, 4], "classes": [1, 2], "scores": [1, 2], "count": [1]}
    # Names that say nothing, as converters give them.
    made = {
        role: make.tensor(f"StatefulPartitionedCall:{i}", shapes[role], "FLOAT32", None, ())
        for i, role in enumerate(ROLES)
    }
    make.operator("CUSTOM", inputs, [made[role] for role in ROLES], custom=b"TFLite_Detection_PostProcess")
    options = {
        "max_detections": 2, "max_classes_per_detection": 1, "num_classes": 3, "nms_score_threshold": 0.3,
        "nms_iou_threshold": 0.6, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
    }  # fmt: skip
    make.graph.operators[0].customOptions = schema.numbers(bytes(flexbuffers.Dumps(options)))
    make.operator("RESHAPE", [image, make.integers("shape", -1)], [make.tensor("flat", [32 * 32 * 3], "UINT8")])
    return make.pack([image], [made[role] for role in order])
