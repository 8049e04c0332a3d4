"""Real onnx2tf and TensorFlow: ONNX models of every kind that is taken, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coralforge.convert.environment import find_python
from coralforge.convert.models import quantize_any
from coralforge.errors import CoralforgeError
from coralforge.events import Recorder
from coralforge.quantize.environment import find_python as models_python
from coralforge.quantize.quantize import QuantizeOptions
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.text import report_text
from tests.conftest import ROOT
from tests.integration.conftest import BUILD_TIMEOUT, Checkout

pytestmark = [pytest.mark.tensorflow, pytest.mark.onnx2tf]
PICTURES = 12


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ONNX models, and pictures in ``pictures``."""
    folder, maker = tmp_path_factory.mktemp("onnx"), ROOT / "tests/support/onnx_models.py"
    done = subprocess.run(
        [find_python(), maker, folder], capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (folder / "pictures").mkdir()
    random = np.random.default_rng(3)
    for number in range(PICTURES):
        pixels = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"pictures/{number}.png")
    return folder


def run(models: Path, output: Path, model: str, outputs: tuple[str, ...] = (), **options: Any) -> QuantizeReport:
    """Quantize one of the models; with the pictures, scaled to 0 to 1, unless something else is said."""
    said = {"samples": "pictures", "preprocess": "0..1"} | options
    return quantize_any(QuantizeOptions(models / model, output, folder=models, **said), Recorder(), outputs)


