"""The engine around the worker, which is a STAND-IN here that hands over a ready model."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from coralforge.edgetpu.operators import newest_versions
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.quantize import environment
from coralforge.quantize.check import CAUSES, check_quantized
from coralforge.quantize.judgement import RANDOM, find_warnings, judge
from coralforge.quantize.quantize import QuantizeOptions, check_options, quantize
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.text import report_text
from coralforge.quantize.tidy import tidied
from coralforge.quantize.worker.accuracy import Comparison
from coralforge.quantize.worker.environment import TENSORFLOW
from coralforge.quantize.worker.feeding import pixel_error
from coralforge.quantize.worker.preprocess import parse
from coralforge.tflite import schema
from coralforge.tflite.model import Model, parse_model, read_model
from tests.conftest import ROOT
from tests.support.foreign_files import zipped
from tests.support.keras_maker import write_keras
from tests.support.model_maker import Maker, classifier, floats

FACTS: dict[str, Any] = {
    "model": {"kind": "Keras 3.12.0 .keras", "scales_pixels": False},
    "samples": {
        "kind": "images",
        "available": 900,
        "calibrated": 80,
        "held_out": 20,
        "preprocess": "0..1",
        "digest": "0" * 64,
    },
    "inputs": [
        {
            "name": "io",
            "type": "uint8",
            "shape": [1, 8, 8, 3],
            "scale": 1 / 255,
            "zero_point": 0,
            "range": [0.0, 1.0],
            "pixel_error": 0,
        }
    ],
    "outputs": [
        {
            "name": "io",
            "type": "uint8",
            "shape": [1, 5],
            "scale": 1 / 256,
            "zero_point": 0,
            "accuracy": {
                "mean_error": 0.001,
                "worst_error": 0.01,
                "range": [0.0, 1.0],
                "cosine": 0.9995,
                "least_cosine": 0.99,
                "samples": 20,
                "spread": {
                    "float": {"varies": 0.9, "best": {"classes": 5, "often": 2, "share": 0.3}},
                    "quantized": {"varies": 0.9, "best": {"classes": 5, "often": 2, "share": 0.3}},
                    "outside": 0.0,
                    "saturated": 0.0,
                },
                "top1": {"classes": 5, "samples": 20, "agreed": 19, "ties": 0, "agreement": 0.95},
            },
        }
    ],
    "evaluation": None,
    "layers": None,
    "versions": {"tensorflow": TENSORFLOW, "keras": "3.12.0"},
    "peak_memory": 600_000_000,
}


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., Path]:
    """Makes a stand-in for a Python with TensorFlow, whose worker gives these bytes and facts."""

    def make(data: bytes = b"", facts: dict[str, Any] = FACTS) -> Path:
        (tmp_path / "ready.tflite").write_bytes(data or classifier())
        python = tmp_path / "python"
        python.write_text(
            textwrap.dedent(f"""\
            #!{sys.executable} -I
            # A stand-in for the worker with TensorFlow.
            import json, os, shutil, sys
            staging = json.load(open(sys.argv[3]))["staging"]
            shutil.copy({str(tmp_path / "ready.tflite")!r}, staging + "/model.tflite")
            line = json.dumps({{"event": "result", "result": json.loads({json.dumps(facts)!r})}})
            os.write(int(sys.argv[4]), line.encode() + b"\\n")
            """)
        )
        python.chmod(0o755)
        return python

    return make


@pytest.fixture
def options(tmp_path: Path) -> QuantizeOptions:
    (tmp_path / "pictures").mkdir()
    model = write_keras(tmp_path / "net.keras")
    return QuantizeOptions(model, tmp_path / "net.tflite", "pictures", folder=tmp_path)


def changed(options: QuantizeOptions, **changes: Any) -> QuantizeOptions:
    return QuantizeOptions(**{**vars(options), **changes})


def refused(call: Callable[[], object], reason: str) -> str:
    with pytest.raises(CoralforgeError) as raised:
        call()
    assert (raised.value.reason, raised.value.code) == (reason, ExitCode.USER)
    return str(raised.value)


class TestOptions:
    """Refused before anything is started."""

    @pytest.mark.parametrize(
        ("changes", "reason", "said"),
        [
            ({"io": "float32"}, "quantize-option", "--io 'float32'"),
            ({"random": 5}, "quantize-option", "both given"),
            ({"random": -1, "samples": ""}, "quantize-option", "--random -1"),
            ({"max_samples": 0}, "quantize-option", "--max-samples 0"),
            ({"max_samples": 1_000_000}, "quantize-option", "--max-samples 1000000"),
            ({"timeout": 0}, "quantize-option", "--timeout 0"),
            ({"timeout": float("nan")}, "quantize-option", "--timeout nan"),
            ({"memory": -1}, "quantize-option", "--memory -1"),
            ({"shape": "224,224"}, "quantize-option", "--input-shape '224,224'"),
            ({"shape": "0x3"}, "quantize-option", "--input-shape '0x3'"),
            ({"shape": "²x3"}, "quantize-option", "--input-shape"),
            ({"samples": ""}, "option-missing", "--samples"),
            ({"preprocess": "imagenet"}, "preprocess-unknown", "'imagenet'"),
            ({"model": Path("absent.keras")}, "model-missing", "absent.keras"),
            ({"output": Path("out.bin")}, "quantize-option", "out.bin does not end in .tflite"),
            ({"output": Path("absent/x.tflite")}, "model-write", "absent/x.tflite cannot be written"),
            ({"samples": "absent"}, "samples-missing", "absent do not exist"),
            ({"samples": "pipe"}, "samples-missing", "pipe are neither a file nor a folder"),
            ({"evaluate": "absent"}, "samples-missing", "absent of --evaluate do not exist"),
            ({"evaluate": "pictures", "labels": "absent"}, "labels-invalid", "absent is no file of labels"),
            ({"evaluate": "pictures", "labels": "pipe"}, "labels-invalid", "it is a device, a pipe or a socket"),
        ],
    )
    def test_each_is_named(self, options: QuantizeOptions, changes: dict[str, Any], reason: str, said: str) -> None:
        os.mkfifo(options.folder / "pipe")
        assert said in refused(lambda: check_options(changed(options, **changes)), reason)

    def test_a_pipe_is_no_model(self, options: QuantizeOptions, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.keras")
        refused(lambda: check_options(changed(options, model=tmp_path / "pipe.keras")), "model-unreadable")

    @pytest.mark.parametrize("option", ["output", "html"])
    def test_a_place_that_takes_no_file_is_said_before_the_work(
        self, options: QuantizeOptions, tmp_path: Path, option: str
    ) -> None:
        os.mkfifo(tmp_path / "pipe.tflite")
        said = refused(lambda: check_options(changed(options, **{option: tmp_path / "pipe.tflite"})), "model-write")
        assert f"choose another --{option}" in said

    def test_a_loop_of_links_is_replaced_as_any_link(self, options: QuantizeOptions, tmp_path: Path) -> None:
        (tmp_path / "loop.tflite").symlink_to("loop.tflite")
        check_options(changed(options, output=tmp_path / "loop.tflite"))

    def test_an_output_that_is_another_one_is_named_by_its_option(self, options: QuantizeOptions) -> None:
        said = refused(lambda: check_options(changed(options, html=options.output)), "model-output")
        assert "of --html is another output" in said

    def test_the_output_is_not_the_input(self, options: QuantizeOptions, tmp_path: Path) -> None:
        same = write_keras(tmp_path / "same.tflite")
        refused(lambda: check_options(changed(options, model=same, output=same)), "model-output")

    @pytest.mark.parametrize(
        ("name", "data", "said", "remedy"),
        [
            ("ready.tflite", classifier(), "in 8 bits throughout", "`invoke compile`"),
            ("float.tflite", floats(), "which computes in floats", "not quantized afterwards"),
            ("tm.zip", zipped({"model.tflite": floats()}), "has a TensorFlow Lite model", "not quantized after"),
            ("two.zip", zipped({"a.tflite": b"", "b.tflite": b""}), "an archive with 2 models", "unpack it"),
        ],
    )
    def test_a_tflite_is_not_quantized_again(
        self, options: QuantizeOptions, tmp_path: Path, name: str, data: bytes, said: str, remedy: str
    ) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CoralforgeError, match=said) as raised:
            check_options(changed(options, model=tmp_path / name))
        assert raised.value.reason == "model-format"
        assert remedy in raised.value.remedy

    def test_the_output_is_no_folder(self, options: QuantizeOptions, tmp_path: Path) -> None:
        (tmp_path / "folder.tflite").mkdir()
        refused(lambda: check_options(changed(options, output=tmp_path / "folder.tflite")), "model-write")


class TestRun:
    """From options to two files."""

    def test_the_model_and_its_report_are_written(
        self, options: QuantizeOptions, stand_in: Callable[..., Path], tmp_path: Path
    ) -> None:
        report = quantize(options, Recorder(), stand_in())
        assert read_model(options.output).graph.inputs
        assert report.place == tmp_path / "net.quantize.json"
        data = json.loads(report.place.read_text())
        assert data == report.data
        assert (data["format"], data["model"]["name"], data["samples"]["origin"]) == (1, "net.keras", "pictures")
        assert data["operations"][0] == {"name": "AVERAGE_POOL_2D", "version": 2, "count": 1}
        assert (report.random, report.agreement, report.warnings) == (False, 0.95, ())

    def test_a_refused_model_leaves_nothing(self, options: QuantizeOptions, stand_in: Callable[..., Path]) -> None:
        make = Maker()
        image = make.tensor("image", [1, 4, 4, 3])
        python = stand_in(
            schema.pack(signed(make, {b"io": image}, {b"io": make.conv(image, "grouped", 4, 4, version=6)}).native)
        )
        before = sorted(options.output.parent.iterdir())
        message = refused(lambda: quantize(options, Recorder(), python), "model-op-version")
        assert "CONV_2D version 6: the compiler reads up to version 5; it comes from a Conv2D with groups" in message
        assert sorted(options.output.parent.iterdir()) == before

    def test_a_worker_that_gives_rubbish(self, options: QuantizeOptions, stand_in: Callable[..., Path]) -> None:
        refused(lambda: quantize(options, Recorder(), stand_in(b"rubbish")), "model-invalid")
        assert not options.output.exists()

    def test_an_older_report_never_stays_beside_a_newer_model(
        self, options: QuantizeOptions, stand_in: Callable[..., Path]
    ) -> None:
        quantize(options, Recorder(), stand_in())
        facts = {**FACTS, "samples": {**FACTS["samples"], "calibrated": 70}}
        quantize(options, Recorder(), stand_in(facts=facts))
        place = options.output.with_suffix(".quantize.json")
        assert json.loads(place.read_text())["samples"]["calibrated"] == 70


class TestChecks:
    """What would be rejected, or compute garbage, does not leave."""

    def test_a_good_one(self) -> None:
        check_quantized(model(classifier()), Path("m.keras"), TENSORFLOW)

    def test_floats_that_are_left(self) -> None:
        make = Maker()
        image = make.tensor("image", [1, 4, 4, 3])
        real = make.tensor("real", [1, 4, 4, 3], "FLOAT32", scales=())
        make.operator("DEQUANTIZE", [image], [real], 2)
        data = make.pack([image], [real])
        assert "DEQUANTIZE: real is FLOAT32" in refused(
            lambda: check_quantized(model(data), Path("m.keras"), TENSORFLOW), "model-not-quantized"
        )

    def test_a_dense_layer_per_channel(self) -> None:
        make = Maker()
        flat, logits = make.tensor("flat", [1, 4]), make.tensor("logits", [1, 5])
        weights = make.weights("w", [5, 4], scales=[0.1, 0.2, 0.3, 0.4, 0.5])
        make.operator("FULLY_CONNECTED", [flat, weights], [logits], 4)
        data = make.pack([flat], [logits])
        refused(lambda: check_quantized(model(data), Path("m.keras"), TENSORFLOW), "model-per-channel")

    @pytest.mark.parametrize(("name", "version"), CAUSES)
    def test_every_cause_is_of_a_version_that_the_compiler_rejects(self, name: str, version: int) -> None:
        assert name in schema.names("BuiltinOperator").values()
        assert version > newest_versions().get(name, 0)

    def test_a_version_without_a_known_cause_is_named_too(self) -> None:
        make = Maker()
        image, other = make.tensor("image", [1, 4, 4, 3]), make.tensor("other", [1, 4, 4, 3])
        make.operator("ADD", [image, image], [other], 9)
        data = make.pack([image], [other])
        message = refused(lambda: check_quantized(model(data), Path("m.keras"), "9.9"), "model-op-version")
        assert "ADD version 9: the compiler reads up to version 3; TensorFlow 9.9 writes it so" in message


def model(data: bytes) -> Model:
    return parse_model(Path("x.tflite"), data)


def signed(make: Maker, inputs: dict[bytes, int], outputs: dict[bytes, int]) -> Model:
    """The model with one signature, as TensorFlow's converter writes it."""
    sides = [[schema.new("TensorMap", name=n, tensorIndex=i) for n, i in side.items()] for side in (inputs, outputs)]
    make.native.signatureDefs = [schema.new("SignatureDef", signatureKey=b"x", inputs=sides[0], outputs=sides[1])]
    return model(make.pack(list(inputs.values()), list(outputs.values())))


