"""What a model says of itself, and the labels that come with it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from coralforge.compile.simulator import compile_for_simulator
from coralforge.errors import CoralforgeError
from coralforge.inspect.inspector import inspect_model
from coralforge.inspect.statement import contradictions
from coralforge.tflite.arithmetic import Arithmetic, arithmetic_of
from coralforge.tflite.carried import with_statement
from coralforge.tflite.graph import Tensor
from coralforge.tflite.labels import labels_of, split
from coralforge.tflite.metadata import FileType, Normalization, read_metadata
from coralforge.tflite.model import Model, parse_model, read_model
from coralforge.tflite.pixels import pixels_of
from coralforge.tflite.ultralytics import parse
from tests.support.compiled_maker import as_hardware
from tests.support.metadata_maker import (
    AXIS_LABELS,
    VALUE_LABELS,
    about,
    described,
    metadata,
    names,
    with_files,
    zipped,
)
from tests.support.model_maker import Maker, X, classifier, float_ends, mixed

FIVE = b"ant\nbee\ncat\ndog\neel\n"
IMAGE = about("image", content=(2, 1), mean=[127.5], std=[127.5])
SCORES = about("scores", files=[("labels.txt", AXIS_LABELS, "")])


def with_metadata(files: dict[str, bytes], said: bytes | None = None) -> Model:
    return parse_model(X, described(classifier(), said or metadata("Animals", [IMAGE], [SCORES]), files))


def test_what_the_metadata_writer_writes_is_read() -> None:
    found = read_metadata(with_metadata({"labels.txt": FIVE}))
    assert found is not None
    assert (found.name, found.author, found.licence, found.damage) == ("Animals", "us", "MIT", "")
    assert found.inputs[0].content == "picture RGB"
    assert found.inputs[0].normalization == Normalization((127.5,), (127.5,))
    assert found.outputs[0].files[0].type is FileType.AXIS_LABELS
    assert found.appended == ("labels.txt",)


def test_a_real_model_of_corals(testdata: Path) -> None:
    model = read_model(testdata / "mobilenet_v1_0.25_128_quant.tflite")
    found = read_metadata(model)
    assert found is not None
    assert (found.name, found.inputs[0].content) == ("ImageClassifier", "picture RGB")
    (labels,) = labels_of(model, found)
    assert (labels.source, len(labels.names), labels.wanted, labels.output) == ("imagenet_labels.txt", 1001, 1001, 0)
    assert "tiger cat" in labels.names


def test_a_model_that_says_nothing() -> None:
    model = parse_model(X, classifier())
    assert read_metadata(model) is None
    assert labels_of(model, None) == ()


@pytest.mark.parametrize(
    ("files", "outputs", "wanted"),
    [
        ({"labels.txt": FIVE}, [SCORES], 5),
        ({"class.txt": FIVE}, [about(files=[("class.txt", VALUE_LABELS, "")])], None),
        ({"de.txt": b"Ameise\n", "en.txt": FIVE}, [about(files=[("de.txt", 2, "de"), ("en.txt", 2, "")])], 5),
        ({"some_labels.txt": FIVE}, [], 5),
    ],
)
def test_where_labels_are_found(
    files: dict[str, bytes], outputs: list[dict[str, object]], wanted: int | None
) -> None:
    model = with_metadata(files, metadata("x", [IMAGE], outputs))
    (labels,) = labels_of(model, read_metadata(model))
    assert labels.names == ("ant", "bee", "cat", "dog", "eel")
    assert labels.wanted == wanted
    assert labels.text == FIVE.decode()


def test_labels_that_are_named_and_not_there() -> None:
    model = with_metadata({"other.bin": b""})
    assert labels_of(model, read_metadata(model)) == ()


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"0 cat\n1 dog\n", ("cat", "dog")),
        (b"2: eel\n0: ant\n", ("ant", "", "eel")),
        ("\ufeffKüche\r\n\r\nHof".encode(), ("Küche", "", "Hof")),
        (b"1 cat\nno number\n", ("1 cat", "no number")),
        (b"", ()),
        (b"\x1b[2Jcat\n\xff\xfe", ("\ufffd[2Jcat", "\ufffd\ufffd")),
    ],
)
def test_labels_are_read_as_the_programs_on_the_board_read_them(data: bytes, names: tuple[str, ...]) -> None:
    assert split(data) == names


YOLO = {"description": "Ultralytics YOLOv8n", "task": "detect", "names": {0: "person", 2: "car"}}


@pytest.mark.parametrize("text", [repr(YOLO), json.dumps(YOLO)])
def test_the_file_of_ultralytics_in_both_forms(text: str) -> None:
    name = "metadata.json" if text.startswith('{"') else "temp_meta.txt"
    model = parse_model(X, with_files(classifier(), {name: text.encode()}))
    found = read_metadata(model)
    assert found is not None and found.yolo is not None
    assert (found.yolo.description, found.yolo.task) == ("Ultralytics YOLOv8n", "detect")
    (labels,) = labels_of(model, found)
    assert labels.names == ("person", "", "car")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "{'names': 1}",
        "(" * 500,
        "[" * 100_000,
        "-" * 50_000 + "1",
        "{'names': {0: open('x')}}",
        "1e" * 99,
    ],
)
def test_a_file_that_only_looks_like_ultralytics(text: str) -> None:
    assert parse(text.encode()) is None


def test_labels_that_do_not_fit_the_output_are_said() -> None:
    for lines, hint in ((4, "one off"), (3, "shown by number"), (9, "another model")):
        model = with_metadata({"labels.txt": b"x\n" * lines})
        found = inspect_model(model)
        (warning,) = (one for one in found.warnings if one.name == "labels-count")
        assert f"{lines} labels (labels.txt) for an output of 5 values" in warning.text
        assert hint in warning.text
    assert contradictions(inspect_model(with_metadata({"labels.txt": FIVE})).statement) == ()


def image(kind: str, scale: float, zero_point: int) -> Tensor:
    scales, points = ((scale,), (zero_point,)) if scale else ((), ())
    return Tensor(0, "image", kind, (1, 8, 8, 3), scales, points, False, None)


@pytest.mark.parametrize(
    ("tensor", "normalization", "text", "fits"),
    [
        (image("UINT8", 1 / 128, 128), ([127.5], [127.5]), "as they are, 0 to 255", True),
        (image("UINT8", 1 / 128, 127), ([127], [128]), "as they are, 0 to 255", True),
        (image("INT8", 1 / 255, -128), ([0], [255]), "less 128: -128 to 127", True),
        (image("FLOAT32", 0, 0), ([127.5], [127.5]), "(pixel - 127.5) / 127.5", True),
        (image("UINT8", 0.02, 114), ([124, 116, 104], [58, 57, 57]), "(pixel - 124) / 58, (pixel - 116) / 57", True),
        (image("UINT8", 1 / 128, 128), ([0], [1]), "(pixel - 0) / 1, divided by 0.0078125, plus 128, rounded", False),
    ],
)
def test_how_pixels_are_to_be_given(
    tensor: Tensor, normalization: tuple[list[float], list[float]], text: str, fits: bool
) -> None:
    mean, std = normalization
    found = pixels_of(tensor, Normalization(tuple(mean), tuple(std)))
    assert found is not None
    assert found.text.startswith(text)
    assert found.fits is fits


def test_a_normalization_of_another_model_is_a_warning() -> None:
    said = metadata("x", [about("image", mean=[0.0], std=[0.001])], [])
    warnings = inspect_model(with_metadata({}, said)).warnings
    assert "normalization" in [one.name for one in warnings]


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
def test_a_normalization_that_nobody_can_compute_is_none(std: float) -> None:
    said = metadata("x", [about("image", mean=[0.0], std=[std])], [])
    found = read_metadata(with_metadata({}, said))
    assert found is not None
    assert found.inputs[0].normalization is None


def test_damaged_metadata_is_a_warning_and_the_model_is_read() -> None:
    model = with_metadata({}, b"\xff\xff\xff\x7fM001" + bytes(30))
    found = inspect_model(model)
    assert [one.name for one in found.warnings] == ["metadata-damaged"]


def test_a_compiled_model_says_what_the_plain_one_says() -> None:
    """Google's compiler drops both metadata and files: this makes one of our own stand-in that dropped them."""
    plain = with_metadata({"labels.txt": FIVE})
    raw = as_hardware(classifier(), runtime=14)
    made = parse_model(X, raw)
    kept = parse_model(X, with_statement(made, raw, plain))
    assert [one.payload for one in kept.graph.operations] == [one.payload for one in made.graph.operations]
    assert (kept.graph.tensors, kept.graph.inputs) == (made.graph.tensors, made.graph.inputs)
    assert names(kept).count("TFLITE_METADATA") == 1
    (labels,) = labels_of(kept, read_metadata(kept))
    assert labels.names[0] == "ant"


