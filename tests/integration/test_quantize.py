"""Real TensorFlow, Keras 2 and 3: models of every kind, samples of every kind, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coralforge.compile.simulator import compile_for_simulator
from coralforge.errors import CoralforgeError
from coralforge.events import Progress, Recorder
from coralforge.quantize.environment import find_python
from coralforge.quantize.judgement import Verdict, cause, collapses
from coralforge.quantize.quantize import QuantizeOptions, quantize
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.worker.samples import choose, split
from coralforge.tflite.model import read_model
from tests.conftest import ROOT
from tests.integration.conftest import Checkout
from tests.support.patience import NET, wait_until

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="session")
def models(keras_models: Path) -> Path:
    """The folder of models and samples."""
    return keras_models


def run(models: Path, output: Path, model: str, recorder: Recorder | None = None, **options: Any) -> QuantizeReport:
    """Quantize one of the models."""
    wanted = QuantizeOptions(models / model, output, **{"folder": models, **options})
    return quantize(wanted, recorder or Recorder())


def refused(models: Path, tmp_path: Path, model: str, **options: Any) -> CoralforgeError:
    """The error, and that it leaves nothing."""
    with pytest.raises(CoralforgeError) as raised:
        run(models, tmp_path / "x.tflite", model, **({"random": 5} | options))
    assert list(tmp_path.iterdir()) == []
    return raised.value


class TestModels:
    """Each kind of model, each with another kind of samples; the result compiles."""

    @pytest.mark.parametrize(
        ("model", "options", "kind", "preprocess"),
        [
            ("cnn.keras", {"samples": "pictures"}, "images", "raw"),
            ("cnn3.h5", {"samples": "pixels.npy", "io": "int8"}, "npy", "raw"),
            ("cnn_saved", {"samples": "mysamples.py:samples"}, "function", "raw"),
        ],
    )
    def test_a_trained_network_stays_as_good(
        self, models: Path, tmp_path: Path, model: str, options: dict[str, str], kind: str, preprocess: str
    ) -> None:
        recorder = Recorder()
        report = run(models, tmp_path / "x.tflite", model, recorder, **options)
        data = report.data
        assert (data["samples"]["kind"], data["samples"]["preprocess"]) == (kind, preprocess)
        assert (data["samples"]["calibrated"], data["samples"]["held_out"]) == (80, 20)
        assert report.agreement is not None
        assert report.agreement >= 0.95
        assert report.warnings == ()
        assert data["model"]["scales_pixels"] is True
        assert {one["type"] for one in data["inputs"] + data["outputs"]} == {options.get("io", "uint8")}
        assert data["inputs"][0]["shape"] == [1, 24, 24, 3]
        assert Progress("calibrate", 80, 80, "samples") in recorder.events
        assert compile_for_simulator(read_model(tmp_path / "x.tflite")).partition.fraction == 1.0

    @pytest.mark.parametrize("model", ["old.h5", "old.keras"])
    def test_files_of_keras_2_with_depthwise_convolutions(self, models: Path, tmp_path: Path, model: str) -> None:
        report = run(models, tmp_path / "x.tflite", model, samples="pictures", preprocess="0..1")
        assert report.data["model"]["kind"].startswith("Keras 2.")
        assert report.data["outputs"][0]["accuracy"]["worst_error"] < 0.01
        operations = {(one["name"], one["version"]) for one in report.data["operations"]}
        assert ("DEPTHWISE_CONV_2D", 3) in operations
        assert ("FULLY_CONNECTED", 4) in operations

    def test_several_inputs_and_outputs_keep_their_order_and_names(self, models: Path, tmp_path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        report = run(models, tmp_path / "x.tflite", "two.keras", samples="two.npz")
        assert [one["name"] for one in report.data["inputs"]] == ["zeta", "alpha"]
        assert [one["name"] for one in report.data["outputs"]] == ["second", "first"]
        interpreter = Interpreter(str(tmp_path / "x.tflite"))
        assert [list(one["shape"]) for one in interpreter.get_input_details()] == [[1, 8, 8, 3], [1, 4]]
        assert [list(one["shape"]) for one in interpreter.get_output_details()] == [[1, 5], [1, 3]]
        assert list(interpreter.get_signature_list()) == ["serving_default"]

    def test_a_recurrent_layer_of_keras_2_is_one_operation(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "lstm2.h5", samples="sequences.npy")
        assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in {one["name"] for one in report.data["operations"]}
        assert report.data["outputs"][0]["accuracy"]["mean_error"] < 0.05

    def test_a_decoder_gets_versions_that_the_compiler_reads(self, models: Path, tmp_path: Path) -> None:
        """UpSampling2D and activations after Conv2DTranspose, which Keras 3 and TensorFlow make too new."""
        report = run(models, tmp_path / "x.tflite", "decoder.keras", random=10)
        operations = {(one["name"], one["version"]) for one in report.data["operations"]}
        assert {("TRANSPOSE_CONV", 3), ("RESIZE_NEAREST_NEIGHBOR", 3)} <= operations
        assert len(report.data["lowered"]) == 2
        assert report.data["outputs"][0]["accuracy"]["worst_error"] < 0.1

    def test_sizes_that_are_open_can_be_given(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "open.keras", random=5, shape="16x12x3")
        assert report.data["inputs"][0]["shape"] == [1, 16, 12, 3]
        assert report.random
        assert "NOT VERIFIED" in report.warnings[0]

    def test_the_signature_of_a_saved_model_can_be_chosen(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "several", random=5, signature="other")
        assert "RELU6" in {one["name"] for one in report.data["operations"]}

    def test_the_same_gives_the_same_bytes(self, models: Path, tmp_path: Path) -> None:
        digests = set()
        for name in ("one", "another place"):
            folder = tmp_path / name
            folder.mkdir()
            report = run(models, folder / f"{name}.tflite", "cnn.keras", samples="pixels.npy", max_samples=40)
            digests.add((hashlib.sha256(report.output.read_bytes()).hexdigest(), report.data["samples"]["digest"]))
        assert len(digests) == 1


class TestQuality:
    """What quantizing cost, by models that are made to lose."""

    def test_accuracy_of_both_models_side_by_side(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "cnn.keras", samples="pictures", evaluate="pictures")
        found = report.data["evaluation"]
        assert (found["available"], found["left_out"], found["samples"]) == (100, 80, 20)
        assert [one["name"] for one in found["by_class"]] == ["class0", "class1", "class2", "class3"]
        assert min(found[side]["top1"] for side in ("float", "quantized")) >= 0.95
        assert (report.verdict, report.data["layers"]) == (Verdict.GOOD, None)

    def test_labels_in_an_array_in_another_order_show_a_model_that_guesses(
        self, models: Path, tmp_path: Path
    ) -> None:
        report = run(models, tmp_path / "x.tflite", "cnn.keras", samples="labelled.npz", evaluate="labelled.npz")
        assert report.data["evaluation"]["float"]["top1"] >= 0.95
        with np.load(models / "labelled.npz") as arrays:
            np.savez(tmp_path / "turned.npz", image=arrays["image"], labels=(arrays["labels"] + 1) % 4)
        wrong = run(
            models, tmp_path / "x.tflite", "cnn.keras", samples="pictures", evaluate=str(tmp_path / "turned.npz")
        )
        assert wrong.data["evaluation"]["samples"] == 100
        assert wrong.verdict is Verdict.DOUBTFUL
        assert any("the float model itself is right for 0.0 %" in text for text in wrong.warnings)

    def test_one_huge_weight_that_floats_do_not_notice(self, models: Path, tmp_path: Path) -> None:
        """Nobody asked for layers or a page: a bad result explains itself."""
        place = tmp_path / "x.html"
        report = run(
            models, tmp_path / "x.tflite", "collapsing.keras", samples="pictures", evaluate="pictures", html=place
        )
        assert report.verdict is Verdict.COLLAPSED
        assert {one["kind"] for one in collapses(report.data)} == {"constant", "guessing"}
        assert report.data["evaluation"]["float"]["top1"] >= 0.8
        assert report.data["layers"]["worst"][0]["operation"] == "FULLY_CONNECTED"
        assert "has COLLAPSED" in place.read_text(encoding="utf-8")

    def test_a_bad_result_explains_itself(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "collapsing.keras", samples="pictures")
        worst = report.data["layers"]["worst"][0]
        assert worst["operation"] == "FULLY_CONNECTED"
        assert "% of its weights are 0 in 8 bits" in cause(worst)

    def test_samples_that_are_larger_than_those_it_was_calibrated_with(self, models: Path, tmp_path: Path) -> None:
        held_out = {choose(60, 60)[position] for position in split(60)[1]}
        chance = np.random.default_rng(1)
        rows = [chance.normal(size=(8, 8, 4)) * (20 if row in held_out else 1) for row in range(60)]
        np.save(tmp_path / "rows.npy", np.asarray(rows, np.float32))
        report = run(models, tmp_path / "x.tflite", "wide.keras", samples=str(tmp_path / "rows.npy"))
        assert [one["kind"] for one in collapses(report.data)] == ["saturated"]
        assert report.data["layers"]["worst"][0]["outside"] > 0.5

    def test_samples_that_are_held_out_are_written_as_the_model_takes_them(
        self, models: Path, tmp_path: Path
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        report = run(models, tmp_path / "x.tflite", "two.keras", samples="two.npz", questions=5)
        assert report.data["samples"]["questions"] == 5
        interpreter = Interpreter(str(tmp_path / "x.tflite"))
        sizes = [int(np.prod(one["shape"])) for one in interpreter.get_input_details()]
        data = (tmp_path / "x.questions.bin").read_bytes()
        assert (sizes, len(data)) == ([8 * 8 * 3, 4], 5 * (8 * 8 * 3 + 4))
        held_out = [choose(60, 60)[position] for position in split(60)[1]]
        for side, offset, size in (("zeta", 0, sizes[0]), ("alpha", sizes[0], sizes[1])):
            details = next(one for one in report.data["inputs"] if one["name"] == side)
            stored = np.frombuffer(data, np.uint8)[offset : offset + size]
            with np.load(models / "two.npz") as arrays:
                wanted = arrays[side][held_out[0]].ravel()
            assert np.abs((stored - details["zero_point"]) * details["scale"] - wanted).max() <= details["scale"]

    @pytest.mark.parametrize(
        ("evaluate", "labels", "reason"),
        [
            ("two.npz", "", "samples-mismatch"),
            ("pixels.npy", "", "samples-mismatch"),
            ("absent", "", "samples-missing"),
            ("labelled.npz", "mysamples.py", "labels-mismatch"),
            ("pictures", "mysamples.py", "labels-mismatch"),
            ("labelled.npz", "absent.txt", "labels-invalid"),
        ],
    )
    def test_labels_that_do_not_fit_are_refused_before_the_conversion(
        self, models: Path, tmp_path: Path, evaluate: str, labels: str, reason: str
    ) -> None:
        recorder = Recorder()
        with pytest.raises(CoralforgeError) as raised:
            run(models, tmp_path / "x.tflite", "cnn.keras", recorder, random=5, evaluate=evaluate, labels=labels)
        assert raised.value.reason == reason
        assert not any(getattr(event, "name", "") == "convert the model" for event in recorder.events)
        assert list(tmp_path.iterdir()) == []


class TestRefusals:
    """One clear error each, with its cause and remedy."""

    @pytest.mark.parametrize(
        ("model", "reason", "said"),
        [
            ("lambda.keras", "model-code", "the layer lambda"),
            ("lambda.h5", "model-code", "the layer lambda"),
            ("custom.keras", "model-custom-layer", "Mine.Swoosh"),
            ("custom.h5", "model-custom-layer", "OldSwoosh"),
            ("grouped.keras", "model-op-version", "CONV_2D version 6: the compiler reads up to version 5"),
            ("exp.keras", "model-op-version", "EXP version 2: the compiler reads up to version 1"),
            ("gelu.keras", "model-op-version", "GELU version 2: the compiler does not know it"),
            ("nan.keras", "model-not-finite", ""),
            ("only.weights.h5", "model-weights-only", ""),
            ("loop.keras", "model-control-flow", "While"),
            ("unbuilt.keras", "model-dynamic", ""),
            ("open.keras", "model-dynamic", ""),
            ("several", "model-signature", "first, other"),
            ("nothing", "model-signature", "it has no signatures"),
            ("python", "model-code", "EagerPyFunc"),
            ("writes", "model-code", "WriteFile"),
            ("unsupported", "model-op-unsupported", "Igamma"),
        ],
    )
    def test_models(self, models: Path, tmp_path: Path, model: str, reason: str, said: str) -> None:
        error = refused(models, tmp_path, model)
        assert (error.reason, said in error.details) == (reason, True)
        assert (model in error.brief) is (reason != "model-not-finite")
        assert error.remedy
        assert not (models / "written").exists()

    @pytest.mark.parametrize("change", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
    def test_a_damaged_saved_model(self, models: Path, tmp_path: Path, change: str) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(models / "cnn_saved", copy)
        data = (copy / change).read_bytes()
        (copy / change).write_bytes(data[: len(data) // 2])
        with pytest.raises(CoralforgeError) as raised:
            run(tmp_path, tmp_path / "x.tflite", "copy", random=5)
        assert raised.value.reason in ("model-invalid", "model-load")
        assert not (tmp_path / "x.tflite").exists()

    def test_damaged_weights(self, models: Path, tmp_path: Path) -> None:
        for name in ("cnn.keras", "cnn3.h5", "old.h5"):
            data = bytearray((models / name).read_bytes())
            for place in range(len(data) // 2, len(data) - 200, 97):
                data[place] ^= 0x5A
            (tmp_path / name).write_bytes(data)
            with pytest.raises(CoralforgeError) as raised:
                run(tmp_path, tmp_path / "x.tflite", name, random=5)
            assert raised.value.reason.startswith(("model-", "quantize-"))

    def test_pixels_without_a_scaling(self, models: Path, tmp_path: Path) -> None:
        assert refused(models, tmp_path, "old.h5", samples="pictures", random=0).reason == "preprocess-missing"

    @pytest.mark.parametrize(
        ("model", "samples", "reason"),
        [
            ("two.keras", "pictures", "samples-mismatch"),
            ("cnn.keras", "two.npz", "samples-mismatch"),
            ("cnn.keras", "sequences.npy", "samples-mismatch"),
            ("cnn.keras", "mysamples.py:absent", "samples-function"),
        ],
    )
    def test_samples_that_do_not_fit(
        self, models: Path, tmp_path: Path, model: str, samples: str, reason: str
    ) -> None:
        assert refused(models, tmp_path, model, samples=samples, random=0).reason == reason

    def test_trust_runs_the_code(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "lambda.h5", random=5, trust=True)
        assert "CONV_2D" in {one["name"] for one in report.data["operations"]}

    def test_a_bound_on_memory(self, models: Path, tmp_path: Path) -> None:
        assert refused(models, tmp_path, "cnn.keras", memory=150).reason == "quantize-memory"


class TestCommandLine:
    """What a user types."""

    def invoke(self, cli: Checkout, *args: str) -> Any:
        return cli.invoke("quantize", *args, CORALFORGE_MODELS_PYTHON=str(find_python()))

    def test_quantize_and_compile(self, cli: Checkout, models: Path, tmp_path: Path) -> None:
        place = tmp_path / "cnn.tflite"
        arguments = ["--model", str(models / "cnn.keras"), "--samples", str(models / "pictures")]
        ran = self.invoke(cli, *arguments, "--output", str(place), "--max-samples", "50")
        assert ran.status == 0, ran.stderr
        assert "40 to calibrate, 10 held out of 100; preprocess: raw" in ran.stdout
        assert "top-1 agreement" in ran.stdout
        assert "RANDOM" not in ran.stdout
        assert json.loads(place.with_suffix(".quantize.json").read_text())["format"] == 1
        compiled = cli.invoke("compile", "--model", str(place), "--target", "simulator")
        assert compiled.status == 0, compiled.stderr

    def test_random_is_said(self, cli: Checkout, models: Path, tmp_path: Path) -> None:
        ran = self.invoke(
            cli, "--model", str(models / "cnn.keras"), "--random", "5", "--output", str(tmp_path / "x.tflite")
        )
        assert ran.status == 0, ran.stderr
        assert ran.stdout.count("RANDOM samples: the model was calibrated with noise") == 2

    def test_the_script_does_the_same(self, models: Path, tmp_path: Path) -> None:
        script = ROOT / "scripts" / "quantize.py"
        names = ["-m", str(models / "cnn.keras"), "-o", str(tmp_path / "x.tflite")]
        command = [str(find_python()), str(script), *names, "-n", "5"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=NET, check=False)
        assert done.returncode == 0, done.stderr
        assert "RANDOM" in done.stdout
        assert read_model(tmp_path / "x.tflite").graph.operations

    def test_without_tensorflow_it_says_how_to_get_it(self, cli: Checkout, models: Path, tmp_path: Path) -> None:
        ran = cli.invoke(
            "quantize", "--model", str(models / "cnn.keras"), "--random", "5", CORALFORGE_MODELS_PYTHON=""
        )
        assert ran.status == 3
        assert "by scripts/bootstrap --models" in ran.stderr
        assert "Traceback" not in ran.stderr
        ran = cli.invoke(
            "quantize", "--model", str(models / "cnn.keras"), "--random", "5", CORALFORGE_MODELS_PYTHON=sys.executable
        )
        assert (ran.status, "[tensorflow-missing, exit 3]" in ran.stderr) == (3, True)

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_stops_it_and_leaves_nothing(self, cli: Checkout, models: Path, tmp_path: Path) -> None:
        command = [str(Path(sys.executable).parent / "invoke"), "quantize", "--model", str(models / "cnn.keras")]
        command += ["--samples", str(models / "pictures"), "--output", str(tmp_path / "x.tflite")]
        environment = cli.environment(CORALFORGE_MODELS_PYTHON=str(find_python()), TMPDIR=str(tmp_path))
        with subprocess.Popen(
            command, cwd=cli.root, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            assert any("load the model" in line for line in process.stderr), "it ended before"
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=NET)
        assert process.returncode == 130
        assert list(tmp_path.iterdir()) == []
        wait_until(lambda: not any(str(tmp_path) in text_of(place) for place in Path("/proc").glob("[0-9]*/cmdline")))


def text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_nearest_upsampling_is_value_for_value_what_keras_computes() -> None:
    code = """
