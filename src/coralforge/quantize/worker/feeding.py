"""Keeps account of what a model was fed with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from coralforge.quantize.worker.convert import quantize
from coralforge.quantize.worker.preprocess import Preprocess
from coralforge.quantize.worker.samples import Feed, Input


class Feeding:
    """Digest and range of all samples, in the order in which they were fed."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._digest = hashlib.sha256()
        self._names = [one.name for one in inputs]
        self._ranges: dict[str, tuple[float, float]] = {}

    def add(self, feed: Feed) -> None:
        """One sample."""
        for name in self._names:
            array = feed[name]
            self._digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            self._digest.update(array.tobytes())
            low, high = self._ranges.get(name, (float("inf"), float("-inf")))
            self._ranges[name] = (min(low, float(array.min())), max(high, float(array.max())))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of every value, in order."""
        return self._digest.hexdigest()

    def range(self, name: str) -> list[float]:
        """The lowest and the highest value that an input got."""
        return list(self._ranges[name])


def pixel_error(scaling: Preprocess, details: Any) -> int:
    """How far the quantized input is from the pixel that it stands for, at most, in steps of 1 of 255.

    With 0 or 1 a program can give a uint8 input its pixels as they are. int8 inputs are compared with pixel - 128.
    """
    import numpy as np

    channels = scaling.channels or (3 if scaling.reverse else 1)
    pixels = np.arange(256)[:, np.newaxis].repeat(channels, axis=1)
    if scaling.reverse:
        return 255
    shift = 0 if np.dtype(details["dtype"]).name == "uint8" else 128
    return int(np.abs(quantize(scaling.apply(pixels), details).astype(int) + shift - pixels).max())