def test_what_a_compiled_model_says_itself_stays() -> None:
    plain = with_metadata({"labels.txt": FIVE})
    own = described(as_hardware(classifier(), runtime=14), metadata("Own"), {"own.txt": b"1"})
    assert with_statement(parse_model(X, own), own, plain) == own
    silent = as_hardware(classifier(), runtime=14)
    assert with_statement(parse_model(X, silent), silent, parse_model(X, classifier())) == silent


def test_a_segment_with_other_inputs_gets_the_files_only() -> None:
    plain, segment = with_metadata({"labels.txt": FIVE}), mixed()
    kept = parse_model(X, with_statement(parse_model(X, segment), segment, plain))
    assert "TFLITE_METADATA" not in names(kept)
    with zipfile.ZipFile(io.BytesIO(kept.archive)) as archive:
        assert archive.read("labels.txt") == FIVE


def test_the_simulators_compile_keeps_all() -> None:
    made = parse_model(X, compile_for_simulator(with_metadata({"labels.txt": FIVE})).data)
    found = read_metadata(made)
    assert found is not None
    assert found.name == "Animals"
    assert labels_of(made, found)[0].names[4] == "eel"


class TestArchives:
    """A model in a zip archive, as Teachable Machine hands it out."""

    def test_is_taken_with_its_labels(self, tmp_path: Path) -> None:
        path = tmp_path / "converted_tflite_quantized.zip"
        path.write_bytes(zipped({"model.tflite": classifier(), "labels.txt": b"0 ant\n1 bee\n2 c\n3 d\n4 e\n"}))
        model = read_model(path)
        assert (model.path, model.member) == (path, "model.tflite")
        (labels,) = labels_of(model, read_metadata(model))
        assert (labels.names[:2], labels.wanted, labels.misfit) == (("ant", "bee"), 5, "")
        assert inspect_model(model).statement.member == "model.tflite"

    @pytest.mark.parametrize(
        ("files", "labels"),
        [
            ({"x/model.tflite": b"", "labels.txt": b"other folder"}, b""),
            ({"x/model.tflite": b"", "x/labels.txt": b"a"}, b"a"),
            ({"model.tflite": b"", "my_labels.txt": b"a", "README.txt": b"b"}, b"a"),
            ({"model.tflite": b"", "__MACOSX/._model.tflite": b"x", "labels.txt": b"a"}, b"a"),
            ({"model.tflite": b"", "labels.txt": b"a", "classes.txt": b"b"}, b""),
        ],
    )
    def test_labels_are_those_beside_the_model(self, files: dict[str, bytes], labels: bytes, tmp_path: Path) -> None:
        content = {name: classifier() if name.endswith("/model.tflite") or name == "model.tflite" else data
                   for name, data in files.items()}  # fmt: skip
        (tmp_path / "x.zip").write_bytes(zipped(content))
        assert read_model(tmp_path / "x.zip").labels == labels

    @pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_a_large_model_is_taken(self, packing: int, tmp_path: Path) -> None:
        make = Maker()
        source = make.tensor("x", [1, 1, 1, 1024])
        conv = make.conv(source, "large", 1, 8192)
        data = make.pack([source], [conv])
        with zipfile.ZipFile(tmp_path / "x.zip", "w", packing) as archive:
            archive.writestr("model.tflite", data)
        assert read_model(tmp_path / "x.zip").size == len(data) > 8 << 20

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("coralforge.tflite.model.MAX_BYTES", 1000)
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.tflite", bytes(1 << 20))
        with pytest.raises(CoralforgeError, match="larger than 1,000 bytes") as raised:
            read_model(tmp_path / "x.zip")
        assert raised.value.reason == "model-invalid"

    def test_a_rare_packing_is_one_line(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("model.tflite", classifier())
        with pytest.raises(CoralforgeError, match="neither stored nor deflated"):
            read_model(tmp_path / "x.zip")


def _weighted(kind: str, scales: tuple[float, ...], activations: str = "FLOAT32") -> Model:
    """A dense layer whose weights are of one kind, and whose input and output are of another."""
    make = Maker()
    marks = (0.1,) if activations == "INT16" else ()
    ends = [make.tensor(name, [1, 4], activations, scales=marks) for name in ("in", "out")]
    size = {"FLOAT16": 2, "FLOAT32": 4, "INT8": 1}[kind]
    weights = make.tensor("w", [4, 4], kind, bytes(16 * size), scales)
    make.operator("FULLY_CONNECTED", [ends[0], weights], [ends[1]], 1, ("FullyConnectedOptions", {}))
    return make.model(ends[:1], ends[1:])


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (parse_model(X, classifier()), Arithmetic.FULL_INTEGER),
        (float_ends(), Arithmetic.FLOAT_ENDS),
        (_weighted("FLOAT32", ()), Arithmetic.FLOAT),
        (_weighted("FLOAT16", ()), Arithmetic.FLOAT16),
        (_weighted("INT8", (0.1,)), Arithmetic.DYNAMIC_RANGE),
        (_weighted("INT8", (0.1,), "INT16"), Arithmetic.INT16),
    ],
    ids=lambda value: value.value if isinstance(value, Arithmetic) else "",
)
def test_in_which_numbers_a_model_computes(model: Model, found: Arithmetic) -> None:
    assert arithmetic_of(model.graph) is found
    assert found.quantized is (found in (Arithmetic.FULL_INTEGER, Arithmetic.FLOAT_ENDS))
    refused = [one.reason for one in inspect_model(model).refusals]
    assert ("model-not-quantized" in refused) is not found.quantized
