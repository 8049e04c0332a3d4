"""Models of pipeline.yaml: found, compiled, and refused where they fall short of what was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.bundle.manifest import ModelUsed
from coralforge.bundle.model_files import bundled_models, locate, survey_models
from coralforge.bundle.model_maker import RECORD, make
from coralforge.bundle.sample import SAMPLE
from coralforge.compile.simulator import compile_for_simulator
from coralforge.config.base import Variant
from coralforge.config.pipeline import Sample
from coralforge.edgetpu.estimate import HOST, PCI, USB2, USB3
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Recorder
from coralforge.plan import ModelFact
from coralforge.settings import Settings
from coralforge.tflite.labels import labels_of
from coralforge.tflite.metadata import read_metadata
from coralforge.tflite.model import read_model
from tests.conftest import SAMPLE as SAMPLE_FOLDER
from tests.support.metadata_maker import AXIS_LABELS, about, described, metadata, zipped
from tests.support.model_maker import classifier, mixed
from tests.support.model_project import settings_with

SAMPLE_OF_MINE: dict[str, object] = {
    "name": "mine",
    "model": {"path": "net.tflite"},
    "labels": {"path": "labels.txt"},
    "image": {"path": "image.bmp"},
    "expected": 1,
}
SIZE = 8 * 8 * 3  # bytes of an input of ``classifier()``
CLASSIFIER = """\
    net:
      model: {path: net.tflite}
      target: simulator
      labels: {path: labels.txt}
      image: {path: image.bmp}
      expected: 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "net.tflite").write_bytes(classifier())
    (tmp_path / "mixed.tflite").write_bytes(mixed())
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    shutil.copy(SAMPLE_FOLDER / "cat.bmp", tmp_path / "image.bmp")
    (tmp_path / "out").mkdir()
    return tmp_path


def made(project: Path, models: str, name: str = "net") -> Path:
    return made_by(settings_with(project, models), project, name)


def made_by(settings: Settings, project: Path, label: str) -> Path:
    (model,) = (one for one in bundled_models(settings) if one.label == label)
    make(settings, model, locate(settings, model), project / "out", Recorder())
    return project / "out"


def fact(settings: Settings, label: str = "net") -> ModelFact:
    (found,) = (one for one in survey_models(settings) if one.name == label)
    return found


def refused(project: Path, models: str) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        made(project, models)
    gate = caught.value.reason == "model-mapped-fraction"
    assert caught.value.code is (ExitCode.GATE if gate else ExitCode.USER)
    return caught.value


def used(out: Path) -> ModelUsed:
    return ModelUsed.model_validate_json((out / RECORD).read_bytes())


def test_a_model_for_the_simulator_comes_with_its_check_and_a_record(project: Path) -> None:
    out = made(project, CLASSIFIER)
    assert {path.name for path in out.iterdir()} == {
        "model.tflite",
        "model_edgetpu-sim.tflite",
        "labels.txt",
        "image.bmp",
        "expected.json",
        RECORD,
    }
    assert json.loads((out / "expected.json").read_text()) == {"top1_index": 1, "top1_label": "dog"}
    assert used(out).mapped == used(out).operations == len(read_model(out / "model.tflite").graph.operations)
    assert "SIMULATED" in used(out).compiler
    assert used(out).min_runtime is None


def test_questions_go_into_the_bundle_and_are_part_of_the_key(project: Path) -> None:
    (project / "net.questions.bin").write_bytes(bytes(3 * SIZE))
    models = CLASSIFIER + "      questions: {path: net.questions.bin}\n"
    before = fact(settings_with(project, models))
    assert (made(project, models) / "questions.bin").stat().st_size == 3 * SIZE
    (project / "net.questions.bin").write_bytes(bytes(2 * SIZE))
    assert fact(settings_with(project, models)) != before


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE + 1, 1001 * SIZE])
def test_questions_of_another_model_are_refused(project: Path, size: int) -> None:
    (project / "net.questions.bin").write_bytes(bytes(size))
    error = refused(project, CLASSIFIER + "      questions: {path: net.questions.bin}\n")
    assert error.reason == "model-question"
    assert f"it has {size} bytes" in error.brief


def test_labels_inside_the_model_become_its_labels(project: Path) -> None:
    said = metadata("x", [about()], [about(files=[("names.txt", AXIS_LABELS, "")])])
    (project / "net.tflite").write_bytes(described(classifier(), said, {"names.txt": b"0 a\n1 b\n2 c\n3 d\n4 e\n"}))
    out = made(project, CLASSIFIER.replace("      labels: {path: labels.txt}\n", ""))
    assert (out / "labels.txt").read_text() == "a\nb\nc\nd\ne\n"
    assert json.loads((out / "expected.json").read_text()) == {"top1_index": 1, "top1_label": "b"}
    compiled = read_model(out / "model_edgetpu-sim.tflite")
    assert [one.source for one in labels_of(compiled, read_metadata(compiled))] == ["names.txt"]


