"""A compiled file is believed for what is in it, never for what the compiler says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coralforge.compile.judge import CompiledFile, read_compiled, require_same_interface, take
from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.edgetpu.runtime import require_runtime
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.inspect.inspector import inspect_model
from coralforge.tflite import schema
from coralforge.tflite.model import Model, parse_model, read_model
from tests.support.compiled_maker import as_hardware, compiled, two_executables
from tests.support.model_maker import Maker, X, classifier, mixed
from tests.support.package_maker import custom_options


def reason_of(error: pytest.ExceptionInfo[CoralforgeError]) -> tuple[str, ExitCode]:
    return error.value.reason, error.value.code


@pytest.mark.parametrize(
    ("name", "runtime", "left"),
    [
        ("mobilenet_v1_0.25_128_quant", 12, 0),
        ("keras_lstm_mnist_ptq", 12, 0),
        ("deeplabv3_mnv2_dm05_pascal_quant", 12, 8),
        ("bright_128x128", 14, 0),
        ("looming_128x128_3x3", 14, 0),
    ],
)
def test_what_googles_compiler_made_is_in_order(testdata: Path, name: str, runtime: int, left: int) -> None:
    plain = read_model(testdata / f"{name}.tflite")
    made = read_compiled(name, (testdata / f"{name}_edgetpu.tflite").read_bytes())
    require_same_interface(plain, [made])
    assert (made.runtime, made.left) == (runtime, left)


def test_runtime_and_operations_on_the_cpu_come_from_the_file() -> None:
    made = read_compiled("x", as_hardware(mixed(), runtime=14))
    assert (made.runtime, made.left, len(made.packages)) == (14, 3, 1)


def detection(boxes: list[int], found: list[int], hardware: bool, kind: str = "FLOAT32") -> Model:
    """A model that ends in a custom operator, with these shapes of its outputs; some of it compiled, or not."""
    make = Maker()
    image, scores = make.tensor("image", [1, 4]), make.tensor("scores", [1, 4])
    outputs = [make.tensor(name, shape, kind, scales=()) for name, shape in (("boxes", boxes), ("found", found))]
    if hardware:
        make.operator("CUSTOM", [image], [scores], custom=CUSTOM_CODE.encode())
        make.graph.operators[0].customOptions = schema.numbers(custom_options(two_executables()))
    else:
        make.operator("RELU", [image], [scores])
    make.operator("CUSTOM", [scores], outputs, custom=b"TFLite_Detection_PostProcess")
    return make.model([image], outputs)


def test_an_output_whose_shape_the_runtime_sets_is_the_same_in_any_shape() -> None:
    plain = detection([], [], hardware=False)
    made = schema.pack(detection([1, 10, 4], [1], hardware=True).native)
    require_same_interface(plain, [read_compiled("x", made)])
    assert inspect_model(parse_model(X, made), plain).mapped == 1
    other = schema.pack(detection([1, 10, 4], [1], hardware=True, kind="INT32").native)
    with pytest.raises(CoralforgeError) as error:
        require_same_interface(plain, [read_compiled("x", other)])
    assert reason_of(error) == ("compiled-interface", ExitCode.BUILD)


def test_a_model_without_a_custom_operator_runs_on_the_cpu() -> None:
    made = read_compiled("x", mixed())
    assert (made.runtime, made.left) == (None, 6)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no model",
        classifier()[:-100],
        compile_for_simulator(parse_model(X, classifier())).data,
        compiled(b""),
        compiled(b"DWN1"),
        compiled(custom_options(b"no package")),
    ],
    ids=["empty", "text", "cut off", "simulated", "no payload", "no flexbuffer", "no package"],
)
def test_what_is_no_compiled_model_is_refused(data: bytes) -> None:
    with pytest.raises(CoralforgeError) as caught:
        read_compiled("x.tflite", data)
    assert reason_of(caught) == ("compiled-invalid", ExitCode.BUILD)
    assert caught.value.details


def test_a_runtime_above_the_librarys_is_refused() -> None:
    require_runtime("x", 14, 14)
    with pytest.raises(CoralforgeError, match="runtime version 15; the release's libedgetpu has version 14") as e:
        require_runtime("x", 15, 14)
    assert reason_of(e) == ("model-runtime", ExitCode.USER)
    assert "--min-runtime 14" in e.value.remedy


class TestInterface:
    def problems(self, plain: Model, *parts: CompiledFile) -> str:
        with pytest.raises(CoralforgeError) as caught:
            require_same_interface(plain, parts)
        assert reason_of(caught) == ("compiled-interface", ExitCode.BUILD)
        return caught.value.details

    def altered(self, change: str) -> CompiledFile:
        """The classifier as compiled, with another input or output."""
        native = schema.unpack(as_hardware(classifier()))
        graph = native.subgraphs[0]
        image, scores = (graph.tensors[int(i)] for i in (graph.inputs[0], graph.outputs[0]))
        if change == "name":
            image.name, scores.name = b"another", b"name"
        elif change == "scale":
            scores.quantization.scale = [0.5]
        elif change == "point":
            image.quantization.zeroPoint = [3]
        elif change == "shape":
            image.shape = [1, 8, 8, 4]
        elif change == "type":
            image.type = 3
        elif change == "count":
            graph.inputs = [int(graph.inputs[0])] * 2
        return read_compiled("x", schema.pack(native))

    def test_names_may_differ(self) -> None:
        require_same_interface(parse_model(X, classifier()), [self.altered("name")])

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                "scale",
                "output 0: INT8 1x5, scale 0.00390625, zero point -128 became INT8 1x5, scale 0.5, zero point -128",
            ),
            ("point", "input 0: INT8 1x8x8x3, scale 0.05"),
            ("shape", "1x8x8x4"),
            ("type", "UINT8"),
            ("count", "1 inputs became 2"),
        ],
    )
    def test_nothing_else_may(self, change: str, said: str) -> None:
        assert said in self.problems(parse_model(X, classifier()), self.altered(change))

    def test_order_matters(self) -> None:
        native = schema.unpack(as_hardware(mixed()))
        graph = native.subgraphs[0]
        graph.outputs = [int(index) for index in reversed(graph.outputs)]
        assert "output 0" in self.problems(parse_model(X, mixed()), read_compiled("x", schema.pack(native)))


def step(source: tuple[str, float], target: tuple[str, float]) -> CompiledFile:
    """A segment of a pipeline; tensors as name and scale. Its operation is on the CPU, which does not matter here."""
    make = Maker()
    first, last = (make.tensor(name, [1, 4], scales=[scale]) for name, scale in (source, target))
    make.operator("LEAKY_RELU", [first], [last], 2, ("LeakyReluOptions", {"alpha": 0.25}))
    return read_compiled(source[0], make.pack([first], [last]))


class TestSegments:
    IN, MIDDLE, OUT = ("in", 0.1), ("middle", 0.2), ("out", 0.3)

    def plain(self) -> Model:
        return step(self.IN, self.OUT).model

    def test_a_chain_is_in_order(self) -> None:
        require_same_interface(self.plain(), [step(self.IN, self.MIDDLE), step(self.MIDDLE, self.OUT)])

    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            ((IN, MIDDLE), (("other", 0.75), OUT), "segment 1 takes INT8 1x4, scale 0.75"),
            ((IN, MIDDLE), (MIDDLE, MIDDLE), "no segment makes the output INT8 1x4, scale 0.3"),
            ((MIDDLE, MIDDLE), (MIDDLE, OUT), "no segment takes the input INT8 1x4, scale 0.1"),
        ],
    )
    def test_a_broken_chain_is_not(
        self,
        first: tuple[tuple[str, float], tuple[str, float]],
        second: tuple[tuple[str, float], tuple[str, float]],
        said: str,
    ) -> None:
        with pytest.raises(CoralforgeError) as caught:
            require_same_interface(self.plain(), [step(*first), step(*second)])
        assert caught.value.reason == "compiled-interface"
        assert said in caught.value.details


class TestTaking:
    def refused(self, path: Path) -> str:
        with pytest.raises(CoralforgeError) as caught:
            take(path, "m.tflite")
        assert reason_of(caught) == ("compiled-missing", ExitCode.BUILD)
        return caught.value.brief

    def test_an_ordinary_file_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"bytes")
        assert take(tmp_path / "x", "m.tflite") == b"bytes"

    def test_what_is_not_there_is_not(self, tmp_path: Path) -> None:
        assert "is not there" in self.refused(tmp_path / "x")

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "x").symlink_to("/etc/passwd")
        assert "is a link" in self.refused(tmp_path / "x")

    def test_neither_a_folder_nor_a_pipe_is_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "folder").mkdir()
        for name in ("pipe", "folder"):
            assert "is not a file" in self.refused(tmp_path / name)

    def test_a_huge_file_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "x").open("wb") as stream:
            stream.truncate((256 << 20) + 1)
        assert "is too large" in self.refused(tmp_path / "x")
