"""What Google's compiler takes, and goes wrong for people all the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from coralforge.edgetpu.partition import partition
from coralforge.edgetpu.requirements import refusals
from coralforge.edgetpu.warnings import Warning, warnings
from coralforge.tflite.model import Model, parse_model
from tests.conftest import ROOT
from tests.support.model_maker import Maker, X, classifier, float_ends


def warned(model: Model) -> tuple[Warning, ...]:
    return warnings(model.graph, partition(model.graph))


def refused(model: Model) -> list[str]:
    return [error.reason for error in refusals(model, partition(model.graph))]


def test_an_ordinary_model_has_none() -> None:
    assert warned(parse_model(X, classifier())) == ()


def dense(before: str) -> Model:
    """A dense layer with a scale for each row, after an operation."""
    make = Maker()
    image, source, made = make.tensor("x", [1, 4]), make.tensor("y", [1, 4]), make.tensor("z", [1, 2])
    first, last = make.tensor("first", [1, 4]), make.tensor("last", [1, 4])
    make.operator("RELU", [image], [first])
    make.operator(before, [first], [last])
    make.operator("RELU", [last], [source])
    make.operator("FULLY_CONNECTED", [source, make.weights("w", [2, 4], scales=[0.1, 0.2])], [made], 4)
    return make.model([image], [made])


def test_a_dense_layer_per_channel_on_the_edge_tpu_is_a_warning() -> None:
    model = dense("RELU6")
    assert refused(model) == []
    assert [(one.name, one.operations) for one in warned(model)] == [("per-channel-dense", (3,))]


def test_on_the_cpu_it_is_refused() -> None:
    assert refused(dense("ABS")) == ["model-per-channel"]


def test_float_ends_are_a_warning() -> None:
    model = float_ends()
    assert refused(model) == []
    assert [(one.name, one.operations) for one in warned(model)] == [("float-ends", (0, 2))]


def joined(scales: Sequence[float], out: float, requantized: bool = True) -> Model:
    """Tensors in scales of their own, requantized and concatenated."""
    make = Maker()
    sources = [make.tensor(f"part {number}", [1, 10, 4], scales=[one]) for number, one in enumerate(scales)]
    parts = []
    for number, source in enumerate(sources):
        part = make.tensor(f"made {number}", [1, 10, 4], scales=[out])
        make.operator("QUANTIZE" if requantized else "LOGISTIC", [source], [part])
        parts.append(part)
    made = make.tensor("out", [1, 10, 4 * len(scales)], scales=[out])
    make.operator("CONCATENATION", parts, [made])
    return make.model(sources, [made])


@pytest.mark.parametrize(
    ("scales", "crushed"), [((640 / 255, 1 / 256), True), ((1 / 255, 1 / 256), False), ((0.05, 0.02), False)]
)
def test_an_output_that_joins_boxes_and_scores(scales: Sequence[float], crushed: bool) -> None:
    found = warned(joined(scales, max(scales)))
    assert [(one.name, one.operations) for one in found] == ([("mixed-scales", (2,))] if crushed else [])


def test_the_concatenation_may_lie_deeper() -> None:
    """Exports of YOLO end in a reshape or a transposition, and join in two steps."""
    make = Maker()
    boxes = make.tensor("boxes", [1, 4, 10], scales=[640 / 255])
    scores = make.tensor("scores", [1, 2, 10], scales=[1 / 256])
    rough, inner, outer, last = (
        make.tensor(name, shape, scales=[640 / 255])
        for name, shape in (("rough", [1, 2, 10]), ("inner", [1, 6, 10]), ("outer", [1, 6, 20]), ("last", [1, 20, 6]))
    )
    make.operator("QUANTIZE", [scores], [rough])
    make.operator("CONCATENATION", [boxes, rough], [inner])
    make.operator("CONCATENATION", [inner, inner], [outer])
    make.operator("TRANSPOSE", [outer, make.integers("order", 0, 2, 1)], [last])
    assert [(one.name, one.operations) for one in warned(make.model([boxes, scores], [last]))] == [
        ("mixed-scales", (1, 2))
    ]


def enlarged(side: int, channels: int) -> Model:
    make = Maker()
    source = make.tensor("x", [1, side // 2, side // 2, channels])
    made = make.tensor("y", [1, side, side, channels])
    make.operator("RESIZE_BILINEAR", [source, make.integers("size", side, side)], [made], 3)
    return make.model([source], [made])


@pytest.mark.parametrize(("side", "channels", "large"), [(128, 32, False), (512, 3, True), (256, 64, True)])
def test_activations_that_are_too_large_for_the_chip(side: int, channels: int, large: bool) -> None:
    found = [(one.name, one.operations) for one in warned(enlarged(side, channels))]
    assert found == ([("large-activations", (0,))] if large else [])


@pytest.mark.parametrize(("width", "wide"), [(1281, False), (2100, True)])
def test_pictures_that_are_too_wide(width: int, wide: bool) -> None:
    make = Maker()
    source = make.tensor("x", [1, 8, width, 3])
    made = make.tensor("y", [1, 8, width, 4])
    parts = [source, make.weights("w", [4, 1, 1, 3]), make.weights("b", [4], "INT32")]
    make.operator("CONV_2D", parts, [made], 3, ("Conv2DOptions", {"strideW": 1, "strideH": 1}))
    found = [(one.name, one.operations) for one in warned(make.model([source], [made]))]
    assert found == ([("picture-width", (0,))] if wide else [])


def test_every_warning_is_documented() -> None:
    page = (ROOT / "docs" / "inspect.md").read_text().partition("## Warnings")[2].partition("\n## ")[0]
    source = ROOT / "src" / "coralforge"
    code = "".join((source / name).read_text() for name in ("edgetpu/warnings.py", "inspect/statement.py"))
    assert set(re.findall(r"^\| `([a-z-]+)`", page, re.M)) == set(re.findall(r'\bWarning\("([a-z-]+)"', code))
