"""The report on a quantized model for the terminal."""

from __future__ import annotations

from typing import Any

from coralforge.quantize.converted import conversion_text
from coralforge.quantize.judgement import COLLAPSED, RANDOM, VERDICTS, Verdict, agreement, cause
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.worker.verdict import percent


def report_text(report: QuantizeReport) -> str:
    """The report for the terminal."""
    data = report.data
    model, output, samples = data["model"], data["output"], data["samples"]
    loud = [RANDOM] if report.random else []
    loud += [COLLAPSED] if report.verdict is Verdict.COLLAPSED else []
    lines = [*loud, ""] if loud else []
    lines += [
        f"Model: {report.model} ({model['kind']}, {size(model['bytes'])})",
        f"Quantized model: {report.output} ({size(output['bytes'])}, {output['io']} input and output)",
        f"Report: {report.place}",
        f"Samples: {samples_line(samples)}",
    ]
    lines += conversion_text(data["conversion"]) if data.get("conversion") else []
    lines += [f"Input {_tensor(one)}{_pixels(one)}" for one in data["inputs"]]
    lines += [f"Output {_tensor(one)}" for one in data["outputs"]]
    where = "held-out samples" if samples["held_out"] else "the samples it was calibrated with"
    lines += ["", f"Quantized against float, on {samples['held_out'] or samples['calibrated']} {where}:"]
    lines += [f"  {line}" for one in data["outputs"] for line in _accuracy(one)]
    lines += [*_evaluation(data["evaluation"]), *_layers(data["layers"])]
    names = ", ".join(f"{one['name']} v{one['version']} x{one['count']}" for one in data["operations"])
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    lines += ["", f"Operations: {names}"]
    lines += (
        [f"Written in older versions that compute the same: {', '.join(data['lowered'])}"] if data["lowered"] else []
    )
    lines += [f"Made with: {versions}"]
    lines += [f"Time: {data['seconds']:.1f} s, at most {data['peak_memory'] / 1e6:.0f} MB of memory"]
    lines += [f"warning: {text}" for text in report.warnings if text != RANDOM]
    return "\n".join([*lines, f"Verdict: {VERDICTS[report.verdict]}", *reversed(loud)]) + "\n"


def accuracy_rows(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """How often the float and the quantized model are right: a row for each kind of counting."""
    kinds = {"top1": "top-1", "top5": "top-5"}
    return [
        (name, percent(evaluation["float"][kind]), percent(evaluation["quantized"][kind]))
        for kind, name in kinds.items()
        if kind in evaluation["float"]
    ]


def evaluated_on(evaluation: dict[str, Any]) -> str:
    """Which samples an accuracy is of."""
    left_out = evaluation["left_out"]
    without = f", without the {left_out} that it was calibrated with" if left_out else ""
    return f"{evaluation['samples']} of {evaluation['available']} labelled samples ({evaluation['origin']}){without}"


def most_lost(evaluation: dict[str, Any]) -> str:
    """The classes that lose most; empty where none does."""
    losses = [(one["float"] - one["quantized"], one) for one in evaluation["by_class"]]
    worst = sorted((pair for pair in losses if pair[0] > 0), key=lambda pair: -pair[0])[:3]
    return ", ".join(f"{one['name']} ({lost} of {one['samples']})" for lost, one in worst)


def layer_name(name: str) -> str:
    """The layers of Keras in a tensor's name, the last one first: what was fused into one operation has several."""
    if name.startswith("StatefulPartitionedCall"):
        return "the output"
    layers: list[str] = []
    for part in (part.split("/") for part in name.split(";") if part):
        layer = part[1] if len(part) > 2 else part[0]  # MODEL/LAYER/OPERATION
        layers += [layer] if layer not in layers else []
    return (", ".join(layers) or name)[:80]


def layers_title(layers: dict[str, Any]) -> str:
    """The title of the list of layers."""
    compared = f"{layers['compared']} of {layers['operations']} operations"
    return f"Layers that add most to the error, on {layers['samples']} samples ({compared} could be compared)"


def _evaluation(evaluation: dict[str, Any] | None) -> list[str]:
    if not evaluation:
        return []
    lines = ["", f"Accuracy on {evaluated_on(evaluation)}:", f"  {'':8}{'float':>9}{'8 bits':>9}   both on the CPU"]
    lines += [f"  {kind:8}{exact:>9}{quantized:>9}" for kind, exact, quantized in accuracy_rows(evaluation)]
    lost = most_lost(evaluation)
    lines += [f"  lost {evaluation['lost']}, gained {evaluation['gained']}" + (f"; most in {lost}" if lost else "")]
    return lines


def _layers(layers: dict[str, Any] | None) -> list[str]:
    if not layers:
        return []
    lines = ["", f"{layers_title(layers)}:"]
    for one in layers["worst"]:
        figures = f"error {percent(one['error'])}, adds {percent(one['added'])}"
        why = f"; {why}" if (why := cause(one)) else ""
        lines.append(f"  {one['index']:4} {one['operation']:20} {layer_name(one['name'])}: {figures}{why}")
    return lines


def samples_line(samples: dict[str, Any]) -> str:
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
        f" (float values are {low:.3g} to {high:.3g}), cosine {figures['cosine']:.4f}"
        f" (least {figures['least_cosine']:.4f})"
    ]
    return lines + ([f"{one['name']}: top-1 agreement {agreement(figures['top1'])}"] if "top1" in figures else [])


def size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
