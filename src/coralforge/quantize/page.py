"""The report on a quantized model as one HTML page that stands for itself, with pictures of how values are spread."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coralforge import __version__
from coralforge.quantize import text
from coralforge.quantize.judgement import VERDICTS, Verdict, agreement, cause
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.worker.verdict import percent
from coralforge.util.page import render

WIDE, HIGH = 320, 90  # of a picture
_BADGES = {Verdict.GOOD: "tpu", Verdict.DOUBTFUL: "cpu", Verdict.NOT_VERIFIED: "simulated", Verdict.COLLAPSED: "cpu"}


@dataclass(frozen=True)
class Picture:
    """Two histograms over one range: paths in a box of ``WIDE`` x ``HIGH``."""

    title: str
    exact: str
    quantized: str
    low: str
    high: str
    said: str
    """On values that are beyond the range, and why the layer may lose so much."""


@dataclass(frozen=True)
class Table:
    """Rows of texts below columns."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def html(report: QuantizeReport) -> str:
    """The page: the same for the same report."""
    data = report.data
    return render(
        "quantize",
        "quality.html.j2",
        version=__version__,
        file=data["output"]["name"],
        verdict=VERDICTS[report.verdict],
        badge=_BADGES[report.verdict],
        bad=report.verdict is Verdict.COLLAPSED,
        warnings=report.warnings,
        facts=list(_facts(data)),
        outputs=_outputs(data),
        accuracy=_accuracy(data["evaluation"]),
        classes=_classes(data["evaluation"]),
        layers=_layers(data["layers"]),
        output_pictures=[_of_output(one) for one in data["outputs"] if "grid" in one["accuracy"]["spread"]],
        layer_pictures=[_of_layer(one) for one in (data["layers"] or {"worst": []})["worst"]],
        wide=WIDE,
        high=HIGH,
    )


def _facts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    model, output = data["model"], data["output"]
    yield "Model", f"{model['name']}, {model['kind']}, {text.size(model['bytes'])}"
    yield "Quantized", f"{output['name']}, {text.size(output['bytes'])}, {output['io']} input and output"
    yield "SHA-256", output["sha256"]
    yield "Samples", text.samples_line(data["samples"])
    yield "Made with", ", ".join(f"{name} {version}" for name, version in data["versions"].items())


def _outputs(data: Mapping[str, Any]) -> Table:
    held_out, calibrated = data["samples"]["held_out"], data["samples"]["calibrated"]
    where = f"{held_out} held-out samples" if held_out else f"the {calibrated} samples it was calibrated with"
    columns = ("Output", "Shape", "Float values", "Mean error", "Worst error", "Cosine (least)", "Same class")
    return Table(f"Quantized against float, on {where}", columns, [_output(one) for one in data["outputs"]])


def _output(one: Mapping[str, Any]) -> tuple[str, ...]:
    figures = one["accuracy"]
    low, high = figures["range"]
    return (
        one["name"],
        "x".join(map(str, one["shape"])),
        f"{low:.3g} to {high:.3g}",
        f"{figures['mean_error']:.3g}",
        f"{figures['worst_error']:.3g}",
        f"{figures['cosine']:.4f} ({figures['least_cosine']:.4f})",
        agreement(figures["top1"]) if "top1" in figures else "",
    )


def _accuracy(evaluation: dict[str, Any] | None) -> Table | None:
    if not evaluation:
        return None
    title = f"Accuracy on {text.evaluated_on(evaluation)}"
    return Table(title, ("", "Float", "8 bits, on the CPU"), text.accuracy_rows(evaluation))


def _classes(evaluation: dict[str, Any] | None) -> Table | None:
    if not evaluation:
        return None
    rows = [
        (one["name"], str(one["samples"]), *(percent(one[side] / one["samples"]) for side in ("float", "quantized")))
        for one in evaluation["by_class"]
    ]
    return Table("By class", ("Class", "Samples", "Float", "8 bits"), rows)


def _layers(layers: dict[str, Any] | None) -> Table | None:
    if not layers:
        return None
    rows = [
        (
            str(one["index"]),
            one["operation"],
            text.layer_name(one["name"]),
            percent(one["error"]),
            percent(one["added"]),
            cause(one),
        )
        for one in layers["worst"]
    ]
    return Table(text.layers_title(layers), ("", "Operation", "Layers", "Error", "It adds", "Why"), rows)


def _of_output(one: Mapping[str, Any]) -> Picture:
    spread = one["accuracy"]["spread"]
    exact, quantized = (spread[side]["histogram"] for side in ("float", "quantized"))
    return _picture(f"Output {one['name']}", spread, exact, quantized)


def _of_layer(one: Mapping[str, Any]) -> Picture:
    title = f"{one['index']} {one['operation']}: {text.layer_name(one['name'])}"
    return _picture(title, one, one["float"], one["quantized"])


def _picture(title: str, one: Mapping[str, Any], exact: Sequence[int], quantized: Sequence[int]) -> Picture:
    low, high, _ = one["grid"]
    most = max(*exact[1:-1], *quantized[1:-1], 1)
    said = []
    if one["outside"] > 0:
        said.append(f"{percent(one['outside'])} of the float values are beyond the range")
    if one["saturated"] > 0:
        said.append(f"{percent(one['saturated'])} of the 8-bit values are at an end, where the float ones are not")
    one_line, other = (_outline(counts[1:-1], most) for counts in (exact, quantized))
    return Picture(title, one_line, other, f"{low:.3g}", f"{high:.3g}", "; ".join(said))


def _outline(counts: Sequence[int], most: int) -> str:
    """Steps from left to right. Heights are square roots, so that rare values are seen."""
    width = WIDE / len(counts)
    steps = [f"V{HIGH * (1 - math.sqrt(count / most)):.1f}H{width * (i + 1):.1f}" for i, count in enumerate(counts)]
    return f"M0 {HIGH}{''.join(steps)}V{HIGH}z"
