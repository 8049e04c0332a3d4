"""The head of a Keras HDF5 file, and whether the rest of it is what a model may have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coralforge.errors import first_line

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_OBJECTS = 100_000
_MAX_DEPTH = 64
# What h5py raises for bytes that are no HDF5; it was tried with mutated files.
_ERRORS = (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, OverflowError, MemoryError)


class Damaged(Exception):
    """A damaged file; the message is the end of a sentence."""


@dataclass(frozen=True)
class Header:
    """The attributes that Keras writes at the root. Texts are empty where it wrote nothing."""

    version: str
    config: str
    weights: bool


def read_header(path: Path, limit: int) -> Header:
    """Read the attributes of the root and look at every object once.

    Raises:
        Damaged: not HDF5, more than ``limit`` bytes of data as declared, or data that lies in other files.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_objects(file, limit)
            weights = "layer_names" in file.attrs or "model_weights" in file or "layers" in file
            return Header(_text(file.attrs.get("keras_version")), _text(file.attrs.get("model_config")), weights)
    except _ERRORS as error:
        raise Damaged(first_line(error)) from error


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if value is not None and not isinstance(value, str):
        raise Damaged("an attribute that has to be a text is something else")
    return value or ""


def _check_objects(file: Any, limit: int) -> None:
    """Links to other files would read them; sizes are checked before anything takes the memory for them."""
    import h5py

    waiting, seen, total = [(file, 0)], 0, 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            seen += 1
            if seen > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise Damaged("it has more objects than a model has")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Damaged(f"{name} is a link to somewhere else")
            found = group[name]
            if isinstance(found, h5py.Dataset):
                if found.external or found.is_virtual:
                    raise Damaged(f"{name} lies in another file")
                total += found.size * found.dtype.itemsize
            elif isinstance(found, h5py.Group):
                waiting.append((found, depth + 1))
    if total > limit:
        raise Damaged(f"it declares {total / 2**30:.1f} GiB of weights")