def test_inputs_and_outputs_come_in_the_order_of_the_names() -> None:
    make = Maker()
    a, b, c, d = (make.tensor(name, [1, 3]) for name in "abcd")
    make.operator("ADD", [a, b], [c], 2)
    make.operator("MUL", [a, b], [d], 2)
    data, changes = tidied(signed(make, {b"a": a, b"b": b}, {b"c": c, b"d": d}), ["b", "a"], ["d", "c"])
    ordered = model(data).graph
    assert [ordered.tensors[i].name for i in (*ordered.inputs, *ordered.outputs)] == ["b", "a", "d", "c"]
    assert changes == ()


class TestOlderVersions:
    """TRANSPOSE_CONV 4 becomes 3 or 2 where its activation changes nothing."""

    def make(self, activation: int, scale: float, zero_point: int, bias: bool) -> Model:
        make = Maker()
        image = make.tensor("image", [1, 4, 4, 3])
        inputs = [make.integers("shape", 1, 8, 8, 2), make.weights("w", [2, 3, 3, 3]), image]
        if bias:
            inputs.append(make.tensor("b", [2], "INT32", struct.pack("<2i", 900, -900), [0.0005]))
        made = make.tensor("made", [1, 8, 8, 2], scales=[scale])
        make.graph.tensors[made].quantization.zeroPoint = [zero_point]
        options = {"padding": 0, "strideW": 2, "strideH": 2, "fusedActivationFunction": activation}
        make.operator("TRANSPOSE_CONV", inputs, [made], 4, ("TransposeConvOptions", options))
        return signed(make, {b"i": image}, {b"o": made})

    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize(("activation", "scale"), [(1, 0.05), (1, 0.02), (3, 6 / 255), (3, 0.02)])
    def test_outputs_stay_the_same(self, activation: int, scale: float, bias: bool) -> None:
        before = self.make(activation, scale, -128, bias)
        data, changes = tidied(before, ["i"], ["o"])
        version = 3 if bias else 2
        assert changes == (f"TRANSPOSE_CONV 0: version 4 to {version}",)
        after = model(data)
        assert [operation.version for operation in after.graph.operations] == [version]
        image = np.random.default_rng(1).integers(-128, 128, (1, 4, 4, 3), np.int8)
        [wanted], [got] = (run(schema.pack(one.native), image) for one in (before, after))
        assert len(np.unique(wanted)) > 20
        np.testing.assert_array_equal(wanted, got)

    @pytest.mark.parametrize(
        ("activation", "scale", "zero_point"),
        [(1, 0.05, -100), (3, 0.05, -128), (2, 0.05, -128), (4, 0.05, -128), (0, 0.05, -128)],
    )
    def test_what_needs_its_activation_stays(self, activation: int, scale: float, zero_point: int) -> None:
        assert tidied(self.make(activation, scale, zero_point, True), ["i"], ["o"])[1] == ()


