"""Tells by its content what a model file is, and reads what can be known without TensorFlow.

Everything is read as something from anywhere: sizes are checked before memory is taken, and code in a file is found
before anything could run it.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from coralforge.errors import (
    CoralforgeError,
    first_line,
    model_invalid,
    model_missing,
    model_too_large,
    model_unreadable,
    user_error,
)
from coralforge.quantize.worker import hdf5

MAX_CONFIG = 64 << 20  # bytes of JSON
MAX_WEIGHTS = 4 << 30  # bytes, as declared; five hundred times what an Edge TPU holds
_MAX_MEMBERS = 10_000
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError, RuntimeError)
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9a-z-]{1,20}){0,4}")
_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")


class Kind(Enum):
    """How a model is stored."""

    KERAS = ".keras"
    H5 = ".h5"
    SAVED_MODEL = "SavedModel"


@dataclass(frozen=True)
class ModelFile:
    """A file or folder that is what it says. ``version`` is the Keras that wrote it, empty where unknown."""

    path: Path
    kind: Kind
    version: str = ""
    config: Any = None
    """The layers, as Keras describes them in JSON."""

    @property
    def legacy(self) -> bool:
        """Whether it takes Keras 2 (tf_keras) to read it."""
        return self.kind is not Kind.SAVED_MODEL and int((self.version or "2").split(".")[0]) < 3

    @property
    def text(self) -> str:
        """For people: ``Keras 2.15.0 .h5``."""
        return f"Keras {self.version} {self.kind.value}" if self.version else self.kind.value


def recognise(path: Path) -> ModelFile:
    """The kind of the model at ``path``.

    Raises:
        CoralforgeError: exit code 2, reason ``model-missing``, ``model-unreadable``, ``model-too-large``,
            ``model-invalid``, ``model-weights-only`` or ``model-keras-version``.
    """
    try:
        if path.is_dir():
            return _folder(path)
        with path.open("rb") as stream:
            start = stream.read(16)
    except FileNotFoundError as error:
        raise model_missing(path) from error
    except OSError as error:
        raise model_unreadable(path, error) from error
    if start.startswith(b"PK"):
        return _keras(path)
    if start.startswith(hdf5.SIGNATURE):
        return _h5(path)
    raise _unknown(path, start)


def _folder(path: Path) -> ModelFile:
    if any((path / name).is_file() for name in _SAVED_MODEL):
        return ModelFile(path, Kind.SAVED_MODEL)
    raise user_error(
        f"the folder {path} is no SavedModel: it has no saved_model.pb",
        reason="model-invalid",
        remedy="give the folder that model.export(DIR), or tf.saved_model.save, has written",
    )


def _keras(path: Path) -> ModelFile:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members)
            metadata = json.loads(_member(archive, "metadata.json", 1 << 20))
            config = json.loads(_member(archive, "config.json", MAX_CONFIG))
    except CoralforgeError:
        raise
    except KeyError as error:
        raise _no_keras_file(path, members) from error
    except (*_ZIP_ERRORS, RecursionError) as error:
        raise model_invalid(path, f"its archive is damaged ({_said(error)})") from error
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return _versioned(path, Kind.KERAS, version, config)


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    if len(members) > _MAX_MEMBERS or total > MAX_WEIGHTS:
        raise model_too_large(
            f"{path} unpacks to {total / 2**30:.1f} GiB in {len(members)} files; a model for an Edge TPU has less"
        )


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is larger than {limit >> 20} MiB")
    return data


def _no_keras_file(path: Path, members: list[zipfile.ZipInfo]) -> CoralforgeError:
    return model_invalid(path, f"it is an archive of {len(members)} files, without config.json and metadata.json")


def _h5(path: Path) -> ModelFile:
    try:
        header = hdf5.read_header(path, MAX_WEIGHTS)
        config = json.loads(header.config) if header.config else None
    except (hdf5.Damaged, ValueError, RecursionError) as error:
        raise model_invalid(path, f"its HDF5 is damaged or not Keras' ({_said(error)})") from error
    if config is None:
        raise user_error(
            f"{path} has no model in it" + (", only weights" if header.weights else ""),
            reason="model-weights-only",
            remedy="save the whole model: model.save(FILE), not model.save_weights(FILE)",
        )
    return _versioned(path, Kind.H5, header.version or "2", config)


def _versioned(path: Path, kind: Kind, version: Any, config: Any) -> ModelFile:
    if not isinstance(config, dict) or not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise model_invalid(path, "it does not say which Keras wrote it, or which layers it has")
    if version.split(".")[0] not in ("2", "3"):
        raise user_error(
            f"{path} was written by Keras {version}; versions 2 and 3 can be read",
            reason="model-keras-version",
            remedy="load it with the program that made it and save it as a SavedModel",
        )
    return ModelFile(path, kind, version, config)


def _unknown(path: Path, start: bytes) -> CoralforgeError:
    return user_error(
        f"{path} is neither a Keras model (.keras, .h5) nor the folder of a SavedModel",
        reason="model-invalid",
        details=f"it starts with {start!r}" if start else "it is empty",
        remedy="docs/quantize.md says which files can be quantized",
    )


def _said(error: BaseException) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else first_line(error)
