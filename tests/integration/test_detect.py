"""bin/detect of the bundle: detectors of each kind, and outputs that are none, on the emulated board."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coralforge.config.arch import Arch
from coralforge.config.userlands import oldest
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board, board_run
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.events import Recorder
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.support.detector_maker import COCO, ROLES, changing, constant, detections, ssd, yolo
from tests.support.unpacked import unpacked as unpacked_by_tar

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WIDTH, HEIGHT = 400, 200  # of the picture: not square, so that stretched and fitted differ
KITE: dict[str, Any] = {"class": 2, "score": 0.9, "left": 160, "top": 40, "right": 240, "bottom": 80, "label": "kite"}
BIRD: dict[str, Any] = {
    "class": 1,
    "score": 0.8,
    "left": 240,
    "top": 120,
    "right": 320,
    "bottom": 160,
    "label": "bird",
}


@dataclass(frozen=True)
class Ran:
    status: int
    lines: list[str]

    @property
    def objects(self) -> list[dict[str, Any]]:
        assert self.status == 0, self.lines
        found: list[dict[str, Any]] = json.loads("\n".join(self.lines[self.lines.index("{") :]))["objects"]
        return found

    @property
    def error(self) -> str:
        [line] = [line for line in self.lines if line.startswith("detect: error: ")]
        return line


@dataclass(frozen=True)
class Bench:
    """Runs detect of the bundle with models of the test's own."""

    runner: DockerRunner
    image: str
    bundle: Path
    folder: Path

    def run(self, model: bytes, options: str = "--json", labels: int = COCO) -> Ran:
        (self.folder / "model.tflite").write_bytes(model)
        names = ["person", "bird", "kite", *(f"thing {i}" for i in range(3, labels))][:labels]
        (self.folder / "labels.txt").write_text("".join(f"{name}\n" for name in names))
        lines: list[str] = []
        files = "/test/model.tflite /test/labels.txt /test/picture.bmp"
        command = f"{board_run(Arch.AARCH64)} /bundle/bin/detect {files} 0.5 {options}"
        mounts = (Mount(self.bundle, "/bundle"), Mount(self.folder, "/test", writable=True))
        done = self.runner.run(
            ContainerSpec("test", self.image, ("/bin/sh", "-c", f"exec 2>&1\n{command}"), mounts), lines.append
        )
        return Ran(done.status, lines)