def test_a_model_comes_out_of_an_archive_with_the_labels_beside_it(project: Path) -> None:
    (project / "tm.zip").write_bytes(zipped({"model.tflite": classifier(), "labels.txt": b"a\nb\nc\nd\ne\n"}))
    out = made(project, "net: {model: {path: tm.zip}, target: simulator}")
    assert (out / "model.tflite").read_bytes() == classifier()
    assert (out / "labels.txt").read_text() == "a\nb\nc\nd\ne\n"
    assert not (out / "expected.json").exists()
    assert used(out).checked is False


def test_labels_that_do_not_fit_the_model_are_said(project: Path) -> None:
    settings, sink = settings_with(project, CLASSIFIER), Recorder()
    (model,) = (one for one in bundled_models(settings) if one.label == "net")
    make(settings, model, locate(settings, model), project / "out", sink)
    (note,) = (event for event in sink.events if isinstance(event, Note))
    assert note.text.startswith("model net: There are 2 labels (labels.txt) for an output of 5 values.")


def test_a_question_without_labels_anywhere_is_refused(project: Path) -> None:
    error = refused(project, CLASSIFIER.replace("      labels: {path: labels.txt}\n", ""))
    assert (error.reason, "no labels in it" in error.brief) == ("model-question", True)


def test_a_model_below_its_fraction_enters_no_bundle(project: Path) -> None:
    error = refused(project, "net: {model: {path: mixed.tflite}, target: simulator}")
    assert error.reason == "model-mapped-fraction"
    assert error.brief == (
        "the model net has 3 of 6 operations on the Edge TPU (50%), less than min_mapped (100%): it enters no bundle"
    )
    assert "or lower models.net.min_mapped" in error.remedy


def test_a_user_may_say_that_less_is_enough(project: Path) -> None:
    out = made(project, "net: {model: {path: mixed.tflite}, target: simulator, min_mapped: 0.1}")
    assert 0 < used(out).mapped < used(out).operations
    assert not used(out).checked


def test_a_model_for_the_cpu_has_to_be_asked_for(project: Path) -> None:
    assert refused(project, "net: {model: {path: net.tflite}, target: cpu}").reason == "model-mapped-fraction"
    out = made(project, "net: {model: {path: net.tflite}, target: cpu, min_mapped: 0}")
    assert {path.name for path in out.iterdir()} == {"model.tflite", RECORD}


class TestCompiledBeforehand:
    """With pairs of a plain model and what Google's compiler made of it."""

    models = "net: {model: {path: plain.tflite}, compiled: {path: compiled.tflite}, min_mapped: 0.8}"

    def take(self, project: Path, testdata: Path, plain: str, compiled: str) -> None:
        shutil.copy(testdata / f"{plain}.tflite", project / "plain.tflite")
        shutil.copy(testdata / f"{compiled}.tflite", project / "compiled.tflite")

    @pytest.mark.parametrize(
        ("name", "mapped", "operations"),
        [("mobilenet_v1_0.25_128_quant", 31, 31), ("deeplabv3_mnv2_dm05_pascal_quant", 64, 72)],
    )
    def test_it_is_taken_and_counted(
        self, project: Path, testdata: Path, name: str, mapped: int, operations: int
    ) -> None:
        self.take(project, testdata, name, f"{name}_edgetpu")
        out = made(project, self.models)
        assert (used(out).mapped, used(out).operations, used(out).min_runtime) == (mapped, operations, 12)
        assert used(out).compiler == "compiled beforehand"
        assert (out / "model_edgetpu.tflite").read_bytes() == (testdata / f"{name}_edgetpu.tflite").read_bytes()

    def test_what_was_made_of_another_model_is_refused(self, project: Path, testdata: Path) -> None:
        self.take(project, testdata, "mobilenet_v1_0.25_128_quant", "keras_lstm_mnist_ptq_edgetpu")
        error = refused(project, self.models)
        assert error.reason == "model-pair"
        # The engine's own remedy names --plain of `invoke inspect`, which a bundle does not have.
        assert error.remedy == "give the .tflite file that the compiler got as models.net.model"

    def test_one_for_a_newer_runtime_than_the_release_is_refused(self, project: Path, testdata: Path) -> None:
        name = "mobilenet_v1_0.25_128_quant"
        self.take(project, testdata, name, f"{name}_edgetpu")
        settings = settings_with(project, self.models)
        older = replace(settings, release=settings.release.model_copy(update={"edgetpu_runtime": 11}))
        with pytest.raises(CoralforgeError) as caught:
            made_by(older, project, "net")
        assert caught.value.reason == "model-runtime"

    def test_one_for_the_simulator_is_not_for_hardware(self, project: Path, testdata: Path) -> None:
        self.take(project, testdata, "mobilenet_v1_0.25_128_quant", "mobilenet_v1_0.25_128_quant")
        compiled = compile_for_simulator(read_model(project / "plain.tflite"))
        (project / "compiled.tflite").write_bytes(compiled.data)
        assert refused(project, self.models).code is ExitCode.USER


