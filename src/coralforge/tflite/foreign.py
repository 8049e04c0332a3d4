"""Tells what a file is that is no TensorFlow Lite model, and how to get from it to one. Nothing in it is run.

By content first, by name only where content says nothing. No more than the ends of a file are read.
"""

from __future__ import annotations

from pathlib import Path

from coralforge.tflite import foreign_kinds as kinds
from coralforge.tflite import hdf5_head
from coralforge.tflite.foreign_kinds import Foreign
from coralforge.tflite.foreign_text import recognise_text
from coralforge.tflite.foreign_zip import module_in, recognise_zip
from coralforge.tflite.protobuf import Field, NotOne, Source, fields, text

_START = 64 << 10  # bytes
_ONNX_VERSIONS = range(3, 21)  # of its intermediate representation; 13 in 2026
_PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_CORE_ML = 200  # and above are the fields of a Core ML file with the model itself


def recognise(path: Path) -> Foreign | None:
    """The kind of a file or folder; None if it is a TensorFlow Lite model, or none that is known here."""
    try:
        if path.is_dir():
            return _folder(path)
        if not path.is_file():  # reading a pipe would wait
            return None
        with path.open("rb") as stream:
            source = Source(stream, path.stat().st_size)
            start = source.at(0, _START)
            return None if start[4:8] == b"TFL3" else _file(path, source, start)
    except OSError:
        return None


def is_tflite(path: Path) -> bool:
    """Whether a file has the identifier of TensorFlow Lite's models."""
    try:
        with path.open("rb") as stream:
            return stream.read(8)[4:] == b"TFL3"
    except OSError:
        return False


def _folder(path: Path) -> Foreign | None:
    if any((path / f"saved_model.{end}").is_file() for end in ("pb", "pbtxt")):
        return kinds.SAVED_MODEL
    if (path / "Manifest.json").is_file() and path.suffix == ".mlpackage":
        return kinds.CORE_ML
    return None


def _file(path: Path, source: Source, start: bytes) -> Foreign | None:
    if not start:
        return kinds.EMPTY
    named = path.name in ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb")
    ending = kinds.IN_SAVED_MODEL if named else kinds.BY_ENDING.get(path.suffix.lower())
    if start.startswith(b"PK"):
        return recognise_zip(source.stream) or ending
    if start.startswith(hdf5_head.SIGNATURE):
        return _hdf5(source)
    for place, magic, found in kinds.MAGIC:
        if start[place:].startswith(magic):
            return found
    if not start.strip(b"\0"):
        return kinds.ZEROS
    return recognise_text(start, source.size) or _binary(source, start) or ending


def _hdf5(source: Source) -> Foreign:
    head = hdf5_head.read_head(source)
    if not head.model and head.weights:
        return kinds.KERAS_WEIGHTS
    return kinds.keras(head.version, ".h5") if head.model or not head.whole else kinds.HDF5


def _binary(source: Source, start: bytes) -> Foreign | None:
    if start.startswith(_PICKLED):
        return kinds.torch(module_in(start))
    if start[8:9] == b"{" and 2 < int.from_bytes(start[:8], "little") <= source.size - 8:
        return kinds.SAFETENSORS
    return _message(source)


def _message(source: Source) -> Foreign | None:
    """A protocol buffer of ONNX, TensorFlow or Core ML."""
    found: dict[int, Field] = {}
    try:
        for field in fields(source, 0, source.size):
            found.setdefault(field.number, field)
        whole = True
    except NotOne:
        whole = False
    try:
        return _onnx(source, found) or (_graph(source, found, whole) if found else None)
    except NotOne:
        return None


def _onnx(source: Source, found: dict[int, Field]) -> Foreign | None:
    """Fields of its ModelProto: 1 version, 2 producer, 3 the producer's version, 7 graph, 8 sets of operators."""
    first = found.get(1)
    if first is None or first.packed or first.value not in _ONNX_VERSIONS or max(found) >= _CORE_ML:
        return None
    if not any(number in found and found[number].packed for number in (2, 7)):
        return None
    producer = " ".join(filter(None, (text(source, found[n]) for n in (2, 3) if n in found and found[n].packed)))
    opset = 0
    if 8 in found and found[8].packed:
        for field in fields(source, found[8].start, found[8].start + found[8].size):
            opset = field.value if field.number == 2 else opset
    return kinds.onnx(opset if opset < 1000 else 0, producer)


def _graph(source: Source, found: dict[int, Field], whole: bool) -> Foreign | None:
    """TensorFlow's SavedModel (1: a version, 2: a graph) or GraphDef (1: a node with a name and an operator)."""
    first = found.get(1)
    if first is None:
        return None
    if not first.packed:
        if whole and max(found) >= _CORE_ML:
            return kinds.CORE_ML
        return kinds.IN_SAVED_MODEL if first.value == 1 and 2 in found and found[2].packed else None
    names = {
        f.number: text(source, f)
        for f in fields(source, first.start, first.start + first.size)
        if f.packed and f.number < 3
    }
    return kinds.GRAPH if names.get(1) and names.get(2, "").replace("_", "").isalnum() else None
