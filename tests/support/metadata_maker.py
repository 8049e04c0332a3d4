"""Makes what TensorFlow Lite's Metadata Writer makes: the metadata's flatbuffer, and files behind a model."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

from coralforge.tflite import schema
from coralforge.tflite.model import Model

PICTURE_RGB = {"content": (2, 1)}
AXIS_LABELS, VALUE_LABELS = 2, 3


def about(
    name: str = "",
    *,
    content: tuple[int, int] | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    files: Sequence[tuple[str, int, str]] = (),
    calibrated: bool = False,
) -> dict[str, Any]:
    """The statements on one input or output. ``content``: kind, colours; ``files``: name, type, locale of each."""
    return {"name": name, "content": content, "mean": mean, "std": std, "files": files, "calibrated": calibrated}


def metadata(
    name: str, inputs: Sequence[Mapping[str, Any]] = (), outputs: Sequence[Mapping[str, Any]] = (), author: str = "us"
) -> bytes:
    """The flatbuffer, with the identifier M001."""
    builder = flatbuffers.Builder(1024)
    graph = _table(
        builder, 7, {2: _vector(builder, [_tensor(builder, one) for one in inputs])}
        | {3: _vector(builder, [_tensor(builder, one) for one in outputs])},
    )  # fmt: skip
    texts = {0: builder.CreateString(name), 4: builder.CreateString(author), 5: builder.CreateString("MIT")}
    top = _table(builder, 8, {3: _vector(builder, [graph]), **texts})
    builder.Finish(top, file_identifier=b"M001")
    return bytes(builder.Output())


def described(model: bytes, said: bytes, files: Mapping[str, bytes]) -> bytes:
    """A model with metadata inside it, and files behind it."""
    native = schema.unpack(model)
    native.buffers = [*native.buffers, schema.new("Buffer", data=schema.numbers(said))]
    entry = schema.new("Metadata", name=b"TFLITE_METADATA", buffer=len(native.buffers) - 1)
    native.metadata = [*(native.metadata or []), entry]
    return with_files(schema.pack(native), files)


def with_files(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """As MetadataPopulator appends them: Python's zipfile."""
    stream = io.BytesIO(model)
    if files:
        with zipfile.ZipFile(stream, "a") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    return stream.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An archive as tools hand it out."""
    return with_files(b"", files)


def names(model: Model) -> list[str]:
    """The names of a model's entries of metadata."""
    return [entry.name.decode() for entry in model.native.metadata or []]


def _tensor(builder: Any, one: Mapping[str, Any]) -> int:
    fields = {0: builder.CreateString(one["name"])}
    units = []
    if one["mean"]:
        values = {0: _floats(builder, one["mean"]), 1: _floats(builder, one["std"])}
        units.append(_union(builder, 2, 1, _table(builder, 2, values)))
    if one["calibrated"]:
        units.append(_union(builder, 2, 2, _table(builder, 2, {})))
    fields[4] = _vector(builder, units)
    files = []
    for name, kind, locale in one["files"]:
        texts = {0: builder.CreateString(name), 3: builder.CreateString(locale)}
        files.append(_table(builder, 5, texts, {2: kind}))
    fields[6] = _vector(builder, files)
    if one["content"] is not None:
        kind, colours = one["content"]
        fields[3] = _union(builder, 3, kind, _table(builder, 2, {}, {0: colours}))
    return _table(builder, 7, fields)


def _union(builder: Any, fields: int, kind: int, value: int) -> int:
    return _table(builder, fields, {1: value}, {0: kind})


def _table(builder: Any, fields: int, offsets: Mapping[int, int], numbers: Mapping[int, int] | None = None) -> int:
    builder.StartObject(fields)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, number in (numbers or {}).items():
        builder.PrependInt8Slot(slot, number, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, np.float32)))
