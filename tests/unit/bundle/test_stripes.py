"""The generated sample model: well formed, the same every time, and it knows its own picture."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from coralforge.bundle import stripes as generator


def model() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(generator.sample_files()["sample.json"])
    return loaded


def test_it_is_the_same_every_time() -> None:
    assert generator.sample_files() == generator.sample_files()


def test_every_file_of_the_bundle_is_there() -> None:
    assert sorted(generator.sample_files()) == ["image.bmp", "labels.txt", "sample.json"]


def test_the_expected_class_has_a_label() -> None:
    assert generator.LABELS[generator.EXPECTED] == "horizontal stripes"
    assert generator.sample_files()["labels.txt"].decode().splitlines() == list(generator.LABELS)


def test_tensors_and_buffers_have_the_same_size() -> None:
    graph = model()["subgraphs"][0]
    for tensor in graph["tensors"]:
        data = model()["buffers"][tensor["buffer"]].get("data")
        if data is None:
            continue
        size = 4 if tensor["type"] == "INT32" else 1
        for dimension in tensor["shape"]:
            size *= dimension
        assert len(data) == size, tensor["name"]


def test_operators_refer_to_tensors_that_are_there() -> None:
    graph = model()["subgraphs"][0]
    produced = set(graph["inputs"])
    for operator in graph["operators"]:
        constants = {i for i in operator["inputs"] if graph["tensors"][i]["buffer"]}
        assert set(operator["inputs"]) <= produced | constants
        produced |= set(operator["outputs"])
    assert set(graph["outputs"]) <= produced


def test_it_is_quantized_throughout() -> None:
    for tensor in model()["subgraphs"][0]["tensors"]:
        assert tensor["type"] in ("INT8", "INT32")
        assert len(tensor["quantization"]["scale"]) == len(tensor["quantization"]["zero_point"]) == 1


# The highest versions that TensorFlow 2.5.3, and with it the last Edge TPU compiler, takes.
HIGHEST = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "AVERAGE_POOL_2D": 3, "FULLY_CONNECTED": 9, "SOFTMAX": 3}


def test_operation_versions_are_old_enough_for_the_edge_tpu_compiler() -> None:
    for code in model()["operator_codes"]:
        assert code["version"] <= HIGHEST[code["builtin_code"]]


def test_the_picture_is_a_bmp_of_another_size_than_the_input() -> None:
    bmp = generator.sample_image()
    magic, size, start = struct.unpack_from("<2sI4xI", bmp)
    width, height, planes, bits, compression = struct.unpack_from("<iiHHI", bmp, 18)
    assert (magic, size, start) == (b"BM", len(bmp), 54)
    assert (width, height, planes, bits, compression) == (96, 64, 1, 24, 0)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_rows_of_the_picture_are_padded_to_four_bytes(width: int) -> None:
    assert len(generator.sample_image(width, 2)) == 54 + 2 * ((width * 3 + 3) // 4 * 4)


Picture = list[list[tuple[float, float, float]]]


def stripes(horizontal: bool) -> Picture:
    """What the input is after the sample picture was scaled to it: four light rows, four dark ones."""
    size = range(generator.SIDE)
    return [[((y if horizontal else x) // 4 % 2 * -1.4 + 0.7,) * 3 for x in size] for y in size]


def plain(*rgb: float) -> Picture:
    red, green, blue = rgb
    return [[(red, green, blue)] * generator.SIDE for _ in range(generator.SIDE)]


def amounts(picture: Picture) -> list[float]:
    """How much of each feature a picture holds: the network up to its pool, in real numbers, without the blur."""
    side = generator.SIDE
    totals = []
    for weights in generator.filters():
        total = 0.0
        for y in range(side):
            for x in range(side):
                value = 0.0
                for dy, row in enumerate(weights):
                    for dx, column in enumerate(row):
                        if 0 <= y + dy - 1 < side and 0 <= x + dx - 1 < side:
                            pixel = picture[y + dy - 1][x + dx - 1]
                            value += sum(w * p for w, p in zip(column, pixel, strict=True)) / 240
                total += min(max(value, 0.0), 1.0)
        totals.append(total / side**2)
    return totals


def classify(picture: Picture) -> str:
    features = amounts(picture)
    logits = [sum(w * f for w, f in zip(row, features, strict=True)) for row in generator.dense()]
    return generator.LABELS[max(range(len(logits)), key=logits.__getitem__)]


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        (stripes(horizontal=True), "horizontal stripes"),
        (stripes(horizontal=False), "vertical stripes"),
        (plain(0.8, -0.8, -0.8), "red"),
        (plain(-0.8, 0.8, -0.8), "green"),
        (plain(-0.8, -0.8, 0.8), "blue"),
        (plain(-0.9, -0.9, -0.9), "dark"),
    ],
)
def test_the_weights_tell_the_classes_apart(picture: Picture, label: str) -> None:
    assert classify(picture) == label
