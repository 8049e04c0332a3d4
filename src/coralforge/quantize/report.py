"""The report on a quantized model: for the terminal, and as JSON beside it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coralforge import __version__
from coralforge.edgetpu.partition import partition
from coralforge.edgetpu.warnings import warnings
from coralforge.quantize.converted import conversion_text
from coralforge.tflite.graph import Graph

FORMAT = 1
RANDOM = "RANDOM samples: the model was calibrated with noise; its accuracy is NOT VERIFIED. For trying out only."
_FEW = 50  # samples; fewer calibrate badly
_POOR = 0.9  # top-1 agreement


@dataclass(frozen=True)
class QuantizeReport:
    """The outcome of one quantization. ``data`` is the JSON report (docs/quantize.md describes its fields)."""

    model: Path
    output: Path
    place: Path
    """Of the JSON report."""
    data: dict[str, Any] = field(repr=False)

    @property
    def random(self) -> bool:
        """Whether it was calibrated with random samples, so that nothing is known of its accuracy."""
        return bool(self.data["samples"]["random"])

    @property
    def agreement(self) -> float | None:
        """Top-1 agreement with the float model, 0 to 1, the worst of all outputs that look like classifications."""
        found = [one["accuracy"]["top1"]["agreement"] for one in self.data["outputs"] if "top1" in one["accuracy"]]
        return min(found, default=None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that the user should know before relying on the model."""
        return tuple(self.data["warnings"])

    def json(self) -> bytes:
        """The text of the JSON report."""
        return (json.dumps(self.data, indent=2, allow_nan=False) + "\n").encode()


def make_report(
    model: Path, output: Path, place: Path, facts: dict[str, Any], seconds: float, graph: Graph
) -> QuantizeReport:
    """Put together what the engine and the worker know; ``facts`` has the engine's ``model`` and ``output`` too."""
    data = {
        "format": FORMAT,
        "made_by": f"coralforge {__version__}",
        **facts,
        "operations": operations(graph),
        "seconds": round(seconds, 1),
    }
    data["warnings"] = [*find_warnings(data), *(one.text for one in warnings(graph, partition(graph)))]
    return QuantizeReport(model, output, place, data)


def operations(graph: Graph) -> list[dict[str, Any]]:
    """Each operation with its version and how often it occurs."""
    counts = Counter((operation.name, operation.version) for operation in graph.operations)
    return [{"name": name, "version": version, "count": count} for (name, version), count in sorted(counts.items())]


def find_warnings(data: dict[str, Any]) -> list[str]:
    """Sentences that speak against relying on the model."""
    samples = data["samples"]
    found = []
    if samples["random"]:
        found.append(RANDOM)
    elif samples["calibrated"] < _FEW:
        found.append(f"calibrated with {samples['calibrated']} samples only; 100 to 500 are usual")
    if not samples["held_out"]:
        found.append("no sample was held out: the accuracy is that for a sample the model was calibrated with")
    if data["model"]["scales_pixels"] and samples["preprocess"] not in ("raw", "none"):
        found.append(f"the model scales pixels itself, and --preprocess {samples['preprocess']} did so before")
    for one in data["outputs"]:
        top1 = one["accuracy"].get("top1")
        if top1 and top1["agreement"] < _POOR:
            found.append(f"{one['name']}: the quantized model often finds another class ({_agreement(top1)})")
        if top1 and top1["ties"] * 10 > top1["samples"]:
            found.append(f"{one['name']}: several classes often share the best score; counted as no agreement")
    found += [
        f"the samples of {one['name']} are all the same value"
        for one in data["inputs"]
        if one["range"][0] == one["range"][1]
    ]
    return found


def report_text(report: QuantizeReport) -> str:
    """The report for the terminal."""
    data = report.data
    model, output, samples = data["model"], data["output"], data["samples"]
    lines = [RANDOM, ""] if report.random else []
    lines += [
        f"Model: {report.model} ({model['kind']}, {_size(model['bytes'])})",
        f"Quantized model: {report.output} ({_size(output['bytes'])}, {output['io']} input and output)",
        f"Report: {report.place}",
        f"Samples: {_samples(samples)}",
    ]
    lines += conversion_text(data["conversion"]) if data.get("conversion") else []
    lines += [f"Input {_tensor(one)}{_pixels(one)}" for one in data["inputs"]]
    lines += [f"Output {_tensor(one)}" for one in data["outputs"]]
    where = "held-out samples" if samples["held_out"] else "the samples it was calibrated with"
    lines += ["", f"Quantized against float, on {samples['held_out'] or samples['calibrated']} {where}:"]
    lines += [f"  {line}" for one in data["outputs"] for line in _accuracy(one)]
    names = ", ".join(f"{one['name']} v{one['version']} x{one['count']}" for one in data["operations"])
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    lines += ["", f"Operations: {names}"]
    lines += (
        [f"Written in older versions that compute the same: {', '.join(data['lowered'])}"] if data["lowered"] else []
    )
    lines += [f"Made with: {versions}"]
    lines += [f"Time: {data['seconds']:.1f} s, at most {data['peak_memory'] / 1e6:.0f} MB of memory"]
    lines += [f"warning: {text}" for text in report.warnings if text != RANDOM]
    return "\n".join([*lines, *([RANDOM] if report.random else [])]) + "\n"


def _samples(samples: dict[str, Any]) -> str:
    of = f" of {samples['available']}" if samples["available"] is not None else ""
    split = f"{samples['calibrated']} to calibrate, {samples['held_out']} held out"
    return f"{samples['origin']} ({samples['kind']}): {split}{of}; preprocess: {samples['preprocess']}"


def _tensor(one: dict[str, Any]) -> str:
    shape = "x".join(map(str, one["shape"]))
    real = f"real = (q - {one['zero_point']}) * {one['scale']:.6g}" if one["scale"] else "not quantized"
    return f"{one['name']}: {one['type']} {shape}, {real}"


def _pixels(one: dict[str, Any]) -> str:
    if one["pixel_error"] is None or one["pixel_error"] > 1:
        return ""
    return "; give it pixels as they are" if one["type"] == "uint8" else "; give it pixels minus 128"


def _accuracy(one: dict[str, Any]) -> list[str]:
    figures = one["accuracy"]
    low, high = figures["range"]
    lines = [
        f"{one['name']}: mean error {figures['mean_error']:.3g}, worst {figures['worst_error']:.3g}"
        f" (float values are {low:.3g} to {high:.3g})"
    ]
    return lines + ([f"{one['name']}: top-1 agreement {_agreement(figures['top1'])}"] if "top1" in figures else [])


def _agreement(top1: dict[str, Any]) -> str:
    return f"{100 * top1['agreement']:.1f} % ({top1['agreed']} of {top1['samples']})"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
