"""Small files of every kind that people have in the place of a TensorFlow Lite model."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache

import h5py
import numpy as np

from tests.support.model_maker import classifier

LABELS = b"0 ant\n1 bee\n2 cat\n3 dog\n4 eel\n"
CLASS = b"\x80\x02cultralytics.nn.tasks\nDetectionModel\nq\x00)\x81."
WEIGHTS = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02."
_CONFIG = json.dumps({"class_name": "Sequential", "config": {"layers": []}}).encode()


def zipped(members: Mapping[str, bytes] | Sequence[str], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive; of names alone, with nothing in them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name in members:
            archive.writestr(name, members[name] if isinstance(members, Mapping) else b"")
    return stream.getvalue()


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


ONNX = field(1, 8) + field(2, b"pytorch") + field(3, b"2.1.0") + field(7, bytes(300)) + field(8, field(2, 17))
NODE = field(1, field(1, b"input") + field(2, b"Placeholder"))


def hdf5(version: str = "2.15.0") -> bytes:
    """An .h5 of Keras with a few weights."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = version, _CONFIG
        file.create_group("model_weights").create_dataset("kernel", data=np.ones((20, 30)))
    return stream.getvalue()


@cache
def files() -> Mapping[str, bytes]:
    """Whole files by name."""
    keras = {"config.json": _CONFIG, "metadata.json": b'{"keras_version": "3.5.0"}', "model.weights.h5": bytes(99)}
    state = pickle.dumps({"weight": [1.5, 2.5], "name": "x" * 50}, 4)
    return {
        "net.keras": zipped(keras, zipfile.ZIP_DEFLATED),
        "net.h5": hdf5(),
        "net.onnx": ONNX,
        "yolo.pt": zipped({"yolo/data.pkl": CLASS, "yolo/data/0": bytes(64), "yolo/version": b"3"}),
        "state.pt": zipped({"x/data.pkl": WEIGHTS + state}, zipfile.ZIP_DEFLATED),
        "old.pth": b"\x80\x02\x8a\nl\xfc\x9cF" + state,
        "net.pt2": zipped({"archive/models/model.json": b"{}"}),
        "frozen.pb": NODE + field(1, field(1, b"w") + field(2, b"Const") + field(5, bytes(50))),
        "saved_model.pb": field(1, 1) + field(2, field(1, b"")),
        "w.safetensors": struct.pack("<Q", 20) + b'{"__metadata__": {}}' + bytes(40),
        "net.mlmodel": field(1, 4) + field(2, b"x") + field(500, bytes(40)),
        "tm.zip": zipped({"model.tflite": classifier(), "labels.txt": LABELS}, zipfile.ZIP_DEFLATED),
        "two.zip": zipped({"a.tflite": classifier(), "b/c.tflite": classifier()}),
        "page.tflite": b"<!DOCTYPE html>\n<html lang='en'><body>" + b"<p>text</p>" * 20,
        "labels.txt": LABELS,
        "model.json": b'{"format": "layers-model", "modelTopology": {}}',
        "net.cc": b"const unsigned char g_model[] = {\n" + b"  0x1c, 0x00," * 50,
    }
