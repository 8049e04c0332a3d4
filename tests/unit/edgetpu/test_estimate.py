"""Estimates before a compile, against packages of Google's compiler and coral.ai's table."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from coralforge.edgetpu.estimate import CACHE, DENSE, DEPTHWISE, HOST, USB2, USB3, Estimate, estimate
from coralforge.edgetpu.expected import expected_ms
from coralforge.edgetpu.package import read_package
from coralforge.edgetpu.partition import partition
from coralforge.tflite.model import Model, parse_model, read_model
from tests.conftest import ROOT
from tests.support.model_maker import Maker, X, mixed


def estimated(model: Model) -> Estimate:
    found = estimate(model.graph, partition(model.graph))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "off"),
    [("mobilenet_v1_0.25_128_quant", 0.06), ("dense_256", 0.01), ("deeplabv3_mnv2_dm05_pascal_quant", 0.03)],
)
def test_parameters_are_about_as_large_as_google_makes_them(testdata: Path, name: str, off: float) -> None:
    compiled = read_model(testdata / f"{name}_edgetpu.tflite")
    [package] = [read_package(one.payload) for one in compiled.graph.operations if one.payload]
    real = package.cached_bytes + package.streamed_bytes
    assert estimated(read_model(testdata / f"{name}.tflite")).parameters == pytest.approx(real, rel=off)


def test_times_are_near_those_that_coral_publishes(testdata: Path) -> None:
    found = estimated(read_model(testdata / "mobilenet_v2_1.0_224_quant.tflite"))
    assert found.usb3 == pytest.approx(2.6e-3, rel=0.1)
    assert found.usb2 > 3 * found.usb3
    assert found.streamed == 0


def test_what_does_not_fit_is_streamed_and_takes_time() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 5000]), make.tensor("y", [1, 2000])
    make.operator("FULLY_CONNECTED", [source, make.weights("w", [2000, 5000])], [made], 4)
    found = estimated(make.model([source], [made]))
    assert found.parameters == 2000 * 5000 + 8 * 2000
    assert found.streamed == found.parameters - CACHE
    assert found.usb3 == pytest.approx(HOST + (found.transfers + found.streamed) / USB3)


def test_the_most_that_is_alive_at_once() -> None:
    make = Maker()
    sizes = [100, 400, 300, 10]
    tensors = [make.tensor(f"t{size}", [1, size]) for size in sizes]
    for before, after in itertools.pairwise(tensors):
        make.operator("RELU", [before], [after])
    assert estimated(make.model(tensors[:1], tensors[-1:])).activations == 700


def test_only_the_part_on_the_edge_tpu_counts() -> None:
    model = parse_model(X, mixed())
    found = estimated(model)
    inside = [operation for operation in model.graph.operations if operation.index in (1, 2, 5)]
    assert found.multiplications == sum(
        model.graph.tensors[one.outputs[0]].shape[3] * 16 * 3 for one in inside if one.name == "CONV_2D"
    )


def test_nothing_is_said_where_nothing_is_mapped() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 4]), make.tensor("y", [1, 4])
    make.operator("ABS", [source], [made])
    graph = make.model([source], [made]).graph
    assert estimate(graph, partition(graph)) is None


def test_times_are_those_of_the_emulated_device() -> None:
    """One fact in two languages."""
    text = (ROOT / "device/src/core/stats.cc").read_text()
    found = {name: float(value) for name, value in re.findall(r"\bk(\w+) = ([\d.]+)", text)}
    assert (found["SuperSpeed"] * 1e6, found["HighSpeed"] * 1e6) == (USB3, USB2)
    assert found["Host"] / 1e3 == pytest.approx(HOST)
    assert (found["Dense"] * 1e9, found["Depthwise"] * 1e9) == pytest.approx((1 / DENSE, 1 / DEPTHWISE))


def test_what_is_expected_of_a_compiled_model_counts_also_what_was_not_thought_to_be_mapped() -> None:
    make = Maker()
    source, middle, last = make.tensor("x", [49, 5000]), make.tensor("y", [49, 5000]), make.tensor("z", [49, 2000])
    before = make.tensor("before", [49, 5000])
    make.operator("RELU", [source], [before])
    make.operator("ABS", [before], [middle])
    make.operator("FULLY_CONNECTED", [middle, make.weights("w", [2000, 5000])], [last], 4)
    graph = make.model([source], [last]).graph
    assert partition(graph).mapped == 1
    assert expected_ms(graph, [])["usb3"] == pytest.approx((HOST + 49 * 2000 * 5000 * DENSE) * 1e3, abs=0.01)
