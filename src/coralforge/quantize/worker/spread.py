"""How values are spread: over their range as histograms, and over the samples. Needs numpy only.

With it a model whose scores collapsed is told from one that is only less exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BINS = 64
MOST = 1 << 16  # values of an output that are looked at, evenly spread over it
_NEAR = 0.05  # of the range


@dataclass(frozen=True)
class Grid:
    """The real numbers that a quantized tensor can hold: ``low`` to ``high`` in steps of ``step``."""

    low: float
    high: float
    step: float

    @classmethod
    def of(cls, details: Any) -> Grid | None:
        """That of a tensor as TensorFlow Lite's interpreter describes it; None when it is not quantized."""
        import numpy as np

        scale, zero_point = details["quantization"]
        if not scale:
            return None
        limits = np.iinfo(np.dtype(details["dtype"]))
        low, high = ((limit - zero_point) * scale for limit in (limits.min, limits.max))
        return cls(float(low), float(high), float(scale))

    def histogram(self) -> Histogram:
        """An empty one in which each bin has the same number of steps."""
        return Histogram(self.low - self.step / 2, self.high + self.step / 2)

    def outside(self, values: Any) -> Any:
        """Which of the values do not fit in: they are more than two steps beyond an end."""
        return (values < self.low - 2 * self.step) | (values > self.high + 2 * self.step)

    def stuck(self, exact: Any, quantized: Any) -> int:
        """How many more of the quantized values are at an end than exact ones are near one, or beyond."""
        near = _NEAR * (self.high - self.low)
        at_end, by_end = (
            int(((values <= self.low + margin) | (values >= self.high - margin)).sum())
            for values, margin in ((quantized, 0.0), (exact, near))
        )
        return at_end - by_end


@dataclass
class Histogram:
    """Counts of values in ``BINS`` bins of a range, and of those below and above it by more than half a bin."""

    low: float
    high: float
    counts: Any = None

    def add(self, values: Any) -> None:
        """Values of any shape."""
        import numpy as np

        places = (values.ravel() - self.low) * (BINS / (self.high - self.low))
        inside = (places >= -0.5) & (places < BINS + 0.5)
        places = np.floor(np.where(inside, np.clip(places, 0, BINS - 0.5), places))
        found = np.bincount(np.clip(places, -1, BINS).astype(np.int64) + 1, minlength=BINS + 2)
        self.counts = found if self.counts is None else self.counts + found

    def summary(self) -> list[int]:
        """Below the range, in each bin, above it."""
        return [0] * (BINS + 2) if self.counts is None else [int(count) for count in self.counts]


@dataclass
class _Side:
    """One of the two models: its bounds value by value, and how often it found which class."""

    histogram: Histogram | None
    lowest: Any = None
    highest: Any = None
    best: Counter[int] = field(default_factory=Counter)

    def add(self, values: Any, classes: bool) -> None:
        import numpy as np

        self.lowest = values.copy() if self.lowest is None else np.minimum(self.lowest, values)
        self.highest = values.copy() if self.highest is None else np.maximum(self.highest, values)
        if self.histogram is not None:
            self.histogram.add(values)
        if classes:
            self.best[int(values.argmax())] += 1

    def summary(self) -> dict[str, Any]:
        varies = 0.0 if self.lowest is None else float((self.highest - self.lowest).max(initial=0.0))
        made: dict[str, Any] = {"varies": varies}
        if self.best:
            often, count = self.best.most_common(1)[0]
            made["best"] = {"classes": len(self.best), "often": often, "share": count / self.best.total()}
        if self.histogram is not None:
            made["histogram"] = self.histogram.summary()
        return made


class Spread:
    """Collects values of a tensor in the float and in the quantized model, sample by sample."""

    def __init__(self, grid: Grid | None) -> None:
        self._grid = grid
        self._sides = [_Side(grid.histogram() if grid else None) for _ in range(2)]
        self._seen = self._outside = self._stuck = 0

    def add(self, exact: Any, quantized: Any, classes: bool = False) -> None:
        """One sample, as real numbers of one shape; with ``classes`` the place of the largest value is a class."""
        exact, quantized = (thinned(values) for values in (exact, quantized))
        for side, values in zip(self._sides, (exact, quantized), strict=True):
            side.add(values, classes and values.size == exact.size)
        self._seen += exact.size
        if self._grid:
            self._outside += int(self._grid.outside(exact).sum())
            self._stuck += self._grid.stuck(exact, quantized)

    def summary(self) -> dict[str, Any]:
        """As JSON values.

        ``varies`` is how much that value differs between samples which does most; ``outside`` the share of exact
        values that the quantized tensor cannot hold; ``saturated`` how much larger the share of quantized values at
        an end of their range is than that of the exact ones.
        """
        made: dict[str, Any] = {
            name: side.summary() for name, side in zip(("float", "quantized"), self._sides, strict=True)
        }
        if self._grid:
            made["grid"] = [self._grid.low, self._grid.high, self._grid.step]
        shares = {"outside": self._outside, "saturated": max(self._stuck, 0)}
        return {**made, **{name: count / max(self._seen, 1) for name, count in shares.items()}}


def thinned(values: Any) -> Any:
    """At most ``MOST`` of the values, in one row: always the same."""
    row = values.ravel()
    return row[:: -(-row.size // MOST)].copy() if row.size > MOST else row
