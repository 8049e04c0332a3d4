"""Compares what the quantized model computes with what the float model does. Needs numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Output:
    """Statistics of one output. Errors are absolute, in units of the output."""

    values: int = 0
    sum_of_errors: float = 0.0
    worst_error: float = 0.0
    lowest: float = float("inf")
    highest: float = float("-inf")
    samples: int = 0
    agreed: int = 0
    ties: int = 0
    classes: int = 0
    """0 when it does not look like the scores of a classification."""


@dataclass
class Comparison:
    """Collects samples, one after the other."""

    outputs: dict[str, Output] = field(default_factory=dict)

    def add(self, exact: Mapping[str, Any], quantized: Mapping[str, Any]) -> None:
        """One sample: the outputs of both models by name, as real numbers, of the same shapes."""
        for name, wanted in exact.items():
            _add(self.outputs.setdefault(name, Output()), wanted, quantized[name])

    def summary(self, name: str) -> dict[str, Any]:
        """The figures of one output, for the report."""
        seen = self.outputs[name]
        figures: dict[str, Any] = {
            "mean_error": seen.sum_of_errors / max(seen.values, 1),
            "worst_error": seen.worst_error,
            "range": [seen.lowest, seen.highest],
        }
        if seen.classes:
            figures["top1"] = {"classes": seen.classes, "samples": seen.samples, "agreed": seen.agreed}
            figures["top1"] |= {"ties": seen.ties, "agreement": seen.agreed / seen.samples}
        return figures


def _add(seen: Output, wanted: Any, got: Any) -> None:
    import numpy as np

    wanted, got = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    errors = np.abs(wanted - got)
    seen.samples += 1
    seen.values += errors.size
    seen.sum_of_errors += float(errors.sum())
    seen.worst_error = max(seen.worst_error, float(errors.max(initial=0.0)))
    seen.lowest = min(seen.lowest, float(wanted.min(initial=seen.lowest)))
    seen.highest = max(seen.highest, float(wanted.max(initial=seen.highest)))
    if wanted.ndim == 2 and wanted.shape[0] == 1 and wanted.shape[1] > 1:
        seen.classes = wanted.shape[1]
        # Where the best score stands twice, which class wins is luck: that is no agreement.
        best = np.flatnonzero(got[0] == got[0].max())
        seen.ties += len(best) > 1
        seen.agreed += len(best) == 1 and int(best[0]) == int(wanted[0].argmax())