@pytest.mark.parametrize(
    ("models", "reason", "named"),
    [
        ("net: {model: {path: none.tflite}}", "model-file", "models.net.model"),
        ("net: {model: {path: labels.txt}}", "model-quantize", "add 'quantize'"),
        ("net: {model: {path: net.tflite}, quantize: {random: 3}}", "model-quantize", "remove 'quantize'"),
        ("net: {model: {path: net.tflite}}\nnet: {}", "yaml-duplicate-key", "net"),
        ("net: {model: {path: a, sha256: b}}", "config-invalid", "sha256"),
        ("net: {model: {}}", "config-invalid", "exactly one of 'path' and 'places'"),
        ("net: {model: {path: a}, expected: 1}", "config-invalid", "give both or none"),
        ("net: {model: {path: a}, quantize: {}}", "config-invalid", "exactly one of 'samples' and 'random'"),
        ("net: {model: {path: a}, compiled: {path: b}, target: cpu}", "config-invalid", "'compiled' goes with"),
        (
            "net: {model: {path: a}, quantize: {random: 3, questions: 2}}",
            "config-invalid",
            "'questions' are samples, and 'random' has none",
        ),
        (
            "net: {model: {path: a}, questions: {path: q}, quantize: {samples: s}}",
            "config-invalid",
            "'questions' below 'quantize'",
        ),
        ("net: {model: {path: a}, min_mapped: 2}", "config-invalid", "min_mapped"),
        ("net: {model: {path: a}, target: tpu}", "config-invalid", "target"),
        ("Net: {model: {path: a}}", "config-invalid", "Net"),
        (CLASSIFIER.replace("expected: 1", "expected: 2"), "model-question", "2 labels"),
        (CLASSIFIER.replace("image.bmp", "labels.txt"), "model-question", "BMP"),
    ],
)
def test_what_is_wrong_is_named(project: Path, models: str, reason: str, named: str) -> None:
    error = refused(project, models)
    assert error.reason == reason, error
    assert named in str(error)


class TestSurvey:
    def test_the_key_follows_the_content_of_each_file(self, project: Path) -> None:
        settings = settings_with(project, CLASSIFIER)
        before = fact(settings)
        assert fact(settings) == before
        (project / "labels.txt").write_text("cat\nbird\n")
        after = fact(settings)
        assert before.inputs is not None
        assert after.inputs is not None
        assert {name for name in after.inputs if after.inputs[name] != before.inputs[name]} == {"labels"}

    def test_options_are_part_of_the_key(self, project: Path) -> None:
        before = fact(settings_with(project, CLASSIFIER))
        after = fact(settings_with(project, CLASSIFIER + "      min_mapped: 0.5\n"))
        assert before != after

    def test_a_folder_of_samples_counts_with_all_its_files(self, project: Path) -> None:
        (project / "samples").mkdir()
        (project / "samples/a.png").write_bytes(b"a")
        models = "net: {model: {path: net.keras}, quantize: {samples: samples}}"
        (project / "net.keras").write_bytes(b"k")
        before = fact(settings_with(project, models))
        (project / "samples/b.png").write_bytes(b"b")
        after = fact(settings_with(project, models))
        assert before != after

    def test_a_pinned_model_that_is_not_fetched_is_unknown(self, project: Path) -> None:
        place = "{url: 'https://example.org/net.tflite', sha256: '" + "0" * 64 + "'}"
        found = fact(settings_with(project, f"net: {{model: {{places: [{place}]}}}}"))
        assert found.inputs is None


