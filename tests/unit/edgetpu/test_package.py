"""What Google's compiler puts into an `edgetpu-custom-op`: that it is read, and that damage gives one error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coralforge.edgetpu.package import BadPackage, Package, read_package
from coralforge.edgetpu.payload import CUSTOM_CODE, Payload, write_payload
from coralforge.tflite.model import read_model
from tests.support.package_maker import Program, custom_options, package, table

CACHING = Program(kind=1, parameters=1000, token=(1 << 64) - 1).packed()
RUNNING = Program(kind=2, parameters=24, inputs=["image"], outputs=["scores", "boxes"], token=(1 << 64) - 1).packed()
GOOD = custom_options(package([RUNNING, CACHING]))


def refusal(raw: bytes) -> str:
    with pytest.raises(BadPackage) as raised:
        read_package(raw)
    return str(raised.value)


def test_what_a_package_says() -> None:
    found = read_package(GOOD)
    assert (found.min_runtime_version, found.compiler_version) == (13, "16.0.384591198")
    assert found.model_identifier == "made by a test"
    running, caching = found.executables
    assert (running.kind, caching.kind) == ("EXECUTION_ONLY", "PARAMETER_CACHING")
    assert [layer.name for layer in running.inputs + running.outputs] == ["image", "scores", "boxes"]
    assert (running.chip, running.batch_size, running.instruction_bytes) == ("beagle", 1, 16)
    assert running.parameter_caching_token == caching.parameter_caching_token == (1 << 64) - 1


def test_parameters_are_cached_on_the_chip_or_streamed() -> None:
    found = read_package(GOOD)
    assert (found.cached_bytes, found.streamed_bytes) == (1000, 24)
    alone = read_package(custom_options(package([Program(parameters=7).packed()])))
    assert (alone.executables[0].kind, alone.cached_bytes, alone.streamed_bytes) == ("STAND_ALONE", 0, 7)


@pytest.mark.parametrize(
    ("name", "runtime", "cached", "streamed", "outputs"),
    [
        ("mobilenet_v1_0.25_128_quant", 12, 566_912, 0, 1),
        ("keras_lstm_mnist_ptq", 12, 43_968, 576, 3),  # one output, and the state that is handed back
        ("deeplabv3_mnv2_dm05_pascal_quant", 12, 766_720, 0, 2),
        ("dense_256", 14, 67_584, 0, 1),
        ("bright_128x128", 14, 192, 524_288, 1),
        ("looming_128x128_3x3", 14, 1_024, 0, 1),
    ],
)
def test_what_the_real_compiler_made(
    testdata: Path, name: str, runtime: int, cached: int, streamed: int, outputs: int
) -> None:
    graph = read_model(testdata / f"{name}_edgetpu.tflite").graph
    operation = next(one for one in graph.operations if one.custom_code == CUSTOM_CODE)
    found: Package = read_package(operation.payload)
    assert (found.min_runtime_version, found.cached_bytes, found.streamed_bytes) == (runtime, cached, streamed)
    running = found.executables[0]
    assert [graph.tensors[index].name for index in operation.inputs] == [layer.name for layer in running.inputs]
    assert len(running.outputs) == outputs


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not a flexbuffer map"),
        (write_payload(Payload(b"TFL3" * 3)), "identifier DWN1"),
        (custom_options(b""), "identifier DWN1"),
        (custom_options(package([])), "has 0 executables"),
        (custom_options(package([Program().packed()] * 4)), "has 4 executables"),
        (custom_options(package([Program().packed()] * 2)), "two executables of one kind"),
        (custom_options(package([Program(kind=7).packed()])), "unknown kind 7"),
        (custom_options(package([RUNNING[:40]])), "offset points outside|reaches beyond"),
        (custom_options(table({0: 13}, b"DWN1")), "does not have|offset points outside"),
    ],
)
def test_what_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(BadPackage, match=message):
        read_package(raw)


def test_many_offsets_to_one_long_name_do_not_multiply() -> None:
    layers = [{0: "n" * 100_000}] * 50_000
    assert "shared so often" in refusal(custom_options(package([table({8: layers})])))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    assert refusal(raw)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 4), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_a_damaged_package_gives_one_error_or_is_read(changes: list[tuple[int, bytes]]) -> None:
    raw = bytearray(GOOD)
    for place, new in changes:
        raw[place : place + len(new)] = new
    try:
        found = read_package(bytes(raw))
    except BadPackage as error:
        assert str(error)
    else:
        assert found.executables