@pytest.fixture(scope="module")
def bench(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("detect")
    unpacked = unpacked_by_tar(bundle, folder)
    test = folder / "test"
    test.mkdir()
    test.chmod(0o777)
    folder.chmod(0o755)
    Image.new("RGB", (WIDTH, HEIGHT), (10, 20, 30)).save(test / "picture.bmp")
    settings = resolve(Project(ROOT), Options())
    runner = DockerRunner()
    wanted = board(settings.project.docker, oldest(settings.floor.versions()), settings.arch)
    image = ImageMaker.of(settings, runner.client, Recorder()).ensure(wanted)
    yield Bench(runner, image, unpacked, test)
    runner.client.close()


# Centre x, centre y, width, height, score, class, in fractions of the input, in which the picture (2 to 1) fills the
# middle half of the height: KITE and BIRD, and a worse box around the kite.
FITTED = [(0.5, 0.4, 0.2, 0.1, 0.9, 2), (0.51, 0.4, 0.2, 0.1, 0.7, 2), (0.7, 0.6, 0.2, 0.1, 0.8, 1)]


@pytest.mark.parametrize("pixels", [1, 32], ids=["fractions", "pixels"])
@pytest.mark.parametrize("form", ["yolov5", "yolov8"])
def test_yolo_boxes_are_those_of_the_picture_and_each_object_is_found_once(
    bench: Bench, form: str, pixels: int
) -> None:
    ran = bench.run(constant([("output", yolo(form, FITTED, pixels=pixels))]))
    assert ran.objects == [KITE, BIRD]


@pytest.mark.parametrize("boxes_first", [True, False], ids=["boxes first", "boxes last"])
@pytest.mark.parametrize("form", ["yolov5", "yolov8", "turned yolov8"])
def test_boxes_and_the_rest_may_be_two_outputs(bench: Bench, form: str, boxes_first: bool) -> None:
    whole = yolo(form.removeprefix("turned "), FITTED, pixels=32)
    parts = np.split(whole, [4], axis=2 if form == "yolov5" else 1)
    if form == "turned yolov8":
        parts = [part.transpose(0, 2, 1) for part in parts]
    outputs = list(zip(("a", "b"), (np.ascontiguousarray(part) for part in parts), strict=True))
    assert bench.run(constant(outputs if boxes_first else outputs[::-1])).objects == [KITE, BIRD]


def test_boxes_of_another_class_and_with_less_overlap_stay(bench: Bench) -> None:
    rows = [FITTED[0], (*FITTED[1][:5], 1)]
    assert len(bench.run(constant([("output", yolo("yolov8", rows))])).objects) == 2
    assert len(bench.run(constant([("output", yolo("yolov8", FITTED))]), "--json --overlap 0.95").objects) == 3


def test_yolov10_has_the_best_ones_already(bench: Bench) -> None:
    rows = [FITTED[0], FITTED[2]]
    assert bench.run(constant([("output", yolo("yolov10", rows))])).objects == [KITE, BIRD]


def test_quantized_outputs_are_scaled(bench: Bench) -> None:
    exact = yolo("yolov8", FITTED)
    scale, point = 1.0 / 250, -120
    stored = np.clip(np.round(exact / scale) + point, -128, 127).astype(np.int8)
    found = bench.run(constant([("output", stored)], scale=scale, point=point)).objects
    assert [one["label"] for one in found] == ["kite", "bird"]
    assert all(abs(found[0][edge] - KITE[edge]) <= 2 for edge in ("left", "top", "right", "bottom"))


@pytest.mark.parametrize(
    ("shape", "labels", "form"),
    [
        ((1, 400, 85), 80, "YOLOv5"),
        ((1, 84, 400), 80, "YOLOv8"),
        ((1, 400, 84), 80, "YOLOv8"),
        ((1, 400, 6), 1, "YOLOv5"),
        ((1, 300, 6), 80, "YOLOv10"),
        ((1, 5, 400), 1, "YOLOv8"),
        ((1, 400, 12), 80, "YOLOv5"),
        ((1, 4, 400, 1, 80, 400), 80, "YOLOv8"),
        ((1, 400, 4, 1, 400, 80), 80, "YOLOv8"),
        ((1, 400, 4, 1, 400, 81), 80, "YOLOv5"),
        ((1, 300, 4, 1, 300, 2), 2, "YOLOv8"),
        ((1, 4, 400, 1, 4, 400), 4, "YOLOv8"),
    ],
)
def test_shapes_and_labels_tell_what_it_is(bench: Bench, shape: tuple[int, ...], labels: int, form: str) -> None:
    outputs = [(f"out{i}", np.zeros(shape[i : i + 3], np.float32)) for i in range(0, len(shape), 3)]
    ran = bench.run(constant(outputs), "", labels)
    assert f"format: {form}" in ran.lines
    assert ran.lines[-1] == "objects: 0"
    assert any("they may be wrong" in line for line in ran.lines) is (shape == (1, 400, 12))


STRETCHED = detections([(0.2, 0.4, 0.4, 0.6), (0.6, 0.6, 0.8, 0.8), (0, 0, 1, 1)], (2, 1, 0), (0.9, 0.8, 0.1))


@pytest.mark.parametrize("order", [ROLES, ("scores", "boxes", "count", "classes")], ids=" ".join)
def test_ssd_outputs_are_told_apart_by_their_operation(bench: Bench, order: tuple[str, ...]) -> None:
    assert bench.run(ssd(order)).objects == [KITE, BIRD]


@pytest.mark.parametrize("order", [*itertools.permutations(ROLES)][::5], ids=" ".join)
@pytest.mark.parametrize("named", [True, False], ids=["by name", "by shape"])
def test_ssd_outputs_are_told_apart_by_name_or_shape(bench: Bench, order: tuple[str, ...], named: bool) -> None:
    outputs = [(f"detection_{role}" if named else f"out{i}", STRETCHED[role]) for i, role in enumerate(order)]
    assert bench.run(constant(outputs)).objects == [KITE, BIRD]


def changed(role: str, value: object) -> bytes:
    arrays = {name: array.copy() for name, array in STRETCHED.items()}
    arrays[role].flat[0] = value
    return constant([(role, arrays[role]) for role in ROLES])


def yolo_with(place: tuple[int, int], value: float) -> bytes:
    output = yolo("yolov8", FITTED)
    output[0][place] = value
    return constant([("output", output)])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: changed("boxes", np.nan), "a box with an edge at nan"),
        (lambda: changed("boxes", 1e30), "a box with an edge at 1"),
        (lambda: changed("scores", np.nan), "a score of nan"),
        (lambda: changed("scores", 7), "a score of 7"),
        (lambda: changed("classes", -3), "a class of -3"),
        (lambda: changed("classes", 1.5), "a class of 1.5"),
        (lambda: changed("classes", np.inf), "a class of inf"),
        (lambda: changed("count", 1e9), "that it found 1000000000.000000 objects, and has room for 3"),
        (lambda: changed("count", np.nan), "that it found nan objects"),
        (lambda: yolo_with((0, 0), np.nan), "boxes that are no numbers"),
        (lambda: yolo_with((0, 0), np.inf), "boxes that are no numbers"),
        (lambda: yolo_with((9, 9), np.nan), "a score of nan"),
        (lambda: yolo_with((9, 9), -6), "the last sigmoid is missing"),
        (lambda: constant([("output", np.zeros((1, 300, 6), np.int8))], scale=0.31), "too coarse for boxes"),
    ],
)
def test_what_can_be_no_detection_is_one_sentence(bench: Bench, model: Any, said: str) -> None:
    ran = bench.run(model())
    assert ran.status == 5
    assert said in ran.error


