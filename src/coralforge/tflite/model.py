"""Reads .tflite files from anywhere, safely, and writes them in one step."""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite import schema
from coralforge.tflite.appended import archive_in
from coralforge.tflite.flatbuffer import Malformed, walk
from coralforge.tflite.foreign import recognise
from coralforge.tflite.graph import Graph, main_graph, operator_names
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
    operators: frozenset[str] = frozenset()
    """The operators of all subgraphs, by name; custom ones as CUSTOM:NAME."""
    archive: bytes = field(default=b"", repr=False, compare=False)
    """The zip archive behind the model, with labels and the like (appended.py); mostly empty."""


def read_model(path: Path) -> Model:
    """Read and check a .tflite file.

    Raises:
        CoralforgeError: reason ``model-missing``, ``model-unreadable``, ``model-too-large``, ``model-format`` (a
            model of another kind) or ``model-invalid``; all exit code 2.
    """
    try:
        status = path.stat()
        if (foreign := recognise(path)) is not None:
            raise foreign.refusal(path)
        if not stat.S_ISREG(status.st_mode):
            raise user_error(f"the model {path} is not a file", reason="model-unreadable")
        if status.st_size > MAX_BYTES:
            raise user_error(f"{path} is larger than {MAX_BYTES >> 20} MiB", reason="model-too-large")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise user_error(f"the model {path} does not exist", reason="model-missing") from error
    except OSError as error:
        raise user_error(f"the model {path} cannot be read: {error.strerror}", reason="model-unreadable") from error
    return parse_model(path, data)


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
    return Model(path, len(data), graph, len(native.subgraphs), native, operators, archive_in(data))


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
    return user_error(f"{path} is not a valid TensorFlow Lite model: {what}", reason="model-invalid")
