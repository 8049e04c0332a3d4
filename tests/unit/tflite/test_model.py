"""Reading .tflite files: what a good one holds, and that a bad one gives one error, soon, that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coralforge.compile.simulator import compile_for_simulator
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.tflite import schema
from coralforge.tflite.graph import main_graph
from coralforge.tflite.model import MAX_BYTES, parse_model, read_model, write_file
from tests.support.model_maker import Maker, X, classifier, mixed
from tests.support.patience import effort

GOOD = classifier()
REAL = (
    "keras_lstm_mnist_ptq.tflite",
    "mobilenet_v1_0.25_128_quant_edgetpu.tflite",
    "keras_lstm_mnist_ptq_edgetpu.tflite",
)


def reason(data: bytes) -> str:
    """Why the bytes are refused; the message must name the file, and nothing but our error may come."""
    with pytest.raises(CoralforgeError, match=str(X)) as raised:
        parse_model(X, data)
    assert raised.value.code is ExitCode.USER
    return raised.value.reason


def accepted(data: bytes) -> bool:
    """Whether the bytes can be read and compiled; any failure must be an error for users."""
    try:
        compile_for_simulator(parse_model(X, data))
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        assert error.reason.startswith("model-")
        return False
    return True


def changed(change: Callable[[Any], object]) -> bytes:
    """The good model after ``change`` was made to its ModelT."""
    native = schema.unpack(GOOD)
    change(native)
    return schema.pack(native)


def test_a_model_is_read() -> None:
    graph = parse_model(X, GOOD).graph
    assert [(op.name, op.version) for op in graph.operations] == [
        ("CONV_2D", 3),
        ("AVERAGE_POOL_2D", 2),
        ("RESHAPE", 1),
        ("FULLY_CONNECTED", 4),
        ("SOFTMAX", 2),
    ]
    image, scores = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (image.name, image.kind, image.shape, image.constant) == ("image", "INT8", (1, 8, 8, 3), False)
    assert (scores.scales, scores.zero_points) == ((1 / 256,), (-128,))
    assert graph.operations[1].options["filterWidth"] == 8
    assert graph.tensors[graph.operations[2].inputs[1]].integers() == (1, 4)


def test_writing_what_was_read_changes_nothing() -> None:
    assert schema.pack(schema.unpack(GOOD)) == GOOD


def test_constants_are_aligned_as_the_schema_demands() -> None:
    data = schema.pack(schema.unpack(GOOD))
    start = schema.numbers(data).ctypes.data
    arrays = [buffer.data for buffer in schema.unpack(data).buffers if buffer.data is not None]
    assert len(arrays) > 3
    assert {(array.ctypes.data - start) % 16 for array in arrays} == {0}


@pytest.mark.parametrize("data", [b"", b"TFL3", b"PK\x03\x04 not a model", b"\0" * 100, b"\x08\0\0\0TFL3"])
def test_other_files_are_refused(data: bytes) -> None:
    assert reason(data) == "model-invalid"


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert reason(data) == "model-invalid"
    assert reason(b"\x10\0\0\0TFL3" + data) == "model-invalid"


def test_a_model_that_is_cut_off_is_refused() -> None:
    for length in range(0, len(GOOD) - 16, 7):
        assert not accepted(GOOD[:length])


@settings(max_examples=100)
@given(st.data())
def test_a_damaged_model_gives_one_error_or_works(data: st.DataObject) -> None:
    _damage(data, data.draw(st.sampled_from([GOOD, mixed()])))


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_real_model_gives_one_error_or_works(testdata: Path, data: st.DataObject) -> None:
    _damage(data, (testdata / data.draw(st.sampled_from(REAL))).read_bytes(), structure=12_000)


def _damage(data: st.DataObject, good: bytes, structure: int | None = None) -> None:
    # Most of a real model are weights, where a change means nothing; structure lies at both ends.
    ends = st.integers(0, len(good) - 4)
    if structure is not None:
        ends = st.integers(0, structure) | st.integers(max(0, len(good) - structure), len(good) - 4)
    raw = bytearray(good)
    for place in data.draw(st.lists(ends, min_size=1, max_size=6)):
        word = data.draw(st.sampled_from([b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"]))
        raw[place : place + len(word)] = word
    if data.draw(st.booleans()):
        start = data.draw(ends)
        source = data.draw(ends)
        raw[start : start + 4] = raw[source : source + 4]
    accepted(bytes(raw))


def test_many_offsets_to_one_large_table_do_not_multiply() -> None:
    """A file of 1.2 MB that the plain object API would unpack to 50 GB."""
    sch, builder = schema.schema(), flatbuffers.Builder(0)
    name = builder.CreateString("n" * 1_000_000)
    sch.TensorStart(builder)
    sch.TensorAddName(builder, name)
    tensor = sch.TensorEnd(builder)
    sch.SubGraphStartTensorsVector(builder, 50_000)
    for _ in range(50_000):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    sch.SubGraphStart(builder)
    sch.SubGraphAddTensors(builder, tensors)
    graph = sch.SubGraphEnd(builder)
    sch.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    sch.ModelStart(builder)
    sch.ModelAddSubgraphs(builder, graphs)
    builder.Finish(sch.ModelEnd(builder), file_identifier=b"TFL3")
    data = bytes(builder.Output())
    assert effort(lambda: reason(data)) < 100
    assert reason(data) == "model-invalid"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(m, "subgraphs", []), "no subgraph"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "buffer", 99), "names buffer 99"),
        (lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [9, 1, 1, 3]), "takes 27 bytes"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [65536, 65536]), "larger than 2 GiB"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [2**31 - 1] * 100_000), "100000 dimensions"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 44), "operator code 44"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [77]), "tensor 77 does not exist"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "builtinOptionsType", 250), "unknown type 250"),
        (lambda m: setattr(m.subgraphs[0].operators[1], "outputs", [0]), "there already"),
        (lambda m: m.subgraphs[0].operators.reverse(), "nothing before it makes"),
        (lambda m: setattr(m.subgraphs[0], "outputs", [3, 99]), "tensor 99 does not exist"),
        (lambda m: setattr(m.metadata[0], "buffer", 99), "names buffer 99"),
        (lambda m: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 99), "tensor 99 does not exist"),
        (lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 3), "names subgraph 3"),
        (lambda m: setattr(m.buffers[1], "offset", 4096), "outside of the flatbuffer"),
    ],
)
def test_what_contradicts_itself_is_refused(change: Callable[[Any], object], message: str) -> None:
    with pytest.raises(CoralforgeError, match=message) as raised:
        parse_model(X, changed(change))
    assert raised.value.reason == "model-invalid"


def test_an_empty_tensor_may_come_from_nowhere_but_not_from_later() -> None:
    make = Maker()
    source, nothing, made = make.tensor("x", [1, 4]), make.tensor("nothing", [0]), make.tensor("y", [1, 4])
    make.operator("ADD", [source, nothing], [made])
    assert make.model([source], [made]).graph.operations[0].inputs == (source, nothing)
    make.operator("RELU", [source], [nothing])
    with pytest.raises(CoralforgeError, match="was read before"):
        make.model([source], [made])


def test_names_cannot_act_on_a_terminal() -> None:
    make = Maker()
    source = make.tensor("\x1b[2J\nok", [1])
    make.graph.tensors[source].name = b"\xff\x1b[2J\nok"
    make.graph.inputs = make.graph.outputs = [source]
    graph = main_graph(make.native)
    assert graph.tensors[0].name == "\ufffd\ufffd[2J\ufffdok"


def test_long_names_are_cut() -> None:
    make = Maker()
    source = make.tensor("n" * 5000, [1])
    assert make.model([source], [source]).graph.tensors[0].name == "n" * 999 + "\u2026"


def test_large_constants_are_no_axes() -> None:
    make = Maker()
    many = make.integers("many", *range(2000))
    tensor = make.model([], [many]).graph.tensors[0]
    assert (tensor.integers(), tensor.uniform) == (None, None)


def test_a_size_that_is_unknown_is_minus_one() -> None:
    make = Maker()
    source = make.tensor("x", [-1, 4])
    tensor = make.model([source], [source]).graph.tensors[0]
    assert (tensor.shape, tensor.static) == ((-1, 4), False)


def test_sizes_are_those_of_the_shape_whatever_the_signature_says() -> None:
    make = Maker()
    source = make.tensor("x", [1, 4], signature=[-1, 4])
    tensor = make.model([source], [source]).graph.tensors[0]
    assert (tensor.shape, tensor.static) == ((1, 4), True)


@pytest.mark.parametrize(
    ("shape", "scales", "points", "dimension", "said"),
    [
        ([8], 8, 8, 3, "along dimension 3, of which it has 1"),
        ([8], 1, 1, -1, "along dimension -1"),
        ([8, 4], 8, 8, 1, "8 scales for the 4 channels"),
        ([8], 8, 1, 0, "8 scales, but 1 zero points"),
    ],
)
def test_scales_that_tensorflow_lite_refuses(
    shape: list[int], scales: int, points: int, dimension: int, said: str
) -> None:
    make = Maker()
    source = make.tensor("x", shape, scales=[0.1] * scales)
    quantization = make.graph.tensors[source].quantization
    quantization.zeroPoint, quantization.quantizedDimension = [0] * points, dimension
    with pytest.raises(CoralforgeError, match=said) as raised:
        make.model([source], [source])
    assert raised.value.reason == "model-invalid"


def test_a_public_model_that_tensorflow_lite_refuses(testdata: Path) -> None:
    with pytest.raises(CoralforgeError, match="dimension 3, of which it has 1") as raised:
        read_model(testdata / "person_detect_model.tflite")
    assert raised.value.reason == "model-invalid"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    large = tmp_path / "large.tflite"
    with large.open("wb") as stream:
        stream.write(b"\0\0\0\0TFL3")
        stream.truncate(MAX_BYTES + 1)
    wanted = {"absent.tflite": "model-missing", ".": "model-unreadable", "large.tflite": "model-too-large"}
    for name, why in wanted.items():
        with pytest.raises(CoralforgeError, match=str(tmp_path)) as raised:
            read_model(tmp_path / name)
        assert (raised.value.reason, raised.value.code) == (why, ExitCode.USER)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for place in (tmp_path / "absent" / "y.tflite", tmp_path / "taken"):
        with pytest.raises(CoralforgeError) as raised:
            write_file(place, b"data")
        assert raised.value.reason == "model-write"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
