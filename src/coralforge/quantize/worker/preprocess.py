"""How pixels, 0 to 255, become what a model was trained with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from coralforge.errors import CoralforgeError, user_error

AUTO = "auto"
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_LIST = rf"{_NUMBER}(?::{_NUMBER})*"
_CUSTOM = re.compile(rf"mean=({_LIST}),std=({_LIST})")


@dataclass(frozen=True)
class Preprocess:
    """``(pixel - mean) / std`` per channel, after a change of the channels' order where ``reverse`` (RGB to BGR).

    ``mean`` and ``std`` have one value, or one per channel.
    """

    name: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    reverse: bool = False

    @property
    def channels(self) -> int | None:
        """How many channels it is for; None when it does not matter."""
        several = max(len(self.mean), len(self.std))
        return several if several > 1 else None

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return set(self.mean) != {0.0} or set(self.std) != {1.0} or self.reverse

    def apply(self, pixels: Any) -> Any:
        """float32 of the same shape; the last axis is the channels."""
        import numpy as np

        turned = pixels[..., ::-1] if self.reverse else pixels
        return (turned.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)


_KNOWN = (
    Preprocess("raw"),
    Preprocess("0..1", std=(255.0,)),
    Preprocess("-1..1", mean=(127.5,), std=(127.5,)),
    Preprocess("torch", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    Preprocess("caffe", mean=(103.939, 116.779, 123.68), std=(1.0,), reverse=True),
)
RAW = _KNOWN[0]
NAMES = tuple(one.name for one in _KNOWN)
CHOICES = ", ".join((AUTO, *NAMES, "mean=M,std=S"))


def parse(text: str) -> Preprocess | None:
    """The preprocessing that ``--preprocess`` names; None for ``auto``.

    Raises:
        CoralforgeError: reason ``preprocess-unknown``, exit code 2.
    """
    if text == AUTO:
        return None
    for known in _KNOWN:
        if text == known.name or (text == "none" and known is RAW):
            return known
    custom = _CUSTOM.fullmatch(text)
    if custom:
        mean, std = (tuple(map(float, part.split(":"))) for part in custom.groups())
        if min(std) > 0 and (len(mean) == len(std) or 1 in (len(mean), len(std))):
            return Preprocess(text, mean, std)
    raise user_error(
        f"unknown --preprocess {text!r}; known: {CHOICES}",
        reason="preprocess-unknown",
        remedy="see docs/quantize.md; numbers per channel are separated by colons: mean=124:116:104,std=58:57:57",
    )


def unsaid() -> CoralforgeError:
    """Pixels, a model that does not scale them itself, and nobody said how it is done (exit code 2).

    A guess would be worse: a model calibrated with the wrong range looks fine, and is useless.
    """
    return user_error(
        "the model has no layer that scales pixels, and --preprocess does not say how they are to be scaled",
        reason="preprocess-missing",
        remedy="give what the model was trained with: --preprocess 0..1, -1..1, torch, caffe, mean=M,std=S, or raw",
    )