import numpy as np, keras
from coralforge.quantize.worker.upsampling import upsample_by_resizing
image = keras.Input((5, 7, 3))
model = keras.Sequential([image, keras.Sequential([keras.layers.UpSampling2D((2, 3))])])
x = np.random.default_rng(1).random((1, 5, 7, 3), np.float32)
before = np.asarray(model(x))
upsample_by_resizing(model)
assert np.array_equal(before, np.asarray(model(x))), "differs"
"""
    source = str(ROOT / "src")
    done = subprocess.run(
        [find_python(), "-c", code],
        env={**os.environ, "PYTHONPATH": source, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=NET,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_agreement_is_what_the_files_show(models: Path, tmp_path: Path) -> None:
    """The report's figure against our own count with another interpreter, on all samples."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    report = run(models, tmp_path / "x.tflite", "cnn.keras", samples="pixels.npy")
    interpreter = Interpreter(
        str(tmp_path / "x.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    [image], [scores] = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for pixels in np.load(models / "pixels.npy"):
        scale, zero = image["quantization"]
        wanted = np.clip(np.round(pixels / scale) + zero, 0, 255).astype(np.uint8)
        interpreter.set_tensor(image["index"], wanted[np.newaxis])
        interpreter.invoke()
        found.append(int(interpreter.get_tensor(scores["index"]).argmax()))
    np.save(tmp_path / "found.npy", found)
    code = f"""
import numpy as np, keras
model = keras.models.load_model({str(models / "cnn.keras")!r}, compile=False)
exact = model.predict(np.load({str(models / "pixels.npy")!r}).astype("float32"), verbose=0).argmax(1)
print((exact == np.load({str(tmp_path / "found.npy")!r})).mean())
"""
    done = subprocess.run([find_python(), "-c", code], capture_output=True, text=True, timeout=NET, check=True)
    assert float(done.stdout.split()[-1]) == pytest.approx(report.agreement, abs=0.05)
