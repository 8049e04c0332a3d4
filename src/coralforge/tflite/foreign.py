"""Tells what a file is that is no TensorFlow Lite model, and how to get from it to one. Nothing in it is run."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from coralforge.errors import CoralforgeError, user_error

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04")
_MEMBERS = 10_000
_QUANTIZE = "quantize it: `invoke quantize --model {name} --samples DIR` makes a .tflite of it"
_TORCH = (
    "export it with ai-edge-torch (litert-torch) and its full-integer quantization; or with torch.onnx.export, and "
    "convert that with `onnx2tf -oiqt`; then `invoke compile` takes the .tflite"
)
_ONNX = (
    "convert it with onnx2tf and its own full-integer options (`onnx2tf -i {name} -oiqt`, with calibration data), "
    "then `invoke compile` takes the .tflite; or give its SavedModel to `invoke quantize`"
)


@dataclass(frozen=True)
class Foreign:
    """A file of another kind. ``keras``: one that `invoke quantize` takes."""

    what: str
    how: str
    keras: bool = False

    def refusal(self, path: Path) -> CoralforgeError:
        """One line for a verb that does not take it; reason ``model-format``, exit code 2."""
        remedy = self.how.replace("{name}", path.name)
        return user_error(f"{path} is {self.what}, not a TensorFlow Lite model", reason="model-format", remedy=remedy)


_KERAS = Foreign("a Keras model", _QUANTIZE, keras=True)
_SAVED = Foreign("a TensorFlow SavedModel", _QUANTIZE, keras=True)
_PYTORCH = Foreign("a PyTorch file", _TORCH)
_EXPORTED = Foreign("a program exported from PyTorch", _TORCH)
_BY_ENDING = {
    ".onnx": Foreign("an ONNX model", _ONNX),
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".pt2": _EXPORTED,
    ".pb": Foreign("a TensorFlow graph", "save it as a SavedModel; " + _QUANTIZE.replace("{name}", "FOLDER")),
    ".safetensors": Foreign("a file of weights alone", "load it with the code of its model, and export that"),
}


def recognise(path: Path) -> Foreign | None:
    """The kind of a file or folder, by its content, then by its ending; None if it is none that is known here."""
    try:
        if path.is_dir():
            return _SAVED if any((path / f"saved_model.{end}").is_file() for end in ("pb", "pbtxt")) else None
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError:
        return None
    if start[4:8] == b"TFL3":
        return None
    if start.startswith(b"PK"):
        return _zipped(path)
    if start.startswith(_HDF5):
        return _KERAS
    if _is_onnx(start):
        return _BY_ENDING[".onnx"]
    ending = _BY_ENDING.get(path.suffix.lower())
    return _PYTORCH if ending is None and start.startswith(_PICKLED) else ending


def _is_onnx(start: bytes) -> bool:
    """A protocol buffer whose first field is a version of ONNX, and whose second is its producer or the graph."""
    return len(start) > 2 and start[0] == 0x08 and 3 <= start[1] <= 20 and start[2] in (0x12, 0x3A)


def _zipped(path: Path) -> Foreign | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename for member in archive.infolist()[:_MEMBERS]]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return _BY_ENDING.get(path.suffix.lower())
    if {"config.json", "metadata.json"} <= set(names):
        return _KERAS
    if any(name.endswith("data.pkl") for name in names):
        return _PYTORCH
    if any(name.endswith(("serialized_exported_program.json", "models/model.json")) for name in names):
        return _EXPORTED
    if inside := [name for name in names if name.endswith(".tflite")]:
        shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in inside[0][:100])
        return Foreign("an archive with a model in it", f"unpack it, and give {shown}")
    return _BY_ENDING.get(path.suffix.lower())
