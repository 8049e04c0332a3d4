"""Compiling for the simulator: the same results, the same inputs and outputs, and nothing pretends to be hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coralforge.commands.models import CompileRequest, compile_model
from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import CUSTOM_CODE, read_payload
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.tflite import schema
from coralforge.tflite.model import Model, parse_model, read_model
from tests.support.model_maker import Maker, X, classifier, mixed, random_inputs, run, run_compiled

PLAIN = {"classifier": classifier(), "mixed": mixed()}
REAL = (
    "mobilenet_v1_0.25_128_quant",
    "keras_lstm_mnist_ptq",
    "deeplabv3_mnv2_dm05_pascal_quant",
    "bright_128x128",
    "looming_128x128_3x3",
)


def compiled(data: bytes) -> Model:
    return parse_model(X, compile_for_simulator(parse_model(X, data)).data)


def error_of(model: Model) -> CoralforgeError:
    with pytest.raises(CoralforgeError, match=str(model.path)) as raised:
        compile_for_simulator(model)
    assert raised.value.code is ExitCode.USER
    return raised.value


def same_bytes(some: list[Any], others: list[Any]) -> bool:
    return [array.tobytes() for array in some] == [array.tobytes() for array in others]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("seed", range(3))
def test_the_results_are_those_of_the_plain_model(name: str, seed: int) -> None:
    plain = PLAIN[name]
    inputs = random_inputs(parse_model(X, plain).graph, seed)
    expected = run(plain, inputs)
    assert len({array.tobytes() for array in expected}) == len(expected)  # the models do something
    assert same_bytes(run_compiled(compile_for_simulator(parse_model(X, plain)).data, inputs), expected)


def test_float_ends_are_taken_and_the_results_are_the_same() -> None:
    make = Maker()
    ends = [make.tensor(name, [1, 4, 4, 3], "FLOAT32", scales=()) for name in ("in", "out")]
    first = make.tensor("first", [1, 4, 4, 3])
    make.operator("QUANTIZE", ends[:1], [first])
    make.operator("DEQUANTIZE", [make.conv(first, "conv", 4, 3)], ends[1:], 2)
    plain = make.pack(ends[:1], ends[1:])
    made = compile_for_simulator(parse_model(X, plain)).data
    operations = parse_model(X, made).graph.operations
    assert [one.custom_code or one.name for one in operations] == ["QUANTIZE", CUSTOM_CODE, "DEQUANTIZE"]
    inputs = [np.random.default_rng(1).normal(size=(1, 4, 4, 3)).astype(np.float32)]
    expected = run(plain, inputs)
    assert np.ptp(expected[0]) > 0
    assert same_bytes(run_compiled(made, inputs), expected)


@pytest.mark.parametrize("name", REAL)
def test_the_results_of_real_models_are_those_of_the_plain_model(testdata: Path, name: str) -> None:
    model = read_model(testdata / f"{name}.tflite")
    inputs = random_inputs(model.graph, 1)
    data = compile_for_simulator(model).data
    assert same_bytes(run_compiled(data, inputs), run(model.path.read_bytes(), inputs))


@pytest.mark.parametrize("name", REAL)
def test_the_file_is_hardly_larger_than_the_plain_one(testdata: Path, name: str) -> None:
    model = read_model(testdata / f"{name}.tflite")
    assert len(compile_for_simulator(model).data) < model.size + 2000


def test_what_fits_as_a_whole_becomes_one_operator() -> None:
    made = compiled(PLAIN["classifier"]).graph
    assert [(op.name, op.custom_code) for op in made.operations] == [("CUSTOM", CUSTOM_CODE)]
    assert [tensor.name for tensor in made.tensors] == ["image", "scores"]


def test_the_rest_stays_around_it_in_order() -> None:
    made = compiled(PLAIN["mixed"]).graph
    assert [op.custom_code or op.name for op in made.operations] == [
        "LEAKY_RELU",
        CUSTOM_CODE,
        "LEAKY_RELU",
        "CONV_2D",
    ]
    custom = made.operations[1]
    assert [made.tensors[index].name for index in custom.inputs] == ["leaky", "second"]
    assert [made.tensors[index].name for index in custom.outputs] == ["a", "sum", "side"]


@pytest.mark.parametrize("name", PLAIN)
def test_inputs_and_outputs_are_unchanged(name: str) -> None:
    before, after = parse_model(X, PLAIN[name]).graph, compiled(PLAIN[name]).graph
    for old, new in ((before.inputs, after.inputs), (before.outputs, after.outputs)):
        assert [_without_index(before, index) for index in old] == [_without_index(after, index) for index in new]


def _without_index(graph: Any, index: int) -> tuple[Any, ...]:
    tensor = graph.tensors[index]
    return tensor.name, tensor.kind, tensor.shape, tensor.scales, tensor.zero_points


def test_description_metadata_and_signatures_are_kept() -> None:
    made = compiled(PLAIN["classifier"])
    native, names = made.native, [tensor.name for tensor in made.graph.tensors]
    assert (native.description, native.version) == (b"made by a test", 3)
    assert [(m.name, bytes(native.buffers[m.buffer].data)) for m in native.metadata] == [
        (b"min_runtime_version", b"1.5.0")
    ]
    signature = native.signatureDefs[0]
    assert signature.signatureKey == b"serving_default"
    assert [names[entry.tensorIndex] for entry in (*signature.inputs, *signature.outputs)] == ["image", "scores"]


@pytest.mark.parametrize("name", PLAIN)
def test_the_sub_model_is_ordinary_and_fits_the_operator(name: str) -> None:
    outer = compiled(PLAIN[name]).graph
    custom = next(op for op in outer.operations if op.custom_code)
    inner = parse_model(X, read_payload(custom.payload).model)
    assert (inner.subgraphs, inner.native.metadata, inner.native.signatureDefs) == (1, None, None)
    assert all(not op.custom_code for op in inner.graph.operations)
    pairs = [(custom.inputs, inner.graph.inputs), (custom.outputs, inner.graph.outputs)]
    for outside, inside in pairs:
        assert [_without_index(outer, i) for i in outside] == [_without_index(inner.graph, i) for i in inside]
    versions = {(op.name, op.version) for op in parse_model(X, PLAIN[name]).graph.operations}
    assert {(op.name, op.version) for op in inner.graph.operations} <= versions


def test_the_payload_is_aligned_in_the_file() -> None:
    data = compile_for_simulator(parse_model(X, PLAIN["mixed"])).data
    assert data.count(b"CFSIM1\0\0") == 1
    assert data.index(b"CFSIM1\0\0") % 16 == 0


def test_a_runtime_without_libedgetpu_refuses_it() -> None:
    with pytest.raises(RuntimeError, match=f"unresolved custom op: {CUSTOM_CODE}"):
        run(compile_for_simulator(parse_model(X, PLAIN["classifier"])).data, [])


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_model_gives_the_same_bytes(name: str) -> None:
    assert (
        compile_for_simulator(parse_model(X, PLAIN[name])).data
        == compile_for_simulator(parse_model(X, PLAIN[name])).data
    )


def test_state_stays_inside(testdata: Path) -> None:
    made = compile_for_simulator(read_model(testdata / "keras_lstm_mnist_ptq.tflite")).data
    outer = parse_model(X, made).graph
    inner = parse_model(X, read_payload(outer.operations[0].payload).model).graph
    assert [tensor.variable for tensor in outer.tensors] == [False, False]
    assert sum(tensor.variable for tensor in inner.tensors) == 2


def test_a_compiled_model_is_refused(testdata: Path) -> None:
    simulated = compiled(PLAIN["classifier"])
    real = read_model(testdata / "mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    assert [error_of(model).reason for model in (simulated, real)] == ["model-compiled"] * 2


def test_a_float_model_is_refused() -> None:
    make = Maker()
    source, made = make.tensor("x", [4], "FLOAT32", scales=()), make.tensor("y", [4], "FLOAT32", scales=())
    make.operator("RELU", [source], [made])
    error = error_of(make.model([source], [made]))
    assert (error.reason, "Model not quantized" in error.brief) == ("model-not-quantized", True)


def test_a_dynamic_batch_is_refused() -> None:
    make = Maker()
    source, made = make.tensor("x", [-1, 4]), make.tensor("y", [-1, 4])
    make.operator("RELU", [source], [made])
    error = error_of(make.model([source], [made]))
    assert (error.reason, error.details) == ("model-dynamic", "x: [-1, 4]")


def test_a_batch_that_may_be_resized_is_no_dynamic_one() -> None:
    """Converters write it into a second list, beside sizes that are all there."""
    make = Maker()
    source, made = make.tensor("x", [1, 4], signature=[-1, 4]), make.tensor("y", [1, 4], signature=[-1, 4])
    make.operator("RELU", [source], [made])
    assert compile_for_simulator(make.model([source], [made])).partition.fraction == 1.0


def test_control_flow_is_refused() -> None:
    native = schema.unpack(PLAIN["classifier"])
    native.subgraphs = native.subgraphs * 2
    assert error_of(parse_model(X, schema.pack(native))).reason == "model-control-flow"


def test_an_operation_that_is_too_new_is_named() -> None:
    make = Maker()
    source = make.tensor("x", [1, 4, 4, 3])
    error = error_of(make.model([source], [make.conv(source, "y", 4, 3, version=6)]))
    assert (error.reason, error.details) == ("model-op-version", "CONV_2D version 6")


def test_dense_layers_per_channel_are_refused() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 4]), make.tensor("y", [1, 2])
    weights = make.weights("dense/w", [2, 4], scales=[0.1, 0.2])
    make.operator("FULLY_CONNECTED", [source, weights], [made], 4)
    error = error_of(make.model([source], [made]))
    assert (error.reason, error.details) == ("model-per-channel", "dense/w")


def test_a_model_with_nothing_for_the_tpu_is_an_error() -> None:
    make = Maker()
    source, made = make.tensor("x", [4]), make.tensor("y", [4])
    make.operator("LEAKY_RELU", [source], [made], 2)
    error = error_of(make.model([source], [made]))
    assert error.reason == "model-not-mapped"
    assert "LEAKY_RELU: Operation not supported" in error.details


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(PLAIN["mixed"])
    return path


def test_the_verb_writes_the_model_and_a_log(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compile_model(CompileRequest((str(model_file),), "simulator"))
    made, log = model_file.with_name("net_edgetpu-sim.tflite"), model_file.with_name("net_edgetpu-sim.log")
    assert made.read_bytes() == compile_for_simulator(parse_model(X, PLAIN["mixed"])).data
    assert "CONV_2D                        1          More than one subgraph is not supported\n" in log.read_text()
    assert "3 LEAKY_RELU: the Edge TPU has no such operation" in log.read_text()
    printed = capsys.readouterr().out
    for line in (
        f"Input model: {model_file}",
        f"Output model: {made}",
        "Number of Edge TPU subgraphs: 1",
        "Total number of operations: 6",
        f"Operation log: {log}",
        "Number of operations that will run on Edge TPU: 3",
        "Number of operations that will run on CPU: 3",
        "CONV_2D                        2          Mapped to Edge TPU",
    ):
        assert f"\n{line}\n" in printed
    assert (printed.count("SIMULATED"), log.read_text().count("SIMULATED")) == (2, 1)


def test_the_verb_replaces_an_older_output(model_file: Path, tmp_path: Path) -> None:
    place = tmp_path / "other.tflite"
    place.write_bytes(b"older")
    compile_model(CompileRequest((str(model_file),), "simulator", str(place)))
    assert parse_model(place, place.read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.tflite", "other.log", "other.tflite"]


def test_the_verb_never_overwrites_its_input(model_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tflite"
    link.symlink_to(model_file)
    hard = tmp_path / "hard.tflite"
    hard.hardlink_to(model_file)
    for place in (model_file, link, hard):
        with pytest.raises(CoralforgeError) as raised:
            compile_model(CompileRequest((str(model_file),), "simulator", str(place)))
        assert raised.value.reason == "model-output"
    assert model_file.read_bytes() == PLAIN["mixed"]


@pytest.mark.parametrize(
    ("model", "target", "reason"),
    [
        ("", "simulator", "option-missing"),
        ("absent.tflite", "edgetpu", "model-missing"),
        ("x.tflite", "gpu", "compile-target"),
        ("absent.tflite", "simulator", "model-missing"),
    ],
)
def test_wrong_options_of_the_verb(model: str, target: str, reason: str) -> None:
    with pytest.raises(CoralforgeError) as raised:
        compile_model(CompileRequest((model,), target))
    assert raised.value.reason == reason


def test_several_models_are_compiled_one_by_one(model_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(PLAIN["classifier"])
    request = CompileRequest((str(model_file), str(other)), "simulator", out_dir=str(tmp_path / "out"))
    compile_model(request)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tflite")) == [
        "net_edgetpu-sim.tflite",
        "other_edgetpu-sim.tflite",
    ]


@pytest.mark.parametrize("output", ["", "..", "."])
def test_an_output_without_a_name_is_refused(output: str, model_file: Path) -> None:
    with pytest.raises(CoralforgeError) as raised:
        compile_model(CompileRequest((str(model_file),), "simulator", output))
    assert raised.value.reason == "model-output"


@pytest.mark.parametrize(
    "options",
    [
        {"compiler": "x"},
        {"min_runtime": "14"},
        {"segments": "2"},
        {"multiple_subgraphs": True},
        {"search_delegate": True},
        {"search_step": "2"},
        {"timeout": "10"},
        {"no_retry": True},
        {"no_preflight": True},
        {"allow_cpu": True},
        {"release": "2.14.1"},
    ],
)
def test_options_for_hardware_are_refused(options: dict[str, Any], model_file: Path) -> None:
    [name] = options
    with pytest.raises(CoralforgeError, match=name.replace("_", "-")) as raised:
        compile_model(CompileRequest((str(model_file),), "simulator", **options))
    assert raised.value.reason == "compile-option"


def test_of_several_models_all_are_written_or_none(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.tflite").write_bytes(b"no model")
    request = CompileRequest(
        (str(model_file), str(tmp_path / "other.tflite")), "simulator", out_dir=str(tmp_path / "o")
    )
    with pytest.raises(CoralforgeError):
        compile_model(request)
    assert list((tmp_path / "o").iterdir()) == []
