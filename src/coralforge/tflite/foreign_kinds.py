"""The kinds of files that people have where a TensorFlow Lite model is wanted, and what to do with each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from coralforge.errors import CoralforgeError, user_error

_SHOWN = 100  # characters of a text that the file itself gives


class Kind(Enum):
    """The kind of a file or folder, for programs."""

    KERAS = "keras"
    """A whole model: .keras, or .h5 of Keras 2 or 3."""
    WEIGHTS = "weights"
    """Weights of a Keras or TensorFlow model, without the model."""
    SAVED_MODEL = "saved-model"
    """The folder of a TensorFlow SavedModel."""
    GRAPH = "graph"
    """A frozen graph of TensorFlow 1."""
    ONNX = "onnx"
    TORCH = "torch"
    """A pickle: weights, or a module whose code is elsewhere."""
    TORCHSCRIPT = "torchscript"
    TORCH_EXPORT = "torch-export"
    """A program exported by torch.export."""
    ARCHIVE = "archive"
    """A zip archive with .tflite files in it."""
    PACKED = "packed"
    """An archive of another kind, or with something else in it."""
    NO_MODEL = "no-model"
    """A page, labels, a picture: not the file that was meant."""
    OTHER = "other"
    """A model of another tool or chip, from which no way leads on."""


@dataclass(frozen=True)
class Foreign:
    """A file that is no TensorFlow Lite model. ``what`` follows "is"; ``{name}`` in ``how`` stands for the file."""

    kind: Kind
    what: str
    how: str
    members: tuple[str, ...] = ()
    """The .tflite files of an archive, by their whole names in it."""

    @property
    def quantizable(self) -> bool:
        """Whether `invoke quantize` takes it."""
        return self.kind in (Kind.KERAS, Kind.SAVED_MODEL) or self.converted

    @property
    def converted(self) -> bool:
        """Whether `invoke quantize` converts it before."""
        return self.kind is Kind.ONNX

    def refusal(self, path: Path, wanted: str = "a TensorFlow Lite model") -> CoralforgeError:
        """One line for a verb that does not take it; ``model-weights-only`` or ``model-format``, exit code 2."""
        reason = "model-weights-only" if self.kind is Kind.WEIGHTS else "model-format"
        remedy = self.how.replace("{name}", path.name)
        return user_error(f"{path} is {self.what}, not {wanted}", reason=reason, remedy=remedy)


def shown(text: str) -> str:
    """A text that the file itself gives: cut, and with nothing in it that acts on a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:_SHOWN])


_QUANTIZE = "quantize it: `invoke quantize --model {name} --samples DIR` makes a .tflite of it"
_THEN = "then `invoke quantize --model M.onnx --samples DIR`"
_TRACE = 'torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), "M.onnx", dynamo=False)'
"""The sizes are those of the model's pictures; this exporter needs no other package than onnx."""
_WEIGHTS = f"make the model with its code, load these weights, and export it: {_TRACE}; {_THEN}"
_PICKLE = f'where its code is: model = torch.load("{{name}}", weights_only=False); {_TRACE}; {_THEN}'
_SCRIPT = f'export it: model = torch.jit.load("{{name}}"); {_TRACE}; {_THEN}'
_PROGRAM = (
    'export it: torch.onnx.export(torch.export.load("{name}"), (), "M.onnx", dynamo=True, external_data=False); '
    + _THEN
)
_YOLO = (
    "export it with the program that made it: `yolo export model={name} format=onnx imgsz=320` (YOLOv5: "
    f"`python export.py --weights {{name}} --include onnx --imgsz 320`); {_THEN}"
)
_GRAPH = (
    "make a SavedModel of it (docs/quantize.md has the lines for it), and quantize that: "
    "`invoke quantize --model FOLDER`"
)
_ELSEWHERE = "it is made for other programs; go back to the model that it was made of, and quantize that"
_AGAIN = "get the file again, and compare its size with what the page says"


def keras(version: str, ending: str) -> Foreign:
    """A whole model; ``version`` of the Keras that wrote it, empty where that is not known."""
    return Foreign(Kind.KERAS, f"a Keras{f' {version}' if version else ''} model ({ending})", _QUANTIZE)


_WHOLE = "save the whole model, model.save(FILE) and not model.save_weights(FILE), and quantize that"
KERAS_WEIGHTS = Foreign(Kind.WEIGHTS, "weights of a Keras model, without its layers", _WHOLE)
KERAS_LAYERS = Foreign(Kind.OTHER, "the layers of a Keras model (JSON), without its weights", _WHOLE)
SAVED_MODEL = Foreign(Kind.SAVED_MODEL, "a TensorFlow SavedModel", _QUANTIZE)
IN_SAVED_MODEL = Foreign(
    Kind.PACKED,
    "one file of a TensorFlow SavedModel",
    "give the folder that it lies in, with its variables: `invoke quantize --model FOLDER --samples DIR`",
)
GRAPH = Foreign(Kind.GRAPH, "a frozen graph of TensorFlow 1", _GRAPH)
CHECKPOINT = Foreign(
    Kind.WEIGHTS,
    "a part of a TensorFlow checkpoint, which has weights alone",
    "export a SavedModel with the program that trains the model (for TensorFlow's object detection "
    "export_tflite_graph_tf2.py), and quantize that",
)
EXPORTED = Foreign(Kind.TORCH_EXPORT, "a program exported from PyTorch (torch.export)", _PROGRAM)
TORCHSCRIPT = Foreign(Kind.TORCHSCRIPT, "a PyTorch file (TorchScript)", _SCRIPT)
SAFETENSORS = Foreign(Kind.OTHER, "a file of weights alone (safetensors)", _WEIGHTS)