@pytest.mark.parametrize(
    ("declared", "real"), [((1, 400, 85), (800,)), ((1, 400, 85), (1, 400, 2)), ((1, 300, 6), (1, 900, 2))]
)
def test_an_output_that_changes_its_shape_is_not_read_beyond_its_end(
    bench: Bench, declared: tuple[int, ...], real: tuple[int, ...]
) -> None:
    ran = bench.run(changing(declared, real))
    assert ran.status == 5
    assert "their shapes changed while the model ran" in ran.error


@pytest.mark.parametrize(
    ("outputs", "shapes"),
    [
        ([("scores", np.zeros((1, 1001), np.float32))], "float32 [1, 1001]"),
        ([("map", np.zeros((1, 64, 64), np.int64))], "int64 [1, 64, 64]"),
        ([("a", np.zeros((1, 20, 20, 255), np.float32))] * 3, "float32 [1, 20, 20, 255], float32 [1, 20, 20, 255], "),
        ([("a", np.zeros((2, 84, 400), np.float32))], "float32 [2, 84, 400]"),
        ([("a", np.zeros((1, 4, 4), np.float32))], "float32 [1, 4, 4]"),
        (
            [("a", np.zeros((1, 4, 400), np.float32)), ("b", np.zeros((1, 80, 300), np.float32))],
            "float32 [1, 4, 400], ",
        ),
        (
            [(role, array) for role, array in STRETCHED.items() if role != "count"],
            "float32 [1, 3, 4], float32 [1, 3], ",
        ),
    ],
)
def test_outputs_that_are_not_known_are_shown_with_what_is(bench: Bench, outputs: Any, shapes: str) -> None:
    ran = bench.run(constant(outputs))
    assert ran.status == 5
    assert f"has outputs that are not understood: {shapes}" in ran.error
    assert "understood are SSD (boxes [1, N, 4], " in ran.error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--output picture.jpg", "--output must end in .bmp or .ppm"),
        ("--format yolov7", "not 'yolov7'"),
        ("--overlap 2", "--overlap must be a number from 0 to 1"),
        ("--top 0", "--top must be"),
    ],
)
def test_wrong_options_are_named(bench: Bench, options: str, said: str) -> None:
    ran = bench.run(ssd(), options)
    assert ran.status == 2
    assert said in ran.error


def test_what_it_is_can_be_said_and_has_to_fit(bench: Bench) -> None:
    output = constant([("output", yolo("yolov8", FITTED))])
    assert bench.run(output, "--json --format yolov8").objects == [KITE, BIRD]
    assert "not understood as SSD: float32 [1, 84, 400]" in bench.run(output, "--format ssd").error


@pytest.mark.parametrize("name", ["drawn.bmp", "drawn.ppm"])
def test_boxes_are_drawn_into_the_picture(bench: Bench, name: str) -> None:
    drawn = bench.folder / name
    drawn.touch()
    drawn.chmod(0o666)
    ran = bench.run(ssd(), f"--output /test/{name}")
    assert ran.status == 0, ran.lines
    assert "#0  0.9000  2  kite  left 160 top 40 right 240 bottom 80" in ran.lines
    picture = np.asarray(Image.open(drawn))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    changed = (picture != (10, 20, 30)).any(axis=2)
    for box in (KITE, BIRD):
        edges = [
            changed[box["bottom"] - 1, box["left"] : box["right"]],
            changed[box["top"] : box["bottom"], box["left"]],
        ]
        assert all(edge.all() for edge in edges)
    outside = changed.copy()
    for box in (KITE, BIRD):
        outside[box["top"] : box["bottom"], box["left"] : box["right"]] = False
    assert not outside.any()
    assert not changed[70, 200] and not changed[150, 300], "only the edges and the number"


def test_json_goes_to_a_file_beside_the_text(bench: Bench) -> None:
    made = bench.folder / "found.json"
    made.touch()
    made.chmod(0o666)
    ran = bench.run(ssd(), "--json=/test/found.json --top 1")
    assert ran.lines[-1] == "objects: 1"
    data = json.loads(made.read_text())
    assert data["objects"] == [KITE]
    assert (data["format"], data["ran_on"], data["width"], data["height"]) == ("SSD", "cpu", WIDTH, HEIGHT)
