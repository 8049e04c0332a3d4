"""Random samples, for trying things out: what they say of a model's accuracy is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coralforge.quantize.worker import samples
from coralforge.quantize.worker.preprocess import RAW, Preprocess
from coralforge.quantize.worker.samples import Feed, Input, Samples

SEED = 2024


@dataclass(frozen=True)
class Random:
    """``count`` samples: pixels where it is known how pixels are scaled, 0 to 1 otherwise. Always the same."""

    count: int
    kind: str = "random"

    def bind(self, inputs: Sequence[Input], preprocess: Preprocess | None) -> Samples:
        """See :class:`samples.SampleSource`."""
        import numpy as np

        def load(index: int) -> Feed:
            generator = np.random.default_rng([SEED, index])
            made = {}
            for one in inputs:
                pixels = preprocess is not None and len(one.shape) == 4
                whole = pixels or np.dtype(one.kind).kind != "f"
                made[one.name] = (
                    generator.integers(0, 256 if pixels else 2, one.shape) if whole else generator.random(one.shape)
                )
            label = f"random sample {index}"
            return samples.checked(inputs, samples.scaled(inputs, made, preprocess or RAW, label), label)

        return Samples(self.count, self.count, load)
