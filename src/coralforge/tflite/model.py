"""Reads .tflite files from anywhere, safely, and writes them in one step."""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coralforge.errors import (
    CoralforgeError,
    model_invalid,
    model_missing,
    model_too_large,
    model_unreadable,
    user_error,
)
from coralforge.tflite import schema
from coralforge.tflite.appended import archive_in
from coralforge.tflite.flatbuffer import Malformed, walk
from coralforge.tflite.foreign import recognise
from coralforge.tflite.graph import Graph, main_graph, operator_names
from coralforge.tflite.packed import Given, taken_out
from coralforge.util import atomic

MAX_BYTES = 256 << 20  # ten times the largest model that makes sense on an Edge TPU, which has 8 MB of memory

# What FlatBuffers' Python code and numpy raise for numbers that the walk does not look at.
_UNREADABLE = (struct.error, ValueError, LookupError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Model:
    """A model file that could be read. ``native`` is its ``ModelT``; treat it as read-only."""

    path: Path
    size: int
    graph: Graph
    subgraphs: int
    native: Any = field(repr=False, compare=False)
    archive: bytes = field(default=b"", repr=False, compare=False)
    """The zip archive behind the model, with labels and the like (appended.py); mostly empty."""
    member: str = ""
    """Its name in the archive that ``path`` is; empty for a model that is a file of its own."""
    labels: bytes = field(default=b"", repr=False, compare=False)
    """The file of labels beside it in that archive; mostly empty."""
    operators: frozenset[str] = frozenset()
    """The operators of all subgraphs, by name; custom ones as CUSTOM:NAME."""


def read_model(path: Path) -> Model:
    """Read and check a .tflite file, or the one in a zip archive as other tools export it.

    Raises:
        CoralforgeError: reason ``model-missing``, ``model-unreadable``, ``model-too-large``, ``model-format`` (a
            model of another kind) or ``model-invalid``; all exit code 2.
    """
    try:
        given = read_given(path)
    except FileNotFoundError as error:
        raise model_missing(path) from error
    except OSError as error:
        raise model_unreadable(path, error) from error
    model = parse_model(path, given.data)
    return replace(model, member=given.member, labels=given.labels) if given.member else model


def read_given(path: Path) -> Given:
    """The bytes of the model at ``path``, which may lie in a zip archive; they are not looked at.

    Raises:
        CoralforgeError: as ``read_model``, but for ``model-missing`` and ``model-invalid``.
        OSError: it cannot be read.
    """
    status = path.stat()
    foreign = recognise(path)
    if foreign is not None and len(foreign.members) != 1:
        raise foreign.refusal(path)
    if not stat.S_ISREG(status.st_mode):
        raise user_error(
            f"the model {path} is not a file", reason="model-unreadable", remedy="give the .tflite file itself"
        )
    if foreign is not None:
        return taken_out(path, foreign.members[0], MAX_BYTES)
    if status.st_size > MAX_BYTES:
        raise model_too_large(f"{path} is larger than {MAX_BYTES >> 20} MiB")
    return Given(path.read_bytes())


def parse_model(path: Path, data: bytes) -> Model:
    """Check the bytes of a model; ``path`` is only named in errors.

    Raises:
        CoralforgeError: reason ``model-invalid``, exit code 2.
    """
    try:
        walk(data)
        native = schema.unpack(data)
        graph = main_graph(native)
        operators = operator_names(native)
    except Malformed as error:
        raise _invalid(path, str(error)) from error
    except _UNREADABLE as error:
        raise _invalid(path, "its flatbuffer is damaged") from error
    return Model(path, len(data), graph, len(native.subgraphs), native, archive_in(data), operators=operators)


def write_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` with one rename: there is the old file, or the whole new one.

    Raises:
        CoralforgeError: reason ``model-write``, exit code 2.
    """
    write_files({path: data})


def write_files(files: Mapping[Path, bytes]) -> None:
    """Put several files into place, each with one rename, and none before all of them are written.

    Raises:
        CoralforgeError: reason ``model-write``, exit code 2.
    """
    try:
        atomic.write_all(files)
    except OSError as error:
        raise user_error(
            f"{error.filename} cannot be written: {error.strerror}",
            reason="model-write",
            remedy="choose another --output",
        ) from error


def _invalid(path: Path, what: str) -> CoralforgeError:
    return model_invalid(path, what, "TensorFlow Lite model")
