"""A file of another kind: one line that says what it is, and how to get from it to what is taken."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.quantize.quantize import QuantizeOptions, quantize
from coralforge.tflite.foreign import recognise
from coralforge.tflite.foreign_kinds import Kind
from coralforge.tflite.foreign_zip import module_in
from coralforge.tflite.model import read_model
from tests.support.foreign_files import CLASS, NODE, ONNX, WEIGHTS, field, zipped

KERAS = {"config.json": b"{}", "metadata.json": b'{"keras_version": "3.5.0"}', "model.weights.h5": b""}

# Name: content, what is said of it, what to do.
FILES: dict[str, tuple[bytes, str, str]] = {
    "net.keras": (zipped(KERAS), r"a Keras 3\.5\.0 model \(\.keras\)", "invoke quantize --model net.keras"),
    "vague.keras": (zipped(["config.json", "metadata.json"]), "a Keras model", "invoke quantize"),
    "data.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file without", "model.save"),
    "net.onnx": (ONNX, r"an ONNX model \(opset 17, made by pytorch 2\.1\.0\)", "invoke quantize --model"),
    "short.onnx": (ONNX[:40], r"an ONNX model \(made by pytorch 2\.1\.0\)", "invoke quantize --model"),
    "net": (b"\x08\x09\x3a\x07graph..", "an ONNX model", "invoke quantize --model"),
    "yolo.pt": (zipped({"yolo/data.pkl": CLASS, "yolo/data/0": b""}), "a YOLO model in it", "format=onnx"),
    "mine.pt": (
        zipped({"x/data.pkl": b"cmine.nets\nNet\n."}),
        r"needs the code of mine\.nets\.Net",
        "where its code is: model = torch.load",
    ),
    "state.pt": (zipped({"x/data.pkl": WEIGHTS}), "a pickle of weights without the code", "load these weights"),
    "script.pt": (zipped(["x/data.pkl", "x/constants.pkl", "x/code/n.py"]), "TorchScript", "torch.jit.load"),
    "old.pth": (b"\x80\x02\x8a\nl\xfc\x9cF", "a PyTorch file", "torch.onnx.export"),
    "net.pt2": (zipped(["archive/models/model.json"]), "a program exported from PyTorch", "torch.export.load"),
    "frozen.pb": (NODE + field(1, bytes(50)), "a frozen graph of TensorFlow 1", "invoke quantize --model FOLDER"),
    "named.pb": (b"\xff\xff", "neither a frozen graph nor a SavedModel", "SavedModel"),
    "fingerprint.pb": (b"\xff\xff", "one file of a TensorFlow SavedModel", "folder"),
    "tinyml.zip": (zipped(["person_detect_model_data.cpp", "x.ino"]), "C\\+\\+ source", "Edge TPU"),
    "saved_model.pb": (field(1, 1) + field(2, b"\x0a\x00"), "one file of a TensorFlow SavedModel", "folder"),
    "w.safetensors": (struct.pack("<Q", 2) + b"{}" + bytes(9), "a file of weights alone", "export"),
    "net.mlmodel": (field(1, 4) + field(2, b"") + field(500, b"x"), "a Core ML model", "go back"),
    "net.mlpackage.zip": (zipped(["n.mlpackage/Data/m.mlmodel"]), "a Core ML model", "go back"),
    "two.zip": (zipped(["a.tflite", "b/c.tflite"]), "an archive with 2 models in it", "one of a.tflite, b/c.tflite"),
    "ei.zip": (zipped(["edge-impulse-sdk/README.md", "x.tflite"]), "a library of Edge Impulse", "int8 quantized"),
    "tm.zip": (zipped(["keras_model.h5", "labels.txt"]), "an archive", "unpack it, and give keras_model.h5"),
    "pt2.zip": (
        zipped(["net.pt2"]),
        "an archive",
        'unpack it, and export it: torch.onnx.export(torch.export.load("net.',
    ),
    "sm.zip": (zipped(["m/saved_model.pb", "m/variables/"]), "an archive", "give the folder m"),
    "tfjs.zip": (zipped(["model.json", "weights.bin"]), "a TensorFlow.js model", "Edge TPU"),
    "samples.npz": (zipped(["a.npy"]), "arrays of numpy", "as samples"),
    "x.docx": (zipped(["word/document.xml"]), "an archive without a model", "give the file"),
    "page.tflite": (b"\n<!DOCTYPE html>\n<html lang='en'>", "a page of HTML", "Raw"),
    "lfs.tflite": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS", "git lfs pull"),
    "link.tflite": (b"../m/net_edgetpu.tflite", "a link that was saved as a text", "names: ../m/net_edgetpu.tflite"),
    "labels.txt": ("Katze\nKüche\nHund".encode(), "a text of 3 lines, such as labels", "give the model"),
    "many.txt": (b"0 background\n" * 20_000, "a text of more than 50", "give the model"),
    "model.json": (b'{"format": "layers-model", "modelTopology": {}}', "a TensorFlow.js model", "Edge TPU"),
    "arch.json": (b'{"class_name": "Sequential"}', "the layers of a Keras model", "model.save"),
    "map.pbtxt": (b"item {\n  id: 1\n}", "a text of TensorFlow", "give the model"),
    "net.xml": (b'<?xml version="1.0"?>\n<net name="x">', "an OpenVINO model", "go back"),
    "net.cc": (b"const unsigned char g_model[] = {\n  0x1c, 0x00,", "a model as C source", "give the .tflite"),
    "empty.tflite": (b"", "empty", "get the file again"),
    "zeros.tflite": (bytes(5000), "a file of zeros", "get the file again"),
    "model.eim": (b"\x7fELF" + bytes(60), "a program", "int8 quantized"),
    "photo.jpg": (b"\xff\xd8\xff\xe0", "a picture", "give the model"),
    "x.tar.gz": (b"\x1f\x8b\x08", "a packed file", "unpack it"),
    "model.pte": (b"\0\0\0\0ET12", "an ExecuTorch program", "go back"),
    "model.ckpt.index": (b"\xf0\xf1\xf2", "a part of a TensorFlow checkpoint", "SavedModel"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_it_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    data, what, how = FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CoralforgeError, match=f" is .*{what}") as raised:
        read_model(tmp_path / name)
    reason = "model-weights-only" if "checkpoint" in what else "model-format"
    assert (raised.value.reason, raised.value.code) == (reason, ExitCode.USER)
    assert how in raised.value.remedy
    assert "{name}" not in raised.value.remedy
    assert "\n" not in raised.value.brief + raised.value.remedy


@pytest.mark.parametrize(
    "name", [n for n, (_, what, _) in FILES.items() if not n.endswith(".keras") and "ONNX" not in what]
)
def test_quantize_says_it_before_it_asks_for_anything_else(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name][0])
    with pytest.raises(CoralforgeError, match="not a model that can be quantized") as raised:
        quantize(QuantizeOptions(tmp_path / name, tmp_path / "out.tflite"), Recorder())
    assert raised.value.reason in ("model-format", "model-weights-only")


def test_the_folder_of_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CoralforgeError, match="SavedModel") as raised:
        read_model(tmp_path)
    assert "invoke quantize" in raised.value.remedy


@pytest.mark.parametrize("version", ["2.15.0", "3.5.0", "2.8.0-tf"])
@pytest.mark.parametrize("library", ["earliest", "latest"])
@pytest.mark.parametrize("form", [str, str.encode, np.bytes_])
def test_the_version_of_keras_without_the_library_of_hdf5(
    version: str, library: str, form: type, tmp_path: Path
) -> None:
    """As Keras 2 (bytes) and 3 (texts) write it, and with so many attributes that they lie elsewhere."""
    path = tmp_path / "net.h5"
    for others in (0, 30):
        with h5py.File(path, "w", libver=library) as file:
            for number in range(others):
                file.attrs[f"other{number}"] = "x" * 50
            file.attrs["keras_version"] = form(version)
            file.attrs["model_config"] = form(json.dumps({"class_name": "Sequential"}) * 300)
            file.create_group("model_weights").create_dataset("kernel", data=np.ones((500, 300)))
        found = recognise(path)
        assert found is not None
        assert (found.kind, found.what) == (Kind.KERAS, f"a Keras {version} model (.h5)")


def test_weights_alone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.weights.h5", "w") as file:
        file.create_group("layers").create_dataset("vars", data=np.ones(5))
    found = recognise(tmp_path / "net.weights.h5")
    assert found is not None
    assert found.kind is Kind.WEIGHTS
    assert not found.quantizable


def test_a_pickle_is_read_and_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    for protocol in (2, 3, 4, 5):
        assert module_in(pickle.dumps(Trap(), protocol)) == "posix.mkdir"
    assert not (tmp_path / "sprung").exists()


def test_a_name_is_no_proof(tmp_path: Path) -> None:
    """What is a TensorFlow Lite model by its content is read, whatever it is called."""
    (tmp_path / "x.onnx").write_bytes(b"\0\0\0\0TFL3" + bytes(50))
    with pytest.raises(CoralforgeError) as raised:
        read_model(tmp_path / "x.onnx")
    assert raised.value.reason == "model-invalid"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    with pytest.raises(CoralforgeError, match="is not a file"):
        read_model(tmp_path / "pipe.tflite")


def test_names_from_the_file_do_not_act_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(["\x1b[2J" + "a" * 500 + ".tflite"]))
    (tmp_path / "x.pt").write_bytes(zipped({"data.pkl": b"cmine\x1b[2J\nNet\n."}))
    for name in ("x.zip", "x.pt"):
        found = recognise(tmp_path / name)
        assert found is not None
        assert (found.what + found.how).isprintable()
        assert len(found.what + found.how) < 500


def test_an_archive_whose_directory_is_huge_is_not_read(tmp_path: Path) -> None:
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 65535, 65535, 0x7FFFFFF0, 0, 0)
    with (tmp_path / "x.zip").open("wb") as stream:
        stream.write(b"PK\3\4")
        stream.truncate(0x7FFFFFF0)  # takes no room on the disk
        stream.seek(0, os.SEEK_END)
        stream.write(end)
    assert recognise(tmp_path / "x.zip") is None
