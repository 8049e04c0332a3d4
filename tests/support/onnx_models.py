"""Makes the ONNX models that test_convert.py needs: `.venv-convert/bin/python onnx_models.py FOLDER`.

Small graphs by onnx.helper with random weights: what PyTorch's exporters write, without PyTorch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64  # of pictures for detectors
CLASSES = 5
ANCHORS = 3
BINS = 16  # of a box's edge


class Graph:
    """A graph that grows by one operation at a time; each call gives the name of what it makes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(7)

    def weight(self, array: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def random(self, *shape: int) -> str:
        scale = (2 / max(int(np.prod(shape[1:])), 1)) ** 0.5
        return self.weight((self._random.standard_normal(shape) * scale).astype(np.float32))

    def add(
        self, kind: str, *inputs: str, output: str = "", outputs: int = 1, domain: str = "", **fields: Any
    ) -> Any:
        names = [output or f"/{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        # Names with slashes, as PyTorch gives them.
        self.nodes.append(
            helper.make_node(kind, inputs, names, f"/{kind}_{len(self.nodes)}", domain=domain, **fields)
        )
        return names[0] if outputs == 1 else names

    def convolution(self, data: str, taken: int, given: int, side: int = 3, stride: int = 1, group: int = 1) -> str:
        pads = [side // 2] * 4
        weights = self.random(given, taken // group, side, side), self.random(given)
        return str(
            self.add("Conv", data, *weights, kernel_shape=[side] * 2, strides=[stride] * 2, pads=pads, group=group)
        )

    def reshape(self, data: str, *shape: int) -> str:
        return str(self.add("Reshape", data, self.weight(np.array(shape, np.int64))))

    def split(self, data: str, axis: int, *sizes: int) -> Any:
        return self.add("Split", data, self.weight(np.array(sizes, np.int64)), axis=axis, outputs=len(sizes))

    def save(
        self, place: Path, inputs: Sequence[tuple[str, Sequence[Any]]], outputs: Sequence[str], **options: Any
    ) -> None:
        """Write the model. Sizes that are texts are open."""
        domains = {node.domain for node in self.nodes} - {""}
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )
        sets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in sorted(domains))]
        model = helper.make_model(graph, opset_imports=sets, ir_version=8, producer_name="coralforge-test")
        onnx.save(model, str(place), **options)


def classifier(place: Path, sizes: Sequence[Any] = ("batch", 3, 24, 24), **options: Any) -> None:
    """A convolution with a stride, a depthwise one, a sum, a flattened picture and a dense layer."""
    make = Graph()
    first = make.add("Relu", make.convolution("image", 3, 8, stride=2))
    second = make.add("Relu", make.convolution(first, 8, 8, group=8))
    joined = make.add("MaxPool", make.add("Add", first, second), kernel_shape=[2, 2], strides=[2, 2])
    flat = make.add("Flatten", joined, axis=1)
    side = sizes[2] // 4 if isinstance(sizes[2], int) else 6
    make.add("Gemm", flat, make.random(10, 8 * side * side), make.random(10), transB=1, output="scores")
    make.save(place, [("image", sizes)], ["scores"], **options)


def channels_last(place: Path) -> None:
    """As tf2onnx exports a model of TensorFlow: the picture is turned inside."""
    make = Graph()
    turned = make.add("Transpose", "image", perm=[0, 3, 1, 2])
    make.add("Relu", make.add("GlobalAveragePool", make.convolution(turned, 3, 4)), output="scores")
    make.save(place, [("image", [1, 20, 24, 3])], ["scores"])


def several(place: Path) -> None:
    """Two inputs and two outputs whose order is not that of the alphabet."""
    make = Graph()
    mean = make.reshape(make.add("GlobalAveragePool", make.convolution("zeta", 3, 4)), 1, 4)
    make.add("Relu", make.add("Add", mean, "alpha"), output="second:0")
    make.add("Sigmoid", make.add("Gemm", mean, make.random(4, 3), make.random(3)), output="first:0")
    make.save(place, [("zeta", [1, 3, 8, 8]), ("alpha", [1, 4])], ["second:0", "first:0"])


def grouped(place: Path) -> None:
    """A convolution in two groups, and one for each channel behind a reshape, as attention has it."""
    make = Graph()
    pair = make.convolution("image", 4, 8, group=2)
    rows = make.reshape(pair, 1, 2, 4, 96)
    turned = make.add("Transpose", make.add("Transpose", rows, perm=[0, 1, 3, 2]), perm=[0, 1, 3, 2])
    back = make.reshape(turned, 1, 8, 8, 12)
    make.add("Relu", make.convolution(back, 8, 8, group=8), output="out")
    make.save(place, [("image", [1, 4, 8, 12])], ["out"])


def precise(place: Path, kind: Any = np.float64, number: int = TensorProto.DOUBLE) -> None:
    """Weights, input and output in another precision than float32."""
    make = Graph()
    data = make.add("Cast", "image", to=number)
    weights = [
        make.weight(np.random.default_rng(1).standard_normal(shape).astype(kind)) for shape in ((4, 3, 3, 3), (4,))
    ]
    make.add("GlobalAveragePool", make.add("Conv", data, *weights), output="out")
    make.save(place, [("image", [1, 3, 8, 8])], ["out"])


def grids(make: Graph) -> list[tuple[str, int, int]]:
    """The two feature maps of a detector: name, side, stride."""
    data = "images"
    for taken, given in ((3, 8), (8, 16), (16, 16)):
        convolved = make.convolution(data, taken, given, stride=2)
        data = make.add("Mul", convolved, make.add("Sigmoid", convolved))
    smaller = make.add("Relu", make.convolution(data, 16, 16, stride=2))
    return [(data, SIDE // 8, 8), (smaller, SIDE // 16, 16)]


def places(side: int) -> Any:
    """x and y of each place of a grid: 2 x side x side."""
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    return np.stack([x, y]).astype(np.float32)


def yolo_v5(place: Path) -> None:
    """[1, N, 5 + classes]: at each place three anchors; x and y, then size, then scores, joined last."""
    make, fields, levels = Graph(), 5 + CLASSES, []
    for data, side, stride in grids(make):
        raw = make.reshape(make.convolution(data, 16, ANCHORS * fields, 1), 1, ANCHORS, fields, side, side)
        turned = make.add("Sigmoid", make.add("Transpose", raw, perm=[0, 1, 3, 4, 2]))
        where, size, scores = make.split(turned, 4, 2, 2, fields - 4)
        two = make.weight(np.float32(2))
        offset = make.weight(places(side).transpose(1, 2, 0)[None, None] - np.float32(0.5))
        moved = make.add("Mul", make.add("Add", make.add("Mul", where, two), offset), make.weight(np.float32(stride)))
        anchors = make.weight(np.array([[10, 13], [16, 30], [33, 23]], np.float32).reshape(1, ANCHORS, 1, 1, 2))
        sized = make.add("Mul", make.add("Pow", make.add("Mul", size, two), two), anchors)
        joined = make.add("Concat", moved, sized, scores, axis=4)
        levels.append(make.reshape(joined, 1, ANCHORS * side * side, fields))
    make.add("Concat", *levels, axis=1, output="output0")
    make.save(place, [("images", ["batch", 3, SIDE, SIDE])], ["output0"])


def yolo_v8(place: Path, turned: bool = False) -> None:
    """[1, 4 + classes, N]: the distance to each edge as a distribution over 16 bins, scores beside it.

    ``turned``: [1, N, 4 + classes], by a transposition that leaves out the order of axes, which then are reversed.
    """
    make, levels = Graph(), []
    for data, side, _ in grids(make):
        both = make.add(
            "Concat", make.convolution(data, 16, 4 * BINS, 1), make.convolution(data, 16, CLASSES, 1), axis=1
        )
        levels.append(make.reshape(both, 1, 4 * BINS + CLASSES, side * side))
    count = sum((SIDE // stride) ** 2 for stride in (8, 16))
    bins, scores = make.split(make.add("Concat", *levels, axis=2), 1, 4 * BINS, CLASSES)
    parts = make.add("Transpose", make.reshape(bins, 1, 4, BINS, count), perm=[0, 2, 1, 3])
    steps = make.weight(np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1))
    distances = make.reshape(make.add("Conv", make.add("Softmax", parts, axis=1), steps), 1, 4, count)
    before, behind = make.split(distances, 1, 2, 2)
    points = [places(SIDE // stride).reshape(2, -1) + np.float32(0.5) for stride in (8, 16)]
    centre = make.weight(np.concatenate(points, 1)[None])
    low, high = make.add("Sub", centre, before), make.add("Add", behind, centre)
    middle = make.add("Div", make.add("Add", low, high), make.weight(np.float32(2)))
    boxes = make.add("Concat", middle, make.add("Sub", high, low), axis=1)
    strides = np.repeat(np.array([8, 16], np.float32), [(SIDE // stride) ** 2 for stride in (8, 16)])
    scaled = make.add("Mul", boxes, make.weight(strides[None, None]))
    joined = make.add("Concat", scaled, make.add("Sigmoid", scores), axis=1, output="" if turned else "output0")
    if turned:
        sizes = make.weight(np.array([1, count, 4 + CLASSES], np.int64))
        make.add("Reshape", make.add("Transpose", joined), sizes, output="output0")
    make.save(place, [("images", ["batch", 3, SIDE, SIDE])], ["output0"])


def pooled(place: Path, signed: bool) -> None:
    """A pooling that is padded at all sides and has a stride, as in ResNet; ``signed`` without a Relu before it."""
    make = Graph()
    data = make.convolution("image", 3, 8)
    data = data if signed else make.add("Relu", data)
    most = make.add("MaxPool", data, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    make.add("Flatten", make.add("GlobalAveragePool", make.convolution(most, 8, 8)), output="out")
    make.save(place, [("image", [1, 3, 16, 16])], ["out"])


def refused(folder: Path) -> None:
    """Models that cannot be converted, one for each cause."""
    make = Graph()
    make.add("QuantizeLinear", "image", make.weight(np.float32(0.1)), make.weight(np.uint8(0)), output="out")
    make.save(folder / "quantized.onnx", [("image", [1, 3, 8, 8])], ["out"])
    make = Graph()
    make.add("FusedThing", make.add("Relu", "image"), domain="com.example", output="out")
    make.save(folder / "foreign.onnx", [("image", [1, 3, 8, 8])], ["out"])
    make = Graph()
    scores, boxes = make.reshape("image", 1, 4, 48), make.reshape(make.add("Relu", "image"), 1, 48, 4)
    chosen = make.add("NonMaxSuppression", boxes, scores)
    make.add("Cast", chosen, to=TensorProto.FLOAT, output="out")
    make.save(folder / "suppressed.onnx", [("image", [1, 3, 8, 8])], ["out"])
    make = Graph()
    branch = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["b"])],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    large = make.add("Greater", make.add("ReduceMax", "image", keepdims=0), make.weight(np.float32(1)))
    make.add("If", large, then_branch=branch, else_branch=branch, output="out")
    make.save(folder / "branch.onnx", [("image", [1, 3, 8, 8])], ["out"])
    make = Graph()
    make.add("MatMul", "image", make.random(5, 5), output="out")
    make.save(folder / "unfitting.onnx", [("image", [1, 3, 8, 8])], ["out"])
    make = Graph()
    make.add("Relu", "image", output="out")
    make.save(folder / "batch.onnx", [("image", [4, 3, 8, 8])], ["out"])


def main(folder: Path) -> None:
    """Write all of them."""
    classifier(folder / "net.onnx")
    classifier(folder / "open.onnx", ("batch", 3, "height", "width"))
    classifier(folder / "apart.onnx", save_as_external_data=True, location="apart.data", size_threshold=0)
    classifier(folder / "lost.onnx", save_as_external_data=True, location="lost.data", size_threshold=0)
    (folder / "lost.data").unlink()
    channels_last(folder / "last.onnx")
    several(folder / "several.onnx")
    grouped(folder / "grouped.onnx")
    pooled(folder / "pooled.onnx", signed=False)
    pooled(folder / "signed.onnx", signed=True)
    precise(folder / "double.onnx")
    precise(folder / "half.onnx", np.float16, TensorProto.FLOAT16)
    yolo_v5(folder / "v5.onnx")
    yolo_v8(folder / "v8.onnx")
    yolo_v8(folder / "turned.onnx", turned=True)
    refused(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
