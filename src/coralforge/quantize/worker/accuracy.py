"""Compares what the quantized model computes with what the float model does. Needs numpy only.

Of an output of any size and any number of samples it keeps sums, and the bounds of at most ``spread.MOST`` values;
cosines are of as many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coralforge.quantize.worker.spread import Grid, Spread, thinned


@dataclass
class Output:
    """Statistics of one output. Errors are absolute, in units of the output."""

    spread: Spread
    values: int = 0
    sum_of_errors: float = 0.0
    worst_error: float = 0.0
    lowest: float = float("inf")
    highest: float = float("-inf")
    cosines: float = 0.0
    """The sum of one for each sample."""
    least_cosine: float = 1.0
    samples: int = 0
    agreed: int = 0
    ties: int = 0
    classes: int = 0
    """0 when it does not look like the scores of a classification."""


@dataclass
class Comparison:
    """Collects samples, one after the other; ``grids`` are what the quantized outputs can hold, by name."""

    grids: Mapping[str, Grid] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)

    def add(self, exact: Mapping[str, Any], quantized: Mapping[str, Any]) -> None:
        """One sample: the outputs of both models by name, as real numbers, of the same shapes."""
        for name, wanted in exact.items():
            if name not in self.outputs:
                self.outputs[name] = Output(Spread(self.grids.get(name)))
            _add(self.outputs[name], wanted, quantized[name])

    def summary(self, name: str) -> dict[str, Any]:
        """The figures of one output, for the report."""
        seen = self.outputs[name]
        figures: dict[str, Any] = {
            "mean_error": seen.sum_of_errors / max(seen.values, 1),
            "worst_error": seen.worst_error,
            "cosine": seen.cosines / max(seen.samples, 1),
            "least_cosine": seen.least_cosine,
            "range": [seen.lowest, seen.highest],
            "samples": seen.samples,
            "spread": seen.spread.summary(),
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
    few = thinned(wanted), thinned(got)
    alike = _cosine(*few)
    seen.cosines += alike
    seen.least_cosine = min(seen.least_cosine, alike)
    classes = wanted.ndim == 2 and wanted.shape[0] == 1 and wanted.shape[1] > 1
    seen.spread.add(*few, classes)
    if classes:
        seen.classes = wanted.shape[1]
        # Where the best score stands twice, which class wins is luck: that is no agreement.
        best = np.flatnonzero(got[0] == got[0].max())
        seen.ties += len(best) > 1
        seen.agreed += len(best) == 1 and int(best[0]) == int(wanted[0].argmax())


def _cosine(one: Any, other: Any) -> float:
    """Of the angle between two vectors: 1 when they point the same way; 0 when only one of them has a direction."""
    lengths = tuple(math.sqrt(float((row * row).sum())) for row in (one, other))
    if not all(lengths):
        return float(lengths[0] == lengths[1])
    # No BLAS, which would start threads for so little.
    return min(max(float((one * other).sum()) / lengths[0] / lengths[1], -1.0), 1.0)
