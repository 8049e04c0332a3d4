"""The common part of all kinds of samples: which are taken, which are held out, and what one has to look like."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from coralforge.errors import CoralforgeError, user_error
from coralforge.quantize.worker.preprocess import Preprocess

HELD_OUT = 5  # every fifth sample is not calibrated with
_SEE = "see docs/quantize.md for what samples may be"
Feed = Mapping[str, Any]
"""One array per input, by name, with a batch of 1."""


@dataclass(frozen=True)
class Input:
    """One input of a model. ``shape`` includes the batch, which is 1; ``kind`` is numpy's name of the type."""

    name: str
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Samples:
    """Samples that were chosen. ``load(i)`` gives the i-th of ``count``, checked and in the model's types."""

    count: int
    available: int | None
    """How many there were to choose from; None where only the end would tell."""
    load: Callable[[int], Feed]
    positions: tuple[int, ...] = ()
    """Where each stands among those that were there; empty where that is not known."""


class SampleSource(Protocol):
    """Where samples come from, looked at as far as that goes without the model."""

    @property
    def kind(self) -> str:
        """``images``, ``npz``, ``npy``, ``function`` or ``random``."""

    def bind(self, inputs: Sequence[Input], preprocess: Preprocess | None) -> Samples:
        """Choose samples that fit the inputs. Without ``preprocess`` nobody knows how pixels are scaled.

        Raises:
            CoralforgeError: exit code 2, a reason that starts with ``samples-`` or ``preprocess-``.
        """


def choose(total: int, most: int, leave_out: frozenset[int] = frozenset()) -> list[int]:
    """Positions of at most ``most`` of ``total`` samples, evenly spread, in an order that follows nothing.

    The same for the same numbers. Without the shuffling, samples whose classes take turns could be split by class.
    """
    left = [i for i in range(total) if i not in leave_out] if leave_out else range(total)
    count = min(len(left), most)
    chosen = (left[i * len(left) // count] for i in range(count))
    return sorted(chosen, key=lambda i: hashlib.sha256(str(i).encode()).digest())


def split(count: int) -> tuple[list[int], list[int]]:
    """Positions to calibrate with and positions held out, of which one has at least one whenever there are two."""
    held_out = [i for i in range(count) if i % HELD_OUT == HELD_OUT - 1]
    if not held_out and count > 1:
        held_out = [count - 1]
    return [i for i in range(count) if i not in set(held_out)], held_out


def checked(inputs: Sequence[Input], arrays: Mapping[str, Any], label: str) -> Feed:
    """One sample in the types of the inputs, or an error that names it by ``label``.

    Raises:
        CoralforgeError: reason ``samples-mismatch`` or ``samples-invalid``.
    """
    if set(arrays) != {one.name for one in inputs}:
        wanted = ", ".join(sorted(one.name for one in inputs))
        raise mismatch(
            f"{label} has {', '.join(sorted(map(str, arrays))) or 'nothing'}; the model's inputs: {wanted}"
        )
    return {one.name: _checked_array(one, arrays[one.name], label) for one in inputs}


def scaled(inputs: Sequence[Input], arrays: Mapping[str, Any], preprocess: Preprocess, label: str) -> dict[str, Any]:
    """Pixels of inputs that are images (height x width x channels), scaled; other inputs as they are."""
    import numpy as np

    made = dict(arrays)
    for one in inputs:
        if len(one.shape) == 4 and one.name in arrays and preprocess.changes:
            check_channels(preprocess, one.shape[3])
            array = np.asarray(arrays[one.name])
            if array.dtype.kind not in "fiub" or array.shape[-1:] != one.shape[-1:]:
                raise mismatch(f"{label} is {array.dtype.name} {shown(array.shape)}; not {shown(one.shape[1:])}")
            made[one.name] = preprocess.apply(array)
    return made


def check_channels(preprocess: Preprocess, channels: int) -> None:
    """Refuse a scaling for other images (reason ``samples-mismatch``)."""
    if preprocess.channels not in (None, channels) or (preprocess.reverse and channels != 3):
        raise mismatch(
            f"--preprocess {preprocess.name} is for {preprocess.channels or 3} channels; the model has {channels}",
            remedy="choose another --preprocess",
        )


def _checked_array(wanted: Input, value: Any, label: str) -> Any:
    import numpy as np

    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise mismatch(f"{label} holds {array.dtype.name}, and no numbers")
    if array.shape == wanted.shape[1:]:
        array = array[np.newaxis]
    if array.shape != wanted.shape:
        raise mismatch(
            f"{label} is {shown(array.shape)}; the input {wanted.name} of the model takes {shown(wanted.shape[1:])}"
        )
    if not np.isfinite(array).all():
        raise invalid(f"{label} has values that are not finite (NaN or infinity)")
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(wanted.kind)
    if made.dtype.kind in "iu" and not np.array_equal(made, array):
        raise mismatch(f"{label} has values that the input {wanted.name} ({wanted.kind}) cannot hold")
    if not np.isfinite(made).all():
        raise invalid(f"{label} has values that are too large for {wanted.kind}")
    return made


def by_position(inputs: Sequence[Input], arrays: Sequence[Any], label: str) -> dict[str, Any]:
    """Arrays without names, in the order of the inputs."""
    if len(arrays) != len(inputs):
        raise mismatch(f"{label} has {len(arrays)} arrays; the model has {len(inputs)} inputs")
    return {one.name: array for one, array in zip(inputs, arrays, strict=True)}


def shown(shape: Sequence[int]) -> str:
    """A shape for people."""
    return "x".join(map(str, shape)) or "a single number"


def invalid(brief: str, *, details: str = "", remedy: str = _SEE) -> CoralforgeError:
    """Samples that cannot be read, or hold rubbish (exit code 2)."""
    return user_error(brief, reason="samples-invalid", details=details, remedy=remedy)


def mismatch(brief: str, *, remedy: str = _SEE) -> CoralforgeError:
    """Samples that do not fit the model (exit code 2)."""
    return user_error(brief, reason="samples-mismatch", remedy=remedy)


def absence(path: Path) -> str:
    """The words for samples at ``path``, where neither a file nor a folder is."""
    return "are neither a file nor a folder" if path.exists() else "do not exist"


def missing(brief: str, *, remedy: str = _SEE) -> CoralforgeError:
    """Samples that are not there (exit code 2)."""
    return user_error(brief, reason="samples-missing", remedy=remedy)


def too_large(brief: str) -> CoralforgeError:
    """Samples that take more memory than any should (exit code 2)."""
    return user_error(brief, reason="samples-too-large", remedy="use fewer or smaller samples (--max-samples)")
