"""Which operations go to the Edge TPU: the rules one by one, the three sides, and what the real compiler did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.edgetpu.evidence import Bound, Certainty
from coralforge.edgetpu.operators import LIMITS, RULES, Status, newest_versions
from coralforge.edgetpu.partition import Decision, Partition, Side, partition, suppose, too_new
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.tflite.graph import Graph, Operation
from coralforge.tflite.model import parse_model, read_model
from tests.support.model_maker import Maker, X, classifier, float_ends, mixed

DEEPLAB = "deeplabv3_mnv2_dm05_pascal_quant"


def decision(
    name: str,
    shape: Sequence[int],
    result: Sequence[int],
    parameters: Callable[[Maker], Sequence[int]] = lambda make: (),
    options: tuple[str, Mapping[str, Any]] | None = None,
    version: int = 1,
    kind: str = "INT8",
) -> Decision:
    """What becomes of one operator alone in a model."""
    make = Maker()
    source, made = make.tensor("x", shape, kind), make.tensor("y", result, kind)
    make.operator(name, [source, *parameters(make)], [made], version, options)
    return partition(make.model([source], [made]).graph).decisions[0]


def ints(*values: int) -> Callable[[Maker], Sequence[int]]:
    return lambda make: [make.integers("parameter", *values)]


def other(*shape: int, scales: Sequence[float] = (0.1,), zero: bool = False) -> Callable[[Maker], Sequence[int]]:
    size = 1
    for side in shape:
        size *= side
    return lambda make: [make.tensor("other", shape, data=bytes(size) if zero else b"\1" * size, scales=scales)]


def thin(high: int, wide: int, depthwise: bool = False) -> Callable[[Maker], Sequence[int]]:
    """The filter of a convolution that is ``high`` times ``wide``, and its bias."""
    shape = [1, high, wide, 3] if depthwise else [4, high, wide, 3]
    return lambda make: [make.weights("w", shape), make.weights("b", [shape[3 if depthwise else 0]], "INT32")]


def kernel(make: Maker) -> Sequence[int]:
    return [make.weights("w", [4, 3, 3, 3]), make.weights("b", [4], "INT32")]


PICTURE, CHANNELS = [1, 8, 8, 3], [1, 8, 8, 4]
MAPPED: list[tuple[Any, ...]] = [
    ("RELU", PICTURE, PICTURE),
    ("ADD", PICTURE, PICTURE, other(3)),
    ("CONV_2D", PICTURE, CHANNELS, kernel, ("Conv2DOptions", {"dilationWFactor": 2, "dilationHFactor": 2})),
    ("CONCATENATION", PICTURE, [1, 8, 8, 6], other(1, 8, 8, 3, zero=True)),
    ("FULLY_CONNECTED", [1, 8], [1, 4], other(4, 8)),
    ("MEAN", PICTURE, [1, 3], ints(1, 2)),
    ("PACK", [8, 8, 3], [1, 8, 8, 3], lambda make: (), ("PackOptions", {"axis": 0, "valuesCount": 1})),
    ("MEAN", CHANNELS, [1, 8, 8], ints(-1)),
    ("PAD", PICTURE, [1, 10, 10, 3], ints(0, 0, 1, 1, 1, 1, 0, 0)),
    ("PRELU", PICTURE, PICTURE, other(1, 1, 3)),
    ("RESIZE_BILINEAR", [1, 4, 4, 3], PICTURE, ints(8, 8)),
    ("SOFTMAX", [1, 16_384], [1, 16_384]),
    ("SOFTMAX", [1, 4420, 2], [1, 4420, 2]),
    ("TRANSPOSE", [1, 24, 24, 144], [1, 144, 24, 24], ints(0, 3, 1, 2)),
    ("RESIZE_BILINEAR", [1, 64, 64, 32], [1, 128, 128, 32], ints(128, 128)),
    ("FULLY_CONNECTED", [49, 8], [49, 4], other(4, 8)),
    ("CONV_2D", PICTURE, CHANNELS, thin(3, 1), ("Conv2DOptions", {"dilationWFactor": 1, "dilationHFactor": 2})),
    ("CONV_2D", PICTURE, CHANNELS, thin(1, 3), ("Conv2DOptions", {"dilationWFactor": 4, "dilationHFactor": 1})),
    (
        "DEPTHWISE_CONV_2D",
        PICTURE,
        PICTURE,
        thin(1, 3, depthwise=True),
        ("DepthwiseConv2DOptions", {"dilationWFactor": 2, "dilationHFactor": 1}),
    ),
    ("SQUEEZE", [1, 1, 5], [5]),
    ("TILE", [1, 1, 1, 3], PICTURE, ints(1, 8, 8, 1)),
    ("TANH", [1, 1, 1, 8, 8, 3], [1, 1, 1, 8, 8, 3]),
]
UNSPECIFIED: list[tuple[Any, ...]] = [
    ("dilation", "CONV_2D", PICTURE, CHANNELS, kernel, ("Conv2DOptions", {"dilationWFactor": 2})),
    (
        "fused",
        "AVERAGE_POOL_2D",
        PICTURE,
        PICTURE,
        lambda make: (),
        ("Pool2DOptions", {"fusedActivationFunction": 1}),
    ),
    ("all zero", "CONCATENATION", PICTURE, [1, 8, 8, 6], other(1, 8, 8, 3)),
    ("special format", "FULLY_CONNECTED", [8], [4], other(4, 8), ("FullyConnectedOptions", {"weightsFormat": 1})),
    ("batch", "MEAN", PICTURE, [8, 8, 3], ints(0)),
    ("multiple of 4", "MEAN", PICTURE, [1, 8, 8], ints(3)),
    ("alpha", "PRELU", PICTURE, PICTURE, other(8, 8, 3)),
    ("33 times", "RESIZE_BILINEAR", [1, 1, 1, 4], [1, 33, 33, 4], ints(33, 33)),
    ("512 pixels a side", "RESIZE_NEAREST_NEIGHBOR", [1, 256, 256, 3], [1, 512, 512, 3], ints(512, 512)),
    ("16,385 elements", "SOFTMAX", [1, 16_385], [1, 16_385]),
    ("mapped at 82,944, not at 107,200", "TRANSPOSE", [1, 40, 40, 144], [1, 144, 40, 40], ints(0, 3, 1, 2)),
    ("not leading", "SQUEEZE", [5, 1, 10], [5, 10]),
    (
        "strides",
        "STRIDED_SLICE",
        [8, 8],
        [4, 8],
        lambda make: [make.integers("from", 0, 0), make.integers("to", 8, 8), make.integers("by", 2, 1)],
    ),
    ("lacks", "CONV_2D", PICTURE, CHANNELS),
]


@pytest.mark.parametrize("case", MAPPED, ids=lambda case: case[0])
def test_what_the_edge_tpu_takes(case: tuple[Any, ...]) -> None:
    found = decision(*case)
    assert (found.status, found.side, found.why) == (Status.MAPPED, Side.TPU, "")
    assert found.certainty is not Certainty.UNKNOWN


@pytest.mark.parametrize("case", UNSPECIFIED, ids=lambda case: f"{case[1]} {case[0]}")
def test_limits_that_the_compiler_calls_unspecified(case: tuple[Any, ...]) -> None:
    found = decision(*case[1:])
    assert (found.status, found.side) == (Status.UNSPECIFIED, Side.PRE)
    assert case[0] in found.why


def resized(side: int) -> Maker:
    """A picture that is enlarged to ``side``, between two operations that are mapped."""
    make = Maker()
    source, small = (make.tensor(name, [1, side // 2, side // 2, 3]) for name in ("x", "y"))
    large, last = (make.tensor(name, [1, side, side, 3]) for name in ("large", "last"))
    make.operator("RELU", [source], [small])
    make.operator("RESIZE_BILINEAR", [small, make.integers("size", side, side)], [large], 3)
    make.operator("RELU", [large], [last])
    make.graph.inputs, make.graph.outputs = [source], [last]
    return make


def test_between_tried_values_the_fraction_is_a_range() -> None:
    """128 pixels are mapped, 512 are not; whether 256 are nobody has shown."""
    make = resized(256)
    found = partition(make.model(make.graph.inputs, make.graph.outputs).graph)
    assert (found.least, found.mapped, found.most) == (1, 3, 3)
    assert [one.certainty is Certainty.UNKNOWN for one in found.decisions] == [False, True, True]
    assert "mapped at 128, not at 512" in found.decisions[1].why


@pytest.mark.parametrize(("side", "mapped"), [(128, 3), (512, 1)])
def test_at_tried_values_there_is_no_doubt(side: int, mapped: int) -> None:
    make = resized(side)
    found = partition(make.model(make.graph.inputs, make.graph.outputs).graph)
    assert (found.least, found.mapped, found.most) == (mapped, mapped, mapped)
    assert Certainty.UNKNOWN not in {one.certainty for one in found.decisions}


def test_of_two_limits_the_one_that_is_surely_broken_counts() -> None:
    """10.8 times enlarged nobody tried, but 520 pixels a side are surely too many."""
    found = decision("RESIZE_BILINEAR", [1, 48, 48, 3], [1, 520, 520, 3], ints(520, 520))
    assert (found.side, found.rule, found.certainty) == (Side.PRE, "resize-side", Certainty.SURE)


def test_what_only_the_documentation_says_is_likely() -> None:
    found = decision(*UNSPECIFIED[1][1:])
    assert (found.rule, found.certainty) == ("unfused", Certainty.LIKELY)


def test_every_bound_says_what_was_tried_and_by_whom() -> None:
    for bound in (limit for limit in LIMITS.values() if isinstance(limit, Bound)):
        assert bound.left is None or bound.mapped < bound.left
        assert (bound.left is None) == (bound.left_by is None)
        assert bound.mapped_by.kind in ("pair", "report")


def test_the_first_dimension_is_not_split() -> None:
    make = Maker()
    source, made = make.tensor("x", [4, 8, 3]), [make.tensor(name, [2, 8, 3]) for name in "ab"]
    make.operator("SPLIT", [make.integers("axis", 0), source], made, 2, ("SplitOptions", {"numSplits": 2}))
    found = partition(make.model([source], made).graph).decisions[0]
    assert (found.status, found.rule) == (Status.UNSPECIFIED, "not-first")


def test_a_version_that_the_compiler_reads_and_leaves_does_not_reject_the_model() -> None:
    found = decision("ADD", PICTURE, PICTURE, other(3), version=4)
    assert (found.status, found.rule) == (Status.VERSION, "readable-version")
    make = Maker()
    source, made = make.tensor("x", PICTURE), make.tensor("y", PICTURE)
    make.operator("ADD", [source, source], [made], 4)
    assert too_new(make.model([source], [made]).graph) == []


@pytest.mark.parametrize(
    ("name", "certainty"), [("LEAKY_RELU", Certainty.SURE), ("CUSTOM", Certainty.SURE), ("ABS", Certainty.LIKELY)]
)
def test_an_operator_that_is_not_documented_is_likely_not_mapped(name: str, certainty: Certainty) -> None:
    """TILE and BATCH_MATMUL are not documented either, and are mapped."""
    found = decision(name, PICTURE, PICTURE)
    assert (found.status, found.certainty) == (Status.UNSUPPORTED, certainty)


def test_matrices_may_both_be_computed() -> None:
    make = Maker()
    left, right, made = make.tensor("x", [2, 8, 4]), make.tensor("y", [2, 4, 8]), make.tensor("z", [2, 8, 8])
    make.operator("BATCH_MATMUL", [left, right], [made], 2)
    assert partition(make.model([left, right], [made]).graph).decisions[0].status is Status.MAPPED


def test_dense_weights_may_be_computed() -> None:
    found = _with_two_inputs("FULLY_CONNECTED", [1, 8], [1, 4], lambda make: [make.tensor("w", [4, 8])])
    assert found.status is Status.MAPPED


def test_float_ends_stay_on_the_cpu_and_the_middle_is_mapped() -> None:
    found = partition(float_ends().graph).decisions
    assert [one.side for one in found] == [Side.PRE, Side.TPU, Side.POST]
    # Words of logs of versions 15 and 16.
    assert [one.status for one in found] == [Status.UNSPECIFIED, Status.MAPPED, Status.DATA_TYPE]


def test_splitting_the_batch_is_not_mapped() -> None:
    make = Maker()
    source, made = make.tensor("x", [2, 8, 8, 3]), make.tensor("y", [1, 8, 8, 3])
    make.operator("SPLIT", [make.integers("axis", 0), source], [made], 2, ("SplitOptions", {"numSplits": 2}))
    assert partition(make.model([source], [made]).graph).decisions[0].status is Status.RANK


@pytest.mark.parametrize(
    ("case", "status"),
    [
        (("LEAKY_RELU", PICTURE, PICTURE), Status.UNSUPPORTED),
        (("CONV_2D", PICTURE, CHANNELS, kernel, None, 6), Status.VERSION),
        (("RELU", PICTURE, PICTURE, lambda make: (), None, 1, "INT16"), Status.DATA_TYPE),
        (("RELU", [1, 2, 8, 8, 3], [1, 2, 8, 8, 3]), Status.RANK),
        (("CONV_2D", PICTURE, CHANNELS, lambda make: [make.tensor("w", [4, 3, 3, 3])]), Status.NOT_CONSTANT),
    ],
)
def test_the_other_statuses(case: tuple[Any, ...], status: Status) -> None:
    make_inputs_of_everything = decision if status is not Status.NOT_CONSTANT else _with_two_inputs
    assert make_inputs_of_everything(*case).status is status


def _with_two_inputs(name: str, shape: Sequence[int], result: Sequence[int], parameters: Any) -> Decision:
    make = Maker()
    source, made = make.tensor("x", shape), make.tensor("y", result)
    more = parameters(make)
    make.operator(name, [source, *more], [made])
    return partition(make.model([source, *more], [made]).graph).decisions[0]


def test_a_tensor_without_a_scale_is_no_quantized_one() -> None:
    make = Maker()
    source, made = make.tensor("x", [4], scales=()), make.tensor("y", [4])
    make.operator("RELU", [source], [made])
    found = partition(make.model([source], [made]).graph).decisions[0]
    assert (found.status, found.why) == (Status.DATA_TYPE, "x is INT8 without a scale")


def test_what_follows_an_operation_on_the_cpu_stays_there() -> None:
    found = partition(parse_model(X, mixed()).graph).decisions
    assert [(d.operation.name, d.side.value) for d in found] == [
        ("LEAKY_RELU", "pre"),
        ("CONV_2D", "tpu"),
        ("ADD", "tpu"),
        ("LEAKY_RELU", "post"),
        ("CONV_2D", "post"),
        ("CONV_2D", "tpu"),
    ]
    assert found[4].status is Status.SECOND_SUBGRAPH


def test_the_mapped_fraction() -> None:
    assert partition(parse_model(X, mixed()).graph).fraction == 0.5
    assert partition(parse_model(X, classifier()).graph).fraction == 1.0
    assert Partition.known(()).fraction == 0.0


def test_what_if_an_operation_could_be_mapped() -> None:
    graph = parse_model(X, mixed()).graph
    known = partition(graph)
    assert [one.side.value for one in suppose(graph, known, {3}).decisions] == ["pre", *["tpu"] * 5]
    assert suppose(graph, known, set()) == known


def test_an_operation_that_is_compiled_already_is_on_the_tpu() -> None:
    make = Maker()
    source, made, last = (make.tensor(name, [1, 4]) for name in ("x", "y", "z"))
    make.operator("CUSTOM", [source], [made], custom=CUSTOM_CODE.encode())
    make.operator("LEAKY_RELU", [made], [last])
    assert [one.side.value for one in partition(make.model([source], [last]).graph).decisions] == ["tpu", "post"]


def test_versions_that_make_the_compiler_reject_the_whole_model() -> None:
    make = Maker()
    source = make.tensor("x", [1, 4, 4, 3])
    first = make.conv(source, "first", 4, 3, version=5)
    second = make.conv(first, "second", 4, 3, version=6)
    graph = make.model([source], [second]).graph
    assert [(op.index, op.name, op.version) for op in too_new(graph)] == [(1, "CONV_2D", 6)]


def test_the_compiler_can_read_every_operation_that_has_a_rule() -> None:
    assert [name for name in RULES if newest_versions().get(name, 0) < 1] == []


def differences(testdata: Path, name: str) -> list[str]:
    """Operations about which we and the real compiler disagree: number, operator and where the real one has it."""
    plain = read_model(testdata / f"{name}.tflite").graph
    compiled = read_model(testdata / f"{name}_edgetpu.tflite").graph
    on_cpu = Counter(_key(compiled, op) for op in compiled.operations if op.custom_code != CUSTOM_CODE)
    assert sum(on_cpu.values()) == len(compiled.operations) - 1
    found = []
    for one in partition(plain).decisions:
        key = _key(plain, one.operation)
        really_on_cpu = on_cpu[key] > 0
        on_cpu[key] -= really_on_cpu
        if really_on_cpu is (one.side is Side.TPU):
            found.append(f"{one.operation.index} {one.operation.name} {'CPU' if really_on_cpu else 'TPU'}")
    assert not any(on_cpu.values())
    return found


def _key(graph: Graph, operation: Operation) -> tuple[str, tuple[str, ...]]:
    return operation.name, tuple(graph.tensors[index].name for index in operation.outputs)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v1_0.25_128_quant",
        "keras_lstm_mnist_ptq",
        DEEPLAB,
        "looming_128x128_3x3",
        "dense_256",
        "bright_128x128",
    ],
)
def test_it_agrees_with_the_real_compiler(testdata: Path, name: str) -> None:
    assert differences(testdata, name) == []


def test_by_the_documentation_alone_deeplab_would_differ(testdata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the measured limit of RESIZE_BILINEAR, which was derived from this pair, contributes."""
    unlimited = replace(RULES["RESIZE_BILINEAR"], limits=())
    monkeypatch.setattr("coralforge.edgetpu.verdict.RULES", {**RULES, "RESIZE_BILINEAR": unlimited})
    assert differences(testdata, DEEPLAB) == [
        "64 RESIZE_BILINEAR CPU",
        "65 QUANTIZE CPU",
        "66 CONCATENATION CPU",
        "67 CONV_2D CPU",
        "68 CONV_2D CPU",
        "69 RESIZE_BILINEAR CPU",
        "70 RESIZE_BILINEAR CPU",
    ]