def run(data: bytes, image: Any) -> list[Any]:
    """Outputs of a model of one input."""
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


class TestAccuracy:
    """Figures of the comparison."""

    def test_errors_and_agreement(self) -> None:
        comparison = Comparison()
        comparison.add({"y": np.array([[0.1, 0.9]])}, {"y": np.array([[0.2, 0.8]])})
        comparison.add({"y": np.array([[0.6, 0.4]])}, {"y": np.array([[0.3, 0.7]])})
        figures = comparison.summary("y")
        assert figures["mean_error"] == pytest.approx(0.2)
        assert figures["worst_error"] == pytest.approx(0.3)
        assert figures["range"] == [0.1, 0.9]
        assert figures["top1"] == {"classes": 2, "samples": 2, "agreed": 1, "ties": 0, "agreement": 0.5}

    def test_a_tie_is_no_agreement(self) -> None:
        comparison = Comparison()
        comparison.add({"y": np.array([[0.9, 0.1]])}, {"y": np.array([[0.5, 0.5]])})
        top1 = comparison.summary("y")["top1"]
        assert (top1["agreed"], top1["ties"]) == (0, 1)

    @pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 4, 4, 2), (3, 2)])
    def test_what_is_no_classification_has_no_agreement(self, shape: tuple[int, ...]) -> None:
        comparison = Comparison()
        comparison.add({"y": np.zeros(shape)}, {"y": np.zeros(shape)})
        assert "top1" not in comparison.summary("y")


