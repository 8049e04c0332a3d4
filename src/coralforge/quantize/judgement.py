"""Judges a quantized model by the figures of its report: what speaks against relying on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from coralforge.quantize.worker import verdict
from coralforge.quantize.worker.verdict import POOR, percent

RANDOM = "RANDOM samples: the model was calibrated with noise; its accuracy is NOT VERIFIED. For trying out only."
COLLAPSED = "The quantized model has COLLAPSED: it is not usable."
_FEW = 50  # samples; fewer calibrate badly
_OUTSIDE = 0.01  # of a layer's values: more beyond its range cost something
_STEPS = 4  # of 256; a layer whose values spread over fewer is coarse
_WEIGHTS = 0.5  # of its weights; even with half of them gone a layer may be fine
_LOSES = 0.05  # relative error; with less there is nothing to explain


class Verdict(Enum):
    """The report in a word."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    """There are warnings."""
    NOT_VERIFIED = "not-verified"
    """Random samples."""
    COLLAPSED = "collapsed"
    """Its outputs say little or nothing of its inputs."""


VERDICTS: Mapping[Verdict, str] = {
    Verdict.GOOD: "good",
    Verdict.DOUBTFUL: "DOUBTFUL, see the warnings",
    Verdict.NOT_VERIFIED: "NOT VERIFIED",
    Verdict.COLLAPSED: "COLLAPSED",
}


def judge(data: Mapping[str, Any]) -> Verdict:
    """The verdict on a report with its warnings."""
    if collapses(data):
        return Verdict.COLLAPSED
    if data["samples"]["random"]:
        return Verdict.NOT_VERIFIED
    return Verdict.DOUBTFUL if data["warnings"] else Verdict.GOOD


def collapses(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Outputs that collapsed: ``output``, ``kind`` and ``text`` of each."""
    shown = verdict.evaluated(data["evaluation"])[0] if data["evaluation"] else []
    return [*verdict.collapses(data["outputs"]), *shown]


def find_warnings(data: Mapping[str, Any]) -> list[str]:
    """Sentences that speak against relying on the model."""
    samples = data["samples"]
    found = [f"{one['output']} has COLLAPSED: {one['text']}" for one in collapses(data)]
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
        if top1 and top1["agreement"] < POOR:
            found.append(f"{one['name']}: the quantized model often finds another class ({agreement(top1)})")
        if top1 and top1["ties"] * 10 > top1["samples"]:
            found.append(f"{one['name']}: several classes often share the best score; counted as no agreement")
    found += [
        f"{name}: the float model itself gives the same for all samples; does --preprocess scale them as in training?"
        for name in verdict.same_in_floats(data["outputs"])
    ]
    found += verdict.evaluated(data["evaluation"])[1] if data["evaluation"] else []
    found += [
        f"the samples of {one['name']} are all the same value"
        for one in data["inputs"]
        if one["range"][0] == one["range"][1]
    ]
    return found


def cause(layer: Mapping[str, Any]) -> str:
    """Why a layer may lose so much; empty where nothing stands out."""
    if layer["error"] > _LOSES and layer["weights_lost"] > _WEIGHTS:
        return (
            f"{percent(layer['weights_lost'])} of its weights are 0 in 8 bits: a few large ones stretch their range"
        )
    if layer["outside"] > _OUTSIDE:
        return f"{percent(layer['outside'])} of its values are beyond the range that calibration saw"
    if layer["error"] > _LOSES and layer["deviation"] < _STEPS * layer["grid"][2]:
        return "its values spread over few of the 256 steps, which is so where some large ones stretch the range"
    return ""


def agreement(top1: Mapping[str, Any]) -> str:
    """How often both models find the same class, for people."""
    return f"{percent(top1['agreement'])} ({top1['agreed']} of {top1['samples']})"