def torch(module: str) -> Foreign:
    """A pickle, which is never opened; ``module`` is what it names first that is not PyTorch's own."""
    if module.startswith(("ultralytics.", "models.yolo")):
        return Foreign(Kind.TORCH, "a PyTorch file with a YOLO model in it, pickled", _YOLO)
    if module:
        return Foreign(Kind.TORCH, f"a PyTorch file, a pickle that needs the code of {shown(module)}", _PICKLE)
    return Foreign(Kind.TORCH, "a PyTorch file, a pickle of weights without the code of the model", _WEIGHTS)


def onnx(opset: int, producer: str) -> Foreign:
    """An ONNX model; 0 and an empty text for what is not known."""
    known = [f"opset {opset}" if opset else "", f"made by {shown(producer)}" if producer else ""]
    more = ", ".join(filter(None, known))
    return Foreign(Kind.ONNX, f"an ONNX model{f' ({more})' if more else ''}", _QUANTIZE)


def archive(members: tuple[str, ...]) -> Foreign:
    """A zip archive with .tflite files in it."""
    if len(members) == 1:
        what, how = "an archive with a model in it", f"unpack it, and give {shown(members[0])}"
    else:
        more = [f"and {len(members) - 5} more"] if len(members) > 5 else []
        listed = " ".join([", ".join(map(shown, members[:5])), *more])
        what, how = f"an archive with {len(members)} models in it", f"unpack it, and give one of {listed}"
    return Foreign(Kind.ARCHIVE, what, how, members)


def packed(inside: str) -> Foreign:
    """An archive in which something lies that another verb takes, once it is unpacked."""
    if inside.endswith(".pt2"):  # which none takes as it is
        return Foreign(Kind.PACKED, "an archive", f"unpack it, and {_PROGRAM}".replace("{name}", shown(inside)))
    return Foreign(Kind.PACKED, "an archive", f"unpack it, and give {shown(inside)} to `invoke quantize`")


def no_model(what: str, how: str) -> Foreign:
    """A file that was not meant."""
    return Foreign(Kind.NO_MODEL, what, how)


def elsewhere(what: str) -> Foreign:
    """A model for other programs or chips."""
    return Foreign(Kind.OTHER, what, _ELSEWHERE)


HDF5 = no_model("an HDF5 file without a Keras model in it", "save the whole model, model.save(FILE), and give that")
EMPTY = no_model("empty", _AGAIN)
ZEROS = no_model("a file of zeros", _AGAIN)
UNPACK = Foreign(Kind.PACKED, "a packed file", "unpack it first, and give what is in it")
EMBEDDED = no_model(
    "an archive with a model as C++ source, for microcontrollers",
    "export it again for TensorFlow Lite (in Teachable Machine: Edge TPU, or Quantized), and give that",
)
EDGE_IMPULSE = no_model(
    "a library of Edge Impulse, with the model as C++",
    'on the dashboard of the project, download "TensorFlow Lite (int8 quantized)", and give that',
)
TENSORFLOW_JS = Foreign(
    Kind.OTHER,
    "a TensorFlow.js model",
    "export it again for TensorFlow Lite (in Teachable Machine: TensorFlow Lite, Edge TPU), or as a Keras model",
)
ARRAYS = no_model("arrays of numpy, such as samples", "give the model; `invoke quantize` takes arrays as samples")
CORE_ML = elsewhere("a Core ML model")

MAGIC: tuple[tuple[int, bytes, Foreign], ...] = (
    (4, b"ET12", elsewhere("an ExecuTorch program")),
    (4, b"ORTM", elsewhere("an ONNX Runtime model (.ort)")),
    (0, b"GGUF", elsewhere("a language model (GGUF)")),
    (0, b"7767517", elsewhere("an ncnn model (.param)")),
    (0, b"RKNN", elsewhere("a model compiled for Rockchip's NPU")),
    (0, b"\x01HEF", elsewhere("a model compiled for Hailo")),
    (0, b"LITERTLM", elsewhere("a language model (LiteRT-LM)")),
    (0, b"\x1f\x8b", UNPACK),
    (0, b"BZh", UNPACK),
    (0, b"\xfd7zXZ", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", UNPACK),
    (0, b"7z\xbc\xaf", UNPACK),
    (0, b"Rar!", UNPACK),
    (257, b"ustar", UNPACK),
    (0, b"\x7fELF", no_model("a program (ELF; Edge Impulse's .eim are such)", EDGE_IMPULSE.how)),
    (0, b"\x89PNG", no_model("a picture", "give the model")),
    (0, b"\xff\xd8\xff", no_model("a picture", "give the model")),
    (0, b"BM", no_model("a picture", "give the model")),
    (0, b"%PDF", no_model("a document", "give the model")),
    (0, b"\x93NUMPY", ARRAYS),
)
"""Where bytes stand that tell a file's kind."""

BY_ENDING = {
    ".onnx": onnx(0, ""),
    ".pt": torch(""),
    ".pth": torch(""),
    ".pt2": EXPORTED,
    ".pb": no_model(
        "a .pb file with neither a frozen graph nor a SavedModel in it", "give the folder of the SavedModel"
    ),
    ".safetensors": SAFETENSORS,
    ".mlmodel": CORE_ML,
    ".ckpt": CHECKPOINT,
    ".meta": CHECKPOINT,
    ".index": CHECKPOINT,
    ".data-00000-of-00001": CHECKPOINT,
    ".caffemodel": elsewhere("a Caffe model"),
    ".weights": elsewhere("weights of Darknet (YOLO v1 to v4)"),
    ".engine": elsewhere("a model compiled for TensorRT"),
    ".pdmodel": elsewhere("a PaddlePaddle model"),
}
"""For files that tell their kind by their name alone."""