@pytest.mark.parametrize(
    ("scaling", "kind", "quantization", "wanted"),
    [
        ("0..1", "uint8", (1 / 255, 0), 0),
        ("-1..1", "uint8", (1 / 127.5, 127), 1),
        ("-1..1", "int8", (1 / 127.5, 0), 1),
        ("raw", "uint8", (1.0, 0), 0),
        ("raw", "uint8", (0.5, 0), 128),
        ("caffe", "uint8", (1.0, 124), 255),
    ],
)
def test_whether_pixels_can_be_given_as_they_are(
    scaling: str, kind: str, quantization: tuple[float, int], wanted: int
) -> None:
    chosen = parse(scaling)
    assert chosen is not None
    error = pixel_error(chosen, {"dtype": np.dtype(kind).type, "quantization": quantization})
    assert abs(error - wanted) <= 1
    assert (error <= 1) == (wanted <= 1)


class TestReport:
    """What the user reads."""

    def report(self, **samples: Any) -> QuantizeReport:
        data = {**FACTS, "operations": [{"name": "CONV_2D", "version": 3, "count": 2}], "lowered": [], "seconds": 3.2}
        data["model"] = {**FACTS["model"], "bytes": 123_456, "name": "net.keras"}
        data["output"] = {"bytes": 4_567, "io": "uint8", "name": "net.tflite"}
        data["samples"] = {"random": False, "origin": "pictures", **FACTS["samples"], **samples}
        data["warnings"] = find_warnings(data)
        data["verdict"] = judge(data).value
        return QuantizeReport(Path("net.keras"), Path("net.tflite"), Path("net.quantize.json"), data)

    def test_it_says_what_was_measured(self) -> None:
        text = report_text(self.report())
        for line in (
            "Samples: pictures (images): 80 to calibrate, 20 held out of 900; preprocess: 0..1",
            "Input io: uint8 1x8x8x3, real = (q - 0) * 0.00392157; give it pixels as they are",
            "Quantized against float, on 20 held-out samples:",
            "  io: top-1 agreement 95.0 % (19 of 20)",
            "Operations: CONV_2D v3 x2",
            f"Made with: tensorflow {TENSORFLOW}, keras 3.12.0",
        ):
            assert f"{line}\n" in text
        assert "RANDOM" not in text
        assert "warning" not in text

    def test_random_samples_are_told_first_and_last(self) -> None:
        lines = report_text(self.report(random=True, origin="RANDOM 100")).splitlines()
        assert lines[0] == lines[-1] == RANDOM
        assert "Samples: RANDOM 100" in "\n".join(lines)

    @pytest.mark.parametrize(
        ("samples", "said"),
        [
            ({"calibrated": 8}, "calibrated with 8 samples only"),
            ({"held_out": 0}, "no sample was held out"),
            ({"random": True}, RANDOM),
        ],
    )
    def test_what_speaks_against_it(self, samples: dict[str, Any], said: str) -> None:
        assert any(said in warning for warning in self.report(**samples).warnings)

    def test_pixels_that_are_scaled_twice(self) -> None:
        data = self.report().data
        data["model"] = {**data["model"], "scales_pixels": True}
        assert any("--preprocess 0..1 did so before" in text for text in find_warnings(data))

    def test_poor_agreement_and_ties(self) -> None:
        data = self.report().data
        top1 = {"classes": 5, "samples": 20, "agreed": 10, "ties": 5, "agreement": 0.5}
        data["outputs"] = [{**data["outputs"][0], "accuracy": {**data["outputs"][0]["accuracy"], "top1": top1}}]
        warnings = "\n".join(find_warnings(data))
        assert "often finds another class (50.0 % (10 of 20))" in warnings
        assert "share the best score" in warnings

    def test_samples_without_any_difference(self) -> None:
        data = self.report().data
        data["inputs"] = [{**data["inputs"][0], "range": [0.5, 0.5]}]
        assert any("all the same value" in text for text in find_warnings(data))


