"""A model of another tool that was made a SavedModel, to be quantized like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Converted:
    """A conversion as quantizing and its report see it. Names are those of the SavedModel's signature."""

    folder: Path
    """The SavedModel."""
    kind: str
    """Of the file that it was made of, for people."""
    inputs: tuple[str, ...]
    """In the order of that file, which a SavedModel does not keep."""
    outputs: tuple[str, ...]
    facts: Mapping[str, Any]
    """The report's ``conversion``."""
    versions: Mapping[str, str]
    seconds: float
    peak_memory: int
    """Bytes."""

    def completed(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's facts, as they are for the file that was converted."""
        return {
            **facts,
            "model": {**facts["model"], "kind": self.kind},
            "conversion": dict(self.facts),
            "versions": {**facts["versions"], **self.versions},
            "peak_memory": max(facts["peak_memory"], self.peak_memory),
        }


def conversion_text(facts: Mapping[str, Any]) -> list[str]:
    """How a model was converted, for the terminal."""
    worst = max(one["error"] for one in facts["outputs"])
    lines = [
        f"Converted by {facts['by']}: in float, {facts['inferences']} inferences with noise differ by "
        f"{100 * worst:.1g} % of an output's range at most"
    ]
    lines += [
        f"  {side} {one['name']}: {_sizes(one['onnx'])} in the file, {_sizes(one['shape'])} now (channels last)"
        for side in ("input", "output")
        for one in facts[f"{side}s"]
        if one["onnx"] != one["shape"]
    ]
    if head := facts["head"]:
        lines.append(
            f"  {head['output']} has boxes and scores in one tensor, which would share one scale: parted into "
            f"{head['boxes']} and {head['scores']}; bin/detect takes the two"
        )
    return lines


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