class TestSample:
    """What the bundle proves itself with is a model like any other."""

    def settings(self, project: Path, sample: dict[str, object] | None = None) -> Settings:
        settings = settings_with(project, "{}")
        chosen = Sample.model_validate(sample) if sample else settings.pipeline.sample
        return replace(settings, pipeline=settings.pipeline.model_copy(update={"sample": chosen}))

    def test_it_is_compiled_for_the_simulated_libedgetpu_only(self, project: Path) -> None:
        settings = self.settings(project, SAMPLE_OF_MINE)
        real = replace(settings, variants=(Variant.DIRECT, Variant.SIMULATED))
        before = fact(real, SAMPLE)
        out = made_by(real, project, SAMPLE)
        assert {path.name for path in out.iterdir()} == {
            "model.tflite",
            "labels.txt",
            "image.bmp",
            "expected.json",
            RECORD,
        }
        shutil.rmtree(out)
        out.mkdir()
        made_by(settings, project, SAMPLE)
        assert (out / "model_edgetpu-sim.tflite").is_file()
        assert used(out).name == "mine"
        assert fact(settings, SAMPLE) != before

    def test_what_googles_compiler_made_of_it_goes_with_real_libraries(self, project: Path) -> None:
        """The sample as it is in pipeline.yaml; for hardware without a compiler, for the simulator as before."""
        real = replace(self.settings(project), variants=(Variant.THROTTLED, Variant.DIRECT))
        out = made_by(real, project, SAMPLE)
        compiled = SAMPLE_FOLDER / "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
        assert (out / "model_edgetpu.tflite").read_bytes() == compiled.read_bytes()
        assert (used(out).mapped, used(out).operations, used(out).compiler) == (31, 31, "compiled beforehand")
        expected = json.loads((out / "expected.json").read_text())
        assert expected["top1_label"] == "tiger cat"
        # What the emulated device counted of it on the wire: 170,032 + 49,152 + 1,008 bytes.
        # The rest is the chip's: 13.6 million multiplications, of which a tenth is in depthwise convolutions.
        for name, rate in (("usb3_ms", USB3), ("usb2_ms", USB2), ("pci_ms", PCI)):
            assert expected[name] == pytest.approx(1e3 * (HOST + 220_192 / rate) + 0.1, abs=0.06)
        shutil.rmtree(out)
        out.mkdir()
        simulated = replace(real, variants=(Variant.SIMULATED,))
        made_by(simulated, project, SAMPLE)
        assert not (out / "model_edgetpu.tflite").exists()
        assert (out / "model_edgetpu-sim.tflite").is_file()
        assert json.loads((out / "expected.json").read_text()).keys() == {"top1_index", "top1_label"}

    def test_another_file_than_the_pinned_one_is_refused(self, project: Path) -> None:
        pinned = {"path": "net.tflite", "sha256": hashlib.sha256(classifier()).hexdigest()}
        settings = self.settings(project, {**SAMPLE_OF_MINE, "model": pinned})
        survey_models(settings)
        (project / "net.tflite").write_bytes(classifier() + b"x")
        with pytest.raises(
            CoralforgeError, match=r"sample\.model: .*net\.tflite is not the file that sha256 pins"
        ) as caught:
            survey_models(settings)
        assert (caught.value.reason, caught.value.code) == ("model-file", ExitCode.USER)

    def test_a_file_of_it_that_is_not_there_is_named(self, project: Path) -> None:
        settings = self.settings(project, {**SAMPLE_OF_MINE, "labels": {"path": "none.txt"}})
        with pytest.raises(CoralforgeError, match=r"sample\.labels") as caught:
            survey_models(settings)
        assert caught.value.reason == "model-file"


@pytest.mark.parametrize("content", [b"", b"\xff", b"0" * 64, b"0" * 64 + b" " + b"0" * 64])
def test_a_damaged_note_of_a_files_digest_is_not_believed(project: Path, content: bytes) -> None:
    settings = settings_with(project, CLASSIFIER)
    before = fact(settings)
    for note in settings.cache.last.iterdir():
        note.write_bytes(content)
    assert fact(settings) == before


def test_notes_of_other_files_are_not_believed(project: Path) -> None:
    settings = settings_with(project, CLASSIFIER)
    before = fact(settings)
    one, other = sorted(settings.cache.last.iterdir())[:2]
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    assert fact(settings) == before


def test_a_pinned_file_is_read_again_before_it_is_used(project: Path) -> None:
    """Its length and time may be those that were seen, and its bytes others."""
    file = project / "net.tflite"
    pinned = CLASSIFIER.replace(
        "net.tflite}", f"net.tflite, sha256: {hashlib.sha256(file.read_bytes()).hexdigest()}}}"
    )
    settings = settings_with(project, pinned)
    assert fact(settings)
    data, times = bytearray(file.read_bytes()), file.stat()
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    (model,) = (one for one in bundled_models(settings) if one.label == "net")
    with pytest.raises(CoralforgeError, match="is not the file that sha256 pins"):
        locate(settings, model)
