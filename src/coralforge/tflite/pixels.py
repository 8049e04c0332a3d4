"""How a program has to give pixels to an input: its normalization and its quantization, put together."""

from __future__ import annotations

from dataclasses import dataclass

from coralforge.tflite.graph import Tensor
from coralforge.tflite.metadata import Normalization

_LOWEST = {"UINT8": 0, "INT8": -128}
_PICTURE = (1, 3, 4)  # channels
_LOST = 0.05  # of all pixel values, from which on a normalization does not fit


@dataclass(frozen=True)
class Pixels:
    """``text``: the value to give for a pixel of 0 to 255. ``error``: steps that it is off a pixel as it is, at most.

    ``lost``: the part of all pixel values, 0 to 1, that the quantization cuts off; 0 for floats.
    """

    text: str
    error: int | None
    lost: float

    @property
    def fits(self) -> bool:
        """Whether normalization and quantization belong together."""
        return self.lost < _LOST


def pixels_of(tensor: Tensor, normalization: Normalization | None) -> Pixels | None:
    """For a picture whose normalization is known; None for anything else."""
    if normalization is None or len(tensor.shape) != 4 or tensor.shape[3] not in _PICTURE:
        return None
    pairs = _channels(normalization)
    if tensor.floating:
        return Pixels(_formula(pairs), None, 0.0)
    if tensor.kind not in _LOWEST or len(tensor.scales) != 1 or not tensor.zero_points or tensor.scales[0] <= 0:
        return None
    low, errors, lost = _LOWEST[tensor.kind], [], 0
    for mean, std in pairs:
        for pixel in range(256):
            wanted = (pixel - mean) / std / tensor.scales[0] + tensor.zero_points[0]
            given = min(max(round(wanted), low), low + 255)
            lost += not low - 1 < wanted < low + 256
            errors.append(abs(given - low - pixel))
    part = lost / len(errors)
    return Pixels(_text(tensor, pairs, max(errors)), max(errors), part)


def _channels(normalization: Normalization) -> list[tuple[float, float]]:
    """Mean and deviation of each channel; one of them may be given once for all."""
    mean, std = normalization.mean, normalization.std
    count = max(len(mean), len(std))
    mean, std = (values * count if len(values) == 1 else values for values in (mean, std))
    return list(zip(mean, std, strict=False))


def _text(tensor: Tensor, pairs: list[tuple[float, float]], error: int) -> str:
    if error <= 1:
        return "as they are, 0 to 255" if tensor.kind == "UINT8" else "less 128: -128 to 127"
    return f"{_formula(pairs)}, divided by {tensor.scales[0]:.6g}, plus {tensor.zero_points[0]}, rounded"


def _formula(pairs: list[tuple[float, float]]) -> str:
    each = list(dict.fromkeys(f"(pixel - {mean:.6g}) / {std:.6g}" for mean, std in pairs))
    return each[0] if len(each) == 1 else ", ".join(each[:4]) + " for each channel"
