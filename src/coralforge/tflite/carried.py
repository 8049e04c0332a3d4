"""Carries over what a model says of itself to what a compiler made of it.

Google's compiler drops both metadata and appended files: in ShawnHymel/google-coral-micro-object-detection the plain
model_int8.tflite has them, and what the compiler made of it has neither. Where a public compiled file has some (of
Coral, of Ultralytics), TensorFlow Lite's tools added them afterwards. This does the same.
"""

from __future__ import annotations

import copy

from coralforge.tflite import schema
from coralforge.tflite.appended import archive_in, with_archive
from coralforge.tflite.metadata import metadata_buffer
from coralforge.tflite.metadata_form import BUFFER
from coralforge.tflite.model import Model


def with_statement(made: Model, data: bytes, plain: Model) -> bytes:
    """``data``, the bytes of ``made``, with metadata and appended files of ``plain`` where it has none itself.

    Metadata describes each input and output, so one segment of a pipeline, which has others, gets none. Operators,
    tensors and packages stay as they are.
    """
    raw = b"" if metadata_buffer(made) else metadata_buffer(plain)
    same = all(len(getattr(made.graph, way)) == len(getattr(plain.graph, way)) for way in ("inputs", "outputs"))
    archive = plain.archive
    if raw and same:
        archive = made.archive or plain.archive
        data = _with_buffer(made, raw)
    return data if archive_in(data) else with_archive(data, archive)


def _with_buffer(made: Model, raw: bytes) -> bytes:
    native = copy.copy(made.native)
    native.buffers = [*native.buffers, schema.new("Buffer", data=schema.numbers(raw))]
    entry = schema.new("Metadata", name=BUFFER.encode(), buffer=len(native.buffers) - 1)
    native.metadata = [*(native.metadata or []), entry]
    return schema.pack(native)