class TestPython:
    """Which interpreter runs the worker."""

    def make(self, root: Path, lock: bytes = b"lock") -> Path:
        folder = root / ".venv-models" / "bin"
        folder.mkdir(parents=True)
        (folder / "python").touch()
        (root / "requirements-models.lock").write_bytes(b"lock")
        stamp = f"{hashlib.sha256(lock).hexdigest()}  {root}/requirements-models.lock\n/usr/bin/python3\n"
        (folder.parent / "coralforge.stamp").write_text(stamp)
        return folder / "python"

    def missing(self, root: Path, environ: dict[str, str]) -> CoralforgeError:
        with pytest.raises(CoralforgeError) as raised:
            environment.find_python(root, environ)
        assert (raised.value.reason, raised.value.code) == ("tensorflow-missing", ExitCode.MISSING)
        return raised.value

    def test_the_one_that_bootstrap_made(self, tmp_path: Path) -> None:
        python = self.make(tmp_path)
        assert environment.find_python(tmp_path, {}) == python

    def test_the_users_own_comes_first(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        assert environment.find_python(tmp_path, {environment.MODELS.variable: sys.executable}) == Path(
            sys.executable
        )

    def test_what_to_do_without(self, tmp_path: Path) -> None:
        assert "scripts/bootstrap --models" in self.missing(tmp_path, {}).remedy

    def test_one_of_another_lock_is_not_used(self, tmp_path: Path) -> None:
        self.make(tmp_path, lock=b"older")
        assert "was not made from" in self.missing(tmp_path, {}).brief

    def test_one_that_was_cut_short_is_not_used(self, tmp_path: Path) -> None:
        self.make(tmp_path).parent.parent.joinpath("coralforge.stamp").unlink()
        self.missing(tmp_path, {})

    def test_the_variable_has_to_name_a_program(self, tmp_path: Path) -> None:
        assert "which is no program" in self.missing(tmp_path, {environment.MODELS.variable: str(tmp_path)}).brief


def test_the_version_that_is_said_to_be_tested_is_the_locked_one() -> None:
    lock = (ROOT / "requirements-models.lock").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    for package in ("tensorflow-cpu", "tf-keras"):
        assert f"\n{package}=={TENSORFLOW} " in lock
        assert f'"{package}=={TENSORFLOW}' in project