@pytest.fixture(scope="session")
def net(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.onnx, quantized once."""
    return run(models, tmp_path_factory.mktemp("net") / "x.tflite", "net.onnx").output


def worst(report: QuantizeReport) -> float:
    """The largest error of any output against the float model, as a part of its range."""
    figures = [one["accuracy"] for one in report.data["outputs"]]
    return max(float(one["worst_error"] / (one["range"][1] - one["range"][0])) for one in figures)


def calculate(model: Path, values: Any) -> list[Any]:
    """The outputs of a .tflite as real numbers, by position."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()
    [taken] = interpreter.get_input_details()
    scale, point = taken["quantization"]
    interpreter.set_tensor(taken["index"], np.clip(np.round(values / scale) + point, 0, 255).astype(np.uint8))
    interpreter.invoke()
    found = []
    for one in interpreter.get_output_details():
        scale, point = one["quantization"]
        found.append((interpreter.get_tensor(one["index"]).astype(np.float64) - point) * scale)
    return found


class TestModels:
    """What PyTorch exports becomes a model like any other."""

    def test_an_open_batch_becomes_one_and_channels_come_last(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "net.onnx", preprocess="torch")
        data = report.data
        assert data["model"]["name"] == "net.onnx"
        assert data["model"]["kind"] == "ONNX, opset 17, coralforge-test"
        [taken], [given] = data["inputs"], data["outputs"]
        assert (taken["name"], taken["shape"], taken["type"]) == ("image", [1, 24, 24, 3], "uint8")
        assert (given["name"], given["shape"]) == ("scores", [1, 10])
        assert data["conversion"]["inputs"] == [{"name": "image", "onnx": [1, 3, 24, 24], "shape": [1, 24, 24, 3]}]
        assert data["conversion"]["outputs"][0]["error"] < 1e-4
        assert data["versions"]["onnx2tf"] == "1.29.24"
        assert worst(report) < 0.05
        text = report_text(report)
        assert "input image: 1x3x24x24 in the file, 1x24x24x3 now (channels last)" in text
        assert str(tmp_path) not in text.replace(str(tmp_path / "x"), "")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.quantize.json", "x.tflite"]

    def test_the_result_is_that_of_the_file_in_onnx_runtime(self, models: Path, net: Path, tmp_path: Path) -> None:
        """Channels and rows are not confused: a flattened picture would tell."""
        picture = np.linspace(0, 1, 24 * 24 * 3).reshape(1, 24, 24, 3)
        np.save(tmp_path / "picture.npy", picture.transpose(0, 3, 1, 2).astype(np.float32))
        script = (
            "import numpy, onnxruntime, sys; "
            "made = onnxruntime.InferenceSession(sys.argv[1]).run(None, {'image': numpy.load(sys.argv[2])})[0]; "
            "print(*made.ravel())"
        )
        ran = [str(find_python()), "-I", "-c", script, str(models / "net.onnx"), str(tmp_path / "picture.npy")]
        printed = subprocess.run(ran, capture_output=True, text=True, check=True).stdout
        exact = np.array([float(word) for word in printed.split()])
        [found] = calculate(net, picture)
        assert np.abs(found.ravel() - exact).max() < 0.08 * np.ptp(exact)

    @pytest.mark.parametrize("shape", ["3x24x24", "24x24x3"])
    def test_open_sizes_are_given_in_either_order(self, models: Path, tmp_path: Path, shape: str) -> None:
        report = run(models, tmp_path / "x.tflite", "open.onnx", shape=shape)
        assert report.data["inputs"][0]["shape"] == [1, 24, 24, 3]

    def test_the_same_gives_the_same_bytes_wherever_the_weights_are(
        self, models: Path, net: Path, tmp_path: Path
    ) -> None:
        """In apart.onnx they are in a file beside it."""
        assert run(models, tmp_path / "two.tflite", "apart.onnx").output.read_bytes() == net.read_bytes()

    def test_a_model_that_tensorflow_exported_keeps_its_layout(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "last.onnx")
        assert report.data["inputs"][0]["shape"] == [1, 20, 24, 3]
        assert worst(report) < 0.05

    def test_inputs_and_outputs_keep_their_order_and_names(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "several.onnx", samples="", random=10)
        assert [one["name"] for one in report.data["inputs"]] == ["zeta", "alpha"]
        assert [one["name"] for one in report.data["outputs"]] == ["second_0", "first_0"]

    def test_convolutions_in_groups_become_what_the_compiler_reads(self, models: Path, tmp_path: Path) -> None:
        report = run(models, tmp_path / "x.tflite", "grouped.onnx", samples="", random=10)
        operations = {(one["name"], one["version"]): one["count"] for one in report.data["operations"]}
        assert operations["CONV_2D", 3] == 2, "one for each group"
        assert operations["DEPTHWISE_CONV_2D", 3] == 1

    @pytest.mark.parametrize(("model", "kinds"), [("pooled.onnx", {"PAD"}), ("signed.onnx", set())])
    def test_padding_of_a_pooling_takes_no_part_in_the_range(
        self, models: Path, tmp_path: Path, model: str, kinds: set[str]
    ) -> None:
        """PyTorch pads it with minus infinity."""
        report = run(models, tmp_path / "x.tflite", model)
        assert worst(report) < 0.05
        assert {one["name"] for one in report.data["operations"]} & {"PAD", "PADV2"} == kinds

    @pytest.mark.parametrize("model", ["double.onnx", "half.onnx"])
    def test_another_precision_becomes_float(self, models: Path, tmp_path: Path, model: str) -> None:
        assert worst(run(models, tmp_path / "x.tflite", model)) < 0.05


class TestDetectors:
    """Boxes and scores of YOLO models get a scale each."""

    @pytest.mark.parametrize(
        ("model", "boxes", "scores"),
        [
            ("v5.onnx", [1, 240, 4], [1, 240, 6]),
            ("v8.onnx", [1, 4, 80], [1, 5, 80]),
            ("turned.onnx", [1, 80, 4], [1, 80, 5]),
        ],
    )
    def test_boxes_and_scores_are_parted(
        self, models: Path, tmp_path: Path, model: str, boxes: list[int], scores: list[int]
    ) -> None:
        report = run(models, tmp_path / "x.tflite", model)
        first, second = report.data["outputs"]
        assert (first["name"], first["shape"]) == ("output0_boxes", boxes)
        assert (second["name"], second["shape"]) == ("output0_scores", scores)
        assert second["scale"] <= 1 / 255, "hundreds of steps for a score"
        assert first["scale"] > 0.1
        assert second["accuracy"]["worst_error"] < 0.05
        assert report.data["conversion"]["head"]["output"] == "output0"
        assert not any("joins values of very different size" in text for text in report.warnings)

    def test_one_output_for_both_is_left_where_it_is_asked_for_and_warned_of(
        self, models: Path, tmp_path: Path
    ) -> None:
        report = run(models, tmp_path / "x.tflite", "v8.onnx", outputs=("output0",))
        assert [one["name"] for one in report.data["outputs"]] == ["output0"]
        assert report.data["conversion"]["head"] is None
        assert any("joins values of very different size" in text for text in report.warnings)


class TestRefusals:
    """One clear error each, with its cause and remedy, and nothing left behind."""

    @pytest.mark.parametrize(
        ("model", "reason", "said"),
        [
            ("quantized.onnx", "model-quantized", "QuantizeLinear"),
            ("foreign.onnx", "model-op-unsupported", "com.example.FusedThing"),
            ("suppressed.onnx", "model-op-unsupported", "nms=False"),
            ("branch.onnx", "model-control-flow", "If"),
            ("unfitting.onnx", "model-invalid", "MatMul"),
            ("batch.onnx", "model-dynamic", "a batch of 4"),
            ("open.onnx", "model-dynamic", "--input-shape 3x224x224"),
            ("lost.onnx", "model-external-data", "'lost.data', which is not beside it"),
        ],
    )
    def test_by_cause(self, models: Path, tmp_path: Path, model: str, reason: str, said: str) -> None:
        error = self.refused(models, tmp_path, model)
        assert error.reason == reason
        assert said in str(error)
        assert model in error.brief

    def test_an_output_that_is_not_there(self, models: Path, tmp_path: Path) -> None:
        error = self.refused(models, tmp_path, "v8.onnx", ("nothing",))
        assert error.reason == "model-output-unknown"
        assert "the last ones are output0, " in error.details

    def test_weights_outside_the_models_folder_are_not_opened(self, models: Path, tmp_path: Path) -> None:
        folder, out = tmp_path / "away", tmp_path / "out"
        folder.mkdir()
        out.mkdir()
        data = (models / "apart.onnx").read_bytes().replace(b"apart.data", b"/../a.data")
        (folder / "m.onnx").write_bytes(data)
        shutil.copy(models / "apart.data", tmp_path / "a.data")
        error = self.refused(folder, out, "m.onnx", random=5, samples="")
        assert error.reason == "model-invalid"
        assert "outside its folder" in error.brief

    def test_what_quantizing_refuses_names_the_file_that_was_given(self, models: Path, tmp_path: Path) -> None:
        error = self.refused(models, tmp_path, "net.onnx", preprocess="auto")
        assert error.reason == "preprocess-missing"
        error = self.refused(models, tmp_path, "several.onnx")
        assert error.reason == "samples-mismatch"
        assert "coralforge-convert" not in str(error)

    def refused(
        self, models: Path, tmp_path: Path, model: str, outputs: tuple[str, ...] = (), **options: Any
    ) -> CoralforgeError:
        with pytest.raises(CoralforgeError) as raised:
            run(models, tmp_path / "x.tflite", model, outputs, **options)
        assert list(tmp_path.iterdir()) == []
        return raised.value


def test_the_verb_takes_one(models: Path, tmp_path: Path, cli: Checkout) -> None:
    place = tmp_path / "x.tflite"
    ran = cli.invoke(
        "quantize", "--model", str(models / "v8.onnx"), "--samples", str(models / "pictures"), "--preprocess", "0..1",
        "--outputs", "output0", "--output", str(place),
        CORALFORGE_MODELS_PYTHON=str(models_python()), CORALFORGE_CONVERT_PYTHON=str(find_python()),
    )  # fmt: skip
    assert ran.status == 0, ran.stderr
    assert "Converted by onnx2tf" in ran.stdout
    assert place.exists()
