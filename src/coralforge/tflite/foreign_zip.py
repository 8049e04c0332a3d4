"""Tells what is in a zip archive that was given as a model. Nothing is unpacked to disk, and no pickle is opened."""

from __future__ import annotations

import json
import pickletools
import re
import zipfile
from collections.abc import Sequence
from typing import IO

from coralforge.tflite import foreign_kinds as kinds
from coralforge.tflite.foreign_kinds import Foreign
from coralforge.tflite.zips import BadZip, member, opened

_MOST = 1 << 20  # bytes of a description
_PICKLE = 256 << 10  # bytes of a pickle that are looked at
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9a-z-]{1,20}){0,4}")
_TO_QUANTIZE = (".keras", ".h5", ".onnx", ".pt2")
_OWN = ("torch", "collections", "__builtin__", "builtins", "numpy", "_codecs")


def recognise_zip(stream: IO[bytes]) -> Foreign | None:
    """The kind of an archive by the names in it; None for one that is damaged."""
    try:
        with opened(stream) as archive:
            return _kind(archive, [one.filename for one in archive.infolist()])
    except BadZip:
        return None


def models_in(names: Sequence[str]) -> tuple[str, ...]:
    """The .tflite files among an archive's names. What macOS adds beside each file is none."""
    return tuple(name for name in names if name.lower().endswith(".tflite") and not _apple(name))


def _kind(archive: zipfile.ZipFile, names: Sequence[str]) -> Foreign:
    if {"config.json", "metadata.json"} <= set(names):
        return kinds.keras(_keras_version(archive), ".keras")
    for known in (_torch, _models, _others):
        if (found := known(archive, names)) is not None:
            return found
    return kinds.no_model("an archive without a model", "give the file of the model")


def _keras_version(archive: zipfile.ZipFile) -> str:
    try:
        found = json.loads(member(archive, "metadata.json", _MOST))
    except (ValueError, RecursionError):
        return ""
    version = found.get("keras_version") if isinstance(found, dict) else None
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else ""


def _torch(archive: zipfile.ZipFile, names: Sequence[str]) -> Foreign | None:
    if any(name.endswith(("serialized_exported_program.json", "models/model.json")) for name in names):
        return kinds.EXPORTED
    pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if not pickles:
        return None
    if any(name.endswith("constants.pkl") for name in names):
        return kinds.TORCHSCRIPT
    with archive.open(pickles[0]) as stream:
        return kinds.torch(module_in(stream.read(_PICKLE)))


def module_in(pickle: bytes) -> str:
    """The first class that a pickle names and that is not PyTorch's own; empty if there is none. Nothing is run."""
    words: list[str] = []
    try:
        for operation, argument, _ in pickletools.genops(pickle):
            if operation.name == "GLOBAL":
                words = str(argument).split(" ")
            elif isinstance(argument, str):
                words = [*words[-1:], argument]
            if operation.name in ("GLOBAL", "STACK_GLOBAL") and len(words) == 2 and not _own(words[0]):
                return ".".join(words)
    except (ValueError, LookupError, OverflowError, MemoryError, TypeError, AttributeError, RecursionError):
        pass  # cut off where it was read to, or damaged
    return ""


def _own(module: str) -> bool:
    return module.partition(".")[0] in _OWN


def _models(_archive: zipfile.ZipFile, names: Sequence[str]) -> Foreign | None:
    if any("edge-impulse-sdk/" in name for name in names):
        return kinds.EDGE_IMPULSE
    if inside := models_in(names):
        return kinds.archive(inside)
    found = next((name for name in names if name.endswith("saved_model.pb")), None)
    if found is not None:
        folder = found.removesuffix("saved_model.pb").rstrip("/")
        return kinds.packed(f"the folder {folder}" if folder else "the folder")
    found = next((name for name in names if name.endswith(_TO_QUANTIZE) and not _apple(name)), None)
    return kinds.packed(found) if found is not None else None


def _others(_archive: zipfile.ZipFile, names: Sequence[str]) -> Foreign | None:
    if any(".mlmodel" in name or ".mlpackage" in name for name in names):
        return kinds.CORE_ML
    if "model.json" in names:
        return kinds.TENSORFLOW_JS
    if any(name.endswith(("model_data.cpp", "model_data.cc", "model_data.h")) for name in names):
        return kinds.EMBEDDED
    if names and all(name.endswith(".npy") for name in names):
        return kinds.ARRAYS
    return None


def _apple(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")
