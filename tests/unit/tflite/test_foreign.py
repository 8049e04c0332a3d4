"""A model of another kind: one line that says what it is, and how to get from it to what is taken."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.quantize.quantize import QuantizeOptions, quantize
from coralforge.tflite.model import read_model


def zipped(names: Sequence[str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return stream.getvalue()


FILES = {
    "net.keras": (zipped(["config.json", "metadata.json", "model.weights.h5"]), "a Keras model", "invoke quantize"),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "a Keras model", "invoke quantize"),
    "net.onnx": (b"\x08\x08\x12\x07pytorch", "an ONNX model", "onnx2tf"),
    "net": (b"\x08\x09\x3a\x07graph..", "an ONNX model", "onnx2tf"),
    "net.pt": (zipped(["net/data.pkl", "net/data/0"]), "a PyTorch file", "ai-edge-torch"),
    "old.pth": (b"\x80\x02\x8a\nl\xfc\x9cF", "a PyTorch file", "ai-edge-torch"),
    "net.pt2": (zipped(["archive/models/model.json"]), "a program exported from PyTorch", "ai-edge-torch"),
    "frozen.pb": (b"\n\x08\n\x01x", "a TensorFlow graph", "SavedModel"),
    "weights.safetensors": (b"\x10\0\0\0\0\0\0\0{}", "a file of weights alone", "export"),
    "converted_tflite.zip": (zipped(["model.tflite", "labels.txt"]), "an archive with a model", "unpack it"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_it_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    data, what, how = FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CoralforgeError, match=what) as raised:
        read_model(tmp_path / name)
    assert (raised.value.reason, raised.value.code) == ("model-format", ExitCode.USER)
    assert how in raised.value.remedy
    assert "{name}" not in raised.value.remedy


def test_the_folder_of_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CoralforgeError, match="SavedModel") as raised:
        read_model(tmp_path)
    assert "invoke quantize" in raised.value.remedy


@pytest.mark.parametrize("name", ["net.onnx", "net.pt", "net.pt2", "frozen.pb"])
def test_quantize_says_it_before_it_asks_for_anything_else(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name][0])
    with pytest.raises(CoralforgeError) as raised:
        quantize(QuantizeOptions(tmp_path / name, tmp_path / "out.tflite"), Recorder())
    assert raised.value.reason == "model-format"


def test_a_name_is_no_proof(tmp_path: Path) -> None:
    """What is a TensorFlow Lite model by its content is read, whatever it is called."""
    (tmp_path / "x.onnx").write_bytes(b"\0\0\0\0TFL3" + bytes(50))
    with pytest.raises(CoralforgeError) as raised:
        read_model(tmp_path / "x.onnx")
    assert raised.value.reason == "model-invalid"
