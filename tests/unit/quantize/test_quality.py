"""How good a quantized model is: errors, spread, labelled samples, and the verdict."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coralforge.errors import CoralforgeError
from coralforge.quantize.judgement import COLLAPSED, Verdict, cause, collapses, find_warnings, judge
from coralforge.quantize.page import html
from coralforge.quantize.quantize import QuantizeOptions, check_options
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.text import layer_name, report_text
from coralforge.quantize.worker import verdict
from coralforge.quantize.worker.accuracy import Comparison
from coralforge.quantize.worker.evaluation import Evaluation, check_labels, choose_output
from coralforge.quantize.worker.labelled import Classes, Labelled, open_labelled, read_classes
from coralforge.quantize.worker.preprocess import RAW
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.samples import Input
from coralforge.quantize.worker.spread import BINS, MOST, Grid, Histogram, Spread
from tests.support.keras_maker import write_keras

SOFTMAX = Grid(0.0, 255 / 256, 1 / 256)
IMAGE = Input("image", (1, 4, 4, 3), "float32")


def refused(call: Any, reason: str) -> str:
    with pytest.raises(CoralforgeError) as raised:
        call()
    assert raised.value.reason == reason
    return str(raised.value)


def compared(samples: list[tuple[Any, Any]], grid: Grid = SOFTMAX) -> dict[str, Any]:
    """The facts of an output of these float and quantized values."""
    comparison = Comparison({"y": grid})
    for exact, quantized in samples:
        comparison.add({"y": np.array([exact])}, {"y": np.array([quantized])})
    return {"name": "y", "scale": grid.step, "accuracy": comparison.summary("y")}


def hot(place: int, size: int = 4, value: float = 255 / 256) -> list[float]:
    return [value if i == place else 0.0 for i in range(size)]


class TestComparison:
    """Errors of outputs."""

    def test_the_cosine_is_that_of_the_angle_between_both(self) -> None:
        figures = compared([([1.0, 0.0], [2.0, 0.0]), ([1.0, 0.0], [1.0, 1.0])])["accuracy"]
        assert figures["cosine"] == pytest.approx((1 + 0.5**0.5) / 2)
        assert figures["least_cosine"] == pytest.approx(0.5**0.5)

    @pytest.mark.parametrize(("got", "wanted"), [([0.0, 0.0], 1.0), ([1.0, 0.0], 0.0)])
    def test_without_a_direction_only_nothing_is_like_nothing(self, got: list[float], wanted: float) -> None:
        assert compared([([0.0, 0.0], got)])["accuracy"]["cosine"] == wanted

    def test_histograms_have_the_same_steps_in_each_bin(self) -> None:
        values = np.arange(256) / 256
        for histogram in (SOFTMAX.histogram(), Grid(-3.0, 252.0, 1.0).histogram()):
            histogram.add(np.linspace(histogram.low, histogram.high, 257)[:-1] + 1e-9)
            assert histogram.summary() == [0, *([4] * BINS), 0]
        histogram = SOFTMAX.histogram()
        histogram.add(values)
        assert histogram.summary() == [0, *([4] * BINS), 0]

    def test_values_beyond_the_range_are_counted_apart(self) -> None:
        histogram = Histogram(0.0, 1.0)
        histogram.add(np.array([-1e30, -0.1, -0.007, 0.5, 1.007, 1.5, 1e30]))
        counts = histogram.summary()
        assert (counts[0], counts[1], sum(counts[1:-1]), counts[-2], counts[-1]) == (2, 1, 3, 1, 2)

    def test_of_a_large_output_a_part_is_looked_at_whatever_the_number_of_samples(self) -> None:
        spread = Spread(SOFTMAX)
        for _ in range(3):
            spread.add(np.zeros((1, 300, 300, 3)), np.zeros((1, 300, 300, 3)))
        kept = [vars(side)[name].size for side in spread._sides for name in ("lowest", "highest")]
        assert max(kept) <= MOST < 300 * 300 * 3


class TestCollapse:
    """Told from a model that is only less exact."""

    def kinds(self, samples: list[tuple[Any, Any]], grid: Grid = SOFTMAX) -> list[str]:
        return [one["kind"] for one in verdict.collapses([compared(samples, grid)])]

    def test_a_good_classifier_is_at_the_ends_of_its_range_and_fine(self) -> None:
        assert self.kinds([(hot(i % 4, value=0.9999), hot(i % 4)) for i in range(20)]) == []

    def test_the_same_scores_for_all(self) -> None:
        assert self.kinds([(hot(i % 4), [0.25] * 4) for i in range(20)]) == ["constant"]

    def test_almost_the_same_scores_for_all(self) -> None:
        assert self.kinds([(hot(i % 4), [0.25 + i % 2 / 256] * 4) for i in range(20)]) == ["constant"]

    def test_differences_that_are_smaller_than_a_step_are_called_so(self) -> None:
        samples = [([0.001 + i / 1e5] * 4, [0.0] * 4) for i in range(20)]
        [found] = verdict.collapses([compared(samples)])
        assert "one step of 8 bits is 0.00391" in found["text"]

    def test_the_same_in_floats_is_no_collapse_but_said(self) -> None:
        output = compared([([0.3, 0.7], [0.3, 0.7])] * 20)
        assert verdict.collapses([output]) == []
        assert verdict.same_in_floats([output]) == ["y"]

    def test_one_sample_tells_nothing(self) -> None:
        assert self.kinds([(hot(1), [0.25] * 4)]) == []
        assert verdict.same_in_floats([compared([(hot(1), [0.25] * 4)])]) == []

    def test_values_at_an_end_that_belong_elsewhere(self) -> None:
        grid = Grid(-1.0, 1.0, 2 / 255)
        spread = [([5.0 * (i % 2), 0.5, 0.1 * i], [1.0 * (i % 2), 0.5, min(0.1 * i, 1.0)]) for i in range(8)]
        assert self.kinds(spread, grid) == ["saturated"]
        stuck = [([0.5 - i / 10, 0.1], [-1.0 + 2 * (i % 2), 0.1]) for i in range(8)]
        assert self.kinds(stuck, grid) == ["saturated"]

    def test_a_classifier_that_is_often_wrong_is_not_saturated(self) -> None:
        assert self.kinds([(hot(i % 4, value=0.7), hot(i % 3)) for i in range(20)]) == []

    def test_a_few_values_beyond_what_calibration_saw_are_usual(self) -> None:
        grid = Grid(-1.0, 1.0, 2 / 255)
        rows = [np.linspace(-1.2 if i == 0 else -0.9, 0.9, 50) * (1 - 0.05 * i) for i in range(8)]
        assert self.kinds([(row, np.clip(row, -1, 1)) for row in rows], grid) == []

    def test_one_class_for_all(self) -> None:
        samples = [(hot(i % 4, value=0.7), [0.9, *hot(i % 3, 3, 0.5)]) for i in range(20)]
        assert self.kinds(samples) == ["one-class"]

    @pytest.mark.parametrize(
        ("count", "rare"), [pytest.param(9, 2, id="few samples"), pytest.param(20, 10, id="the other is rare")]
    )
    def test_one_class_may_be_right(self, count: int, rare: int) -> None:
        samples = [(hot(int(i % rare == 1), value=0.7), [0.9, *hot(i % 3, 3, 0.5)]) for i in range(count)]
        assert self.kinds(samples) == []


def evaluation(exact: float, quantized: float, found: tuple[int, int] = (4, 4), labels: int = 4) -> dict[str, Any]:
    sides = {
        name: {"top1": top1, "classes_found": classes}
        for name, top1, classes in zip(("float", "quantized"), (exact, quantized), found, strict=True)
    }
    return {"output": "y", "classes": 4, "samples": 100, "labels_seen": labels, **sides}


class TestEvaluated:
    """What labelled samples show."""

    def test_little_is_lost(self) -> None:
        assert verdict.evaluated(evaluation(0.90, 0.88)) == ([], [])

    def test_much_is_lost(self) -> None:
        assert verdict.evaluated(evaluation(0.90, 0.80)) == ([], ["the accuracy falls from 90.0 % to 80.0 %"])

    def test_nothing_is_left(self) -> None:
        [found], _ = verdict.evaluated(evaluation(0.90, 0.30))
        assert found["kind"] == "guessing"

    def test_one_class_is_found(self) -> None:
        [found], _ = verdict.evaluated(evaluation(0.90, 0.50, found=(4, 1)))
        assert found["kind"] == "one-class"

    def test_the_float_model_is_no_better(self) -> None:
        collapsed, [said] = verdict.evaluated(evaluation(0.25, 0.25))
        assert collapsed == []
        assert "--preprocess may not be the model's" in said

    def test_samples_of_one_class_do_not_tell_what_guessing_is(self) -> None:
        assert verdict.evaluated(evaluation(0.2, 0.2, found=(1, 1), labels=1)) == ([], [])


class TestRight:
    """Counting who is right."""

    def test_the_right_class_has_to_be_alone_at_the_top(self) -> None:
        seen = Evaluation("y", 8, 0.0)
        scores = np.array([[0.1, 0.2, 0.3, 0.3, 0.0, 0.0, 0.0, 0.05]])
        for label in (2, 1, 7, 4):
            seen.add(label, np.eye(8)[[label]], scores)
        figures = seen.summary(Classes())
        assert figures["float"] == {"top1": 1.0, "top5": 1.0, "classes_found": 4}
        assert figures["quantized"] == {"top1": 0.0, "top5": 0.75, "classes_found": 1}
        assert (figures["lost"], figures["gained"], figures["samples"]) == (4, 0, 4)
        assert figures["by_class"][0] == {"class": 1, "name": "class 1", "samples": 1, "float": 1, "quantized": 0}

    def test_of_many_classes_those_that_lose_most_are_listed(self) -> None:
        seen = Evaluation("y", 1500, 0.0)
        for label in range(1500):
            right = np.eye(1500)[[label]]
            seen.add(label, right, right if label < 600 else np.zeros((1, 1500)))
        listed = [one["class"] for one in seen.summary(Classes())["by_class"]]
        assert listed == [*range(100), *range(600, 1500)]

    def test_names_do_nothing_to_a_terminal(self) -> None:
        seen = Evaluation("y", 2, 0.0)
        seen.add(1, np.eye(2)[[1]], np.eye(2)[[1]])
        [shown] = seen.summary(Classes(("", "\x1b[31mred\nline" + "x" * 500)))["by_class"]
        assert shown["name"].startswith("\ufffd[31mred line")
        assert len(shown["name"]) == 100

    def test_one_score_says_which_of_two(self) -> None:
        seen = Evaluation("y", 2, 0.5)
        for label, exact, quantized in ((0, 0.2, 0.4), (1, 0.9, 0.3), (1, 0.4, 0.6)):
            seen.add(label, np.array([[exact]]), np.array([[quantized]]))
        figures = seen.summary(Classes(("cat", "dog")))
        assert (figures["float"]["top1"], figures["quantized"]["top1"]) == (2 / 3, 2 / 3)
        assert (figures["lost"], figures["gained"]) == (1, 1)
        assert "top5" not in figures["float"]

    def test_the_output_with_the_scores(self) -> None:
        assert choose_output({"boxes": (1, 10, 4), "scores": (1, 7)}, Classes()) == ("scores", 7)
        assert choose_output({"a": (1, 5), "b": (1, 2)}, Classes(("x", "y"))) == ("b", 2)
        assert choose_output({"one": (1, 1)}, Classes(("x", "y"))) == ("one", 2)
        for sizes in ({"boxes": (1, 10, 4)}, {"a": (1, 5), "b": (1, 5)}):
            refused(lambda sizes=sizes: choose_output(sizes, Classes()), "labels-mismatch")
        assert "has 2 classes, and the model gives 5 scores" in refused(
            lambda: choose_output({"a": (1, 5)}, Classes(("x", "y"), "labels.txt")), "labels-mismatch"
        )

    @pytest.mark.parametrize("label", [-1, 3])
    def test_a_class_without_a_score(self, label: int) -> None:
        assert f"class {label}" in refused(lambda: check_labels([0, label], 3, "x.npz"), "labels-mismatch")


class TestLabelled:
    """Samples whose class is known."""

    def pictures(self, folder: Path, *names: str) -> None:
        for number, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (number, number, number)).save(folder / name)

    def opened(self, folder: Path, evaluate: str, labels: str = "") -> Labelled:
        request = Request("m", "s", evaluate=evaluate, labels=labels, folder=str(folder))
        made = open_labelled(request)
        assert made is not None
        return made

    def bound(self, folder: Path, evaluate: str, labels: str = "", leave_out: tuple[int, ...] = ()) -> Any:
        """Pairs of the first value of each sample and its class, in the order of the values."""
        labelled = self.opened(folder, evaluate, labels)
        chosen = labelled.bind([IMAGE], RAW, frozenset(leave_out))
        found = labelled.labels(chosen.positions)
        return sorted((int(chosen.load(i)["image"].ravel()[0]), label) for i, label in enumerate(found))

    def test_folders_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "p/cat/a.png", "p/ape/b.png", "p/ape/deep/c.png", "p/dog/d.png")
        assert self.bound(tmp_path, "p") == [(0, 1), (1, 0), (2, 0), (3, 2)]
        assert self.opened(tmp_path, "p").classes.names == ("ape", "cat", "dog")

    def test_numbers_are_numbers(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "p/10/a.png", "p/2/b.png", "p/0/c.png")
        assert self.bound(tmp_path, "p") == [(0, 10), (1, 2), (2, 0)]

    def test_the_order_of_a_file(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "p/cat/a.png", "p/ape/b.png")
        (tmp_path / "labels.txt").write_text("dog\ncat\nape\n\n")
        assert self.bound(tmp_path, "p", "labels.txt") == [(0, 1), (1, 2)]

    def test_a_file_with_numbers(self, tmp_path: Path) -> None:
        (tmp_path / "labels.txt").write_text("0  background\n2: tench, Tinca tinca\n")
        assert read_classes(tmp_path / "labels.txt").names == ("background", "", "tench, Tinca tinca")
        assert read_classes(tmp_path / "labels.txt").name(1) == "class 1"

    @pytest.mark.parametrize("text", ["", "\n\n", f"{10**8} far\n"])
    def test_a_file_of_no_labels(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "labels.txt").write_text(text)
        refused(lambda: read_classes(tmp_path / "labels.txt"), "labels-invalid")
        refused(lambda: read_classes(tmp_path), "labels-invalid")

    def test_a_folder_that_is_no_class(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "p/cat/a.png", "p/cta/b.png")
        (tmp_path / "labels.txt").write_text("cat\ndog\n")
        assert "no class 'cta'" in refused(lambda: self.opened(tmp_path, "p", "labels.txt"), "labels-mismatch")

    def test_a_picture_in_no_class(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "p/cat/a.png", "p/stray.png")
        assert "stray.png is in no folder" in refused(lambda: self.opened(tmp_path, "p"), "labels-mismatch")

    def test_what_it_was_calibrated_with_is_left_out(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "p/a/0.png", "p/a/1.png", "p/b/2.png")
        assert self.bound(tmp_path, "p", leave_out=(0, 2)) == [(1, 0)]
        assert "none is left" in refused(lambda: self.bound(tmp_path, "p", leave_out=(0, 1, 2)), "labels-mismatch")

    def save(self, folder: Path, labels: Any, name: str = "image") -> None:
        pixels = np.repeat(np.arange(4, dtype=np.float32), 48).reshape(4, 4, 4, 3)
        arrays: dict[str, Any] = {name: pixels, "labels": np.asarray(labels)}
        np.savez(folder / "x.npz", **arrays)

    @pytest.mark.parametrize("labels", [[3, 2, 1, 0], [[3], [2], [1], [0]]])
    def test_arrays_with_labels(self, tmp_path: Path, labels: Any) -> None:
        self.save(tmp_path, labels, name="x")
        assert self.bound(tmp_path, "x.npz") == [(0, 3), (1, 2), (2, 1), (3, 0)]
        assert self.bound(tmp_path, "x.npz", leave_out=(1,)) == [(0, 3), (2, 1), (3, 0)]

    @pytest.mark.parametrize("labels", [[0.5] * 4, [[0, 1]] * 4, [0, 1, 2]])
    def test_labels_that_are_none(self, tmp_path: Path, labels: Any) -> None:
        self.save(tmp_path, labels)
        refused(lambda: self.opened(tmp_path, "x.npz"), "samples-mismatch")

    def test_arrays_without_labels(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((4, 4, 4, 3)))
        assert "an array 'labels'" in refused(lambda: self.opened(tmp_path, "x.npy"), "samples-mismatch")
        refused(lambda: self.opened(tmp_path, "absent"), "samples-missing")


@pytest.fixture
def report() -> QuantizeReport:
    """A report of everything there can be, on a model that is fine."""
    output = compared([(hot(i % 4, value=0.99), hot(i % 4)) for i in range(20)])
    layer = {"index": 3, "operation": "CONV_2D", "name": "net/relu_1/Relu;net/conv_1/Squeeze", "error": 0.2}
    layer |= {"added": 0.1, "deviation": 0.5, "outside": 0.0, "saturated": 0.0, "grid": [0.0, 255.0, 1.0]}
    layer["weights_lost"] = 0.0
    counts = [0, *range(BINS), 0]
    seen = Evaluation("y", 4, 0.5)
    for label in range(4):
        seen.add(label, np.eye(4)[[label]], np.eye(4)[[label]])
    data: dict[str, Any] = {
        "model": {"name": "net.keras", "kind": "Keras 3", "bytes": 1000, "scales_pixels": False},
        "output": {"name": "net.tflite", "bytes": 500, "io": "uint8", "sha256": "0" * 64},
        "samples": {"random": False, "origin": "p", "kind": "images", "available": 100, "calibrated": 80}
        | {"held_out": 20, "preprocess": "raw"},
        "inputs": [],
        "outputs": [{"type": "uint8", "shape": [1, 4], "zero_point": 0, **output}],
        "evaluation": {
            "origin": "p",
            "available": 100,
            "left_out": 80,
            **seen.summary(Classes(("a", "b", "c", "d"))),
        },
        "layers": {
            "samples": 10,
            "operations": 8,
            "compared": 6,
            "worst": [{**layer, "float": counts, "quantized": counts}],
        },
        "operations": [],
        "lowered": [],
        "versions": {"tensorflow": "2.21.0"},
        "seconds": 1.0,
        "peak_memory": 1,
    }
    return judged(data)


def judged(data: dict[str, Any]) -> QuantizeReport:
    data["warnings"] = find_warnings(data)
    data["verdict"] = judge(data).value
    return QuantizeReport(Path("net.keras"), Path("net.tflite"), Path("net.quantize.json"), data)


def collapsed(report: QuantizeReport) -> QuantizeReport:
    data = copy.deepcopy(report.data)
    data["outputs"][0]["accuracy"]["spread"]["quantized"]["varies"] = 0.0
    return judged(data)


class TestVerdict:
    """A collapse is no success, wherever it is shown."""

    def test_good(self, report: QuantizeReport) -> None:
        assert (report.verdict, report.warnings) == (Verdict.GOOD, ())
        assert report_text(report).endswith("Verdict: good\n")
        assert COLLAPSED not in html(report)

    def test_collapsed(self, report: QuantizeReport) -> None:
        broken = collapsed(report)
        assert broken.verdict is Verdict.COLLAPSED
        assert [one["kind"] for one in collapses(broken.data)] == ["constant"]
        assert "y has COLLAPSED: the quantized output is the same for all 20 samples" in broken.warnings[0]
        lines = report_text(broken).splitlines()
        assert lines[0] == lines[-1] == COLLAPSED
        assert b'"verdict": "collapsed"' in broken.json()
        page = html(broken)
        assert '<span class="badge cpu">COLLAPSED</span>' in page
        assert "<b>y has COLLAPSED" in page

    def test_random_samples_do_not_hide_a_collapse(self, report: QuantizeReport) -> None:
        data = copy.deepcopy(report.data)
        data["samples"]["random"] = True
        assert judged(data).verdict is Verdict.NOT_VERIFIED
        assert collapsed(judged(data)).verdict is Verdict.COLLAPSED

    def test_warnings_make_it_doubtful(self, report: QuantizeReport) -> None:
        data = copy.deepcopy(report.data)
        data["samples"]["calibrated"] = 8
        assert judged(data).verdict is Verdict.DOUBTFUL

    def test_why_a_layer_loses(self) -> None:
        layer = {"error": 0.2, "outside": 0.0, "weights_lost": 0.0, "deviation": 10.0, "grid": [0.0, 255.0, 1.0]}
        assert cause(layer) == ""
        assert "beyond the range" in cause({**layer, "outside": 0.02})
        assert "few of the 256 steps" in cause({**layer, "deviation": 1.0})
        assert cause({**layer, "deviation": 1.0, "error": 0.01}) == ""
        assert "97.0 % of its weights are 0" in cause({**layer, "weights_lost": 0.97})


class TestShown:
    """Text and page."""

    def test_the_text_has_both_models_side_by_side(self, report: QuantizeReport) -> None:
        text = report_text(report)
        for line in (
            "Accuracy on 4 of 100 labelled samples (p), without the 80 that it was calibrated with:",
            "  top-1     100.0 %  100.0 %",
            "  lost 0, gained 0",
            "     3 CONV_2D              relu_1, conv_1: error 20.0 %, adds 10.0 %; its values spread over few of "
            "the 256 steps, which is so where some large ones stretch the range",
        ):
            assert f"{line}\n" in text

    def test_the_page_stands_for_itself(self, report: QuantizeReport) -> None:
        page = html(report)
        assert page == html(report)
        assert "default-src 'none'" in page
        assert not any(word in page for word in ("<script", "src=", "url(", "@import"))
        assert page.count("<svg") == 2
        assert "relu_1, conv_1" in page

    def test_names_from_files_are_escaped(self, report: QuantizeReport) -> None:
        data = copy.deepcopy(report.data)
        evil = "<script>alert(1)</script>"
        data["outputs"][0]["name"] = data["model"]["name"] = data["layers"]["worst"][0]["name"] = evil
        data["evaluation"]["by_class"][0]["name"] = evil
        assert "<script" not in html(judged(data))

    def test_without_labels_and_layers(self, report: QuantizeReport) -> None:
        bare = judged({**report.data, "evaluation": None, "layers": None})
        assert "Accuracy" not in report_text(bare)
        assert html(bare).count("<svg") == 1

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("m/a/Relu;m/b/add;m/c/conv", "a, b, c"),
            ("m/c/conv/x;m/c/Squeeze", "c"),
            ("StatefulPartitionedCall:01", "the output"),
            ("x", "x"),
            (";", ";"),
            ("", ""),
        ],
    )
    def test_layers_are_named_as_in_keras(self, name: str, shown: str) -> None:
        assert layer_name(name) == shown


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": "labels.txt"}, "quantize-option"),
        ({"max_evaluate": 0}, "quantize-option"),
        ({"questions": -1}, "quantize-option"),
        ({"questions": 1001}, "quantize-option"),
        ({"questions": 5, "samples": "", "random": 9}, "quantize-option"),
        ({"questions": 5, "html": "net.questions.bin"}, "model-output"),
        ({"html": "net.keras"}, "model-output"),
        ({"html": "net.tflite"}, "model-output"),
        ({"html": "net.quantize.json"}, "model-output"),
        ({"html": "absent/x.html"}, "model-write"),
        ({"html": "."}, "model-write"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    model = write_keras(tmp_path / "net.keras")
    more = {name: tmp_path / value if name == "html" else value for name, value in changes.items()}
    options = QuantizeOptions(model, tmp_path / "net.tflite", **{"samples": "pictures", **more})
    refused(lambda: check_options(options), reason)
