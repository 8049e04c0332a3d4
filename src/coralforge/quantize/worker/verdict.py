"""Tells a quantized model whose scores collapsed from one that is only less exact. Pure.

Figures are those that ``accuracy.Comparison`` and ``evaluation.Evaluation`` give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

POOR = 0.9  # top-1 agreement
LOST = 0.05  # of the samples: an accuracy that is lower by more
_FLAT = 0.1  # of how much the float model's output varies
_OUTSIDE = 0.05  # of the values: so many beyond the range are no exceptions
_STUCK = 0.3  # of the values: so many more at an end than in floats
_CLASSES = 10  # samples, with fewer of which nothing is said about the classes that are found
_VARIED = 0.75  # of the samples are of one class: with more, finding no other is little of a surprise
_CHANCE = 1.5  # times what guessing gives


def collapses(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """All that is wrong with outputs beyond being less exact: ``output``, ``kind`` and a sentence (``text``)."""
    return [{"output": str(one["name"]), **found} for one in outputs for found in _collapse(one)]


def _collapse(output: Mapping[str, Any]) -> list[dict[str, str]]:
    figures = output["accuracy"]
    spread, count = figures["spread"], figures["samples"]
    exact, quantized = spread["float"], spread["quantized"]
    clipped = spread["outside"] > _OUTSIDE
    flat = quantized["varies"] == 0 or (not clipped and quantized["varies"] <= _FLAT * exact["varies"])
    if count >= 2 and exact["varies"] > 0 and flat:
        step = output["scale"]
        if step and exact["varies"] < 2 * step:
            why = f"the float model's differ by {exact['varies']:.3g} at most, and one step of 8 bits is {step:.3g}"
        else:
            why = f"the float model's differ by up to {exact['varies']:.3g}"
        same = "is the same" if not quantized["varies"] else "is almost the same"
        return [{"kind": "constant", "text": f"the quantized output {same} for all {count} samples; {why}"}]
    made = []
    if clipped:
        text = f"{percent(spread['outside'])} of the float model's values are beyond the range that 8 bits have here"
        made.append({"kind": "saturated", "text": text})
    elif spread["saturated"] > _STUCK:
        text = (
            f"{percent(spread['saturated'])} of the quantized values are at an end, where the float model's are not"
        )
        made.append({"kind": "saturated", "text": text})
    if "best" in quantized and count >= _CLASSES and quantized["best"]["classes"] == 1:
        best = exact["best"]
        if best["classes"] > 1 and best["share"] <= _VARIED:
            text = f"it finds class {quantized['best']['often']} for all {count} samples; the float model"
            made.append({"kind": "one-class", "text": f"{text} finds {best['classes']} classes"})
    return made


def evaluated(evaluation: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[str]]:
    """Collapses that samples of known classes show, and sentences on what else is wrong."""
    exact, quantized = evaluation["float"], evaluation["quantized"]
    count, guess = evaluation["samples"], 1 / evaluation["classes"]
    several = evaluation["labels_seen"] > 1 and count >= _CLASSES
    if several and exact["top1"] <= _CHANCE * guess:
        return [], [
            f"the float model itself is right for {percent(exact['top1'])} of the labelled samples only: "
            "the order of the labels or --preprocess may not be the model's"
        ]
    made = []
    if several and quantized["top1"] <= _CHANCE * guess:
        text = f"it is right for {percent(quantized['top1'])} of the labelled samples, which is guessing; the float"
        made.append({"kind": "guessing", "text": f"{text} model is for {percent(exact['top1'])}"})
    elif several and quantized["classes_found"] == 1 < exact["classes_found"]:
        made.append({"kind": "one-class", "text": f"it finds the same class for all {count} labelled samples"})
    worse = exact["top1"] - quantized["top1"]
    said = [f"the accuracy falls from {percent(exact['top1'])} to {percent(quantized['top1'])}"]
    return [{"output": evaluation["output"], **one} for one in made], said if worse > LOST and not made else []


def bad(outputs: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any] | None) -> bool:
    """Whether it is worth the time to look for the layers that are to blame."""
    poor = any(one["accuracy"]["top1"]["agreement"] < POOR for one in outputs if "top1" in one["accuracy"])
    return poor or bool(collapses(outputs)) or (evaluation is not None and any(evaluated(evaluation)))


def same_in_floats(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of outputs that are the same for all samples in the float model already."""
    return [
        str(one["name"])
        for one in outputs
        if one["accuracy"]["samples"] >= 2 and not one["accuracy"]["spread"]["float"]["varies"]
    ]


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.1f} %"
