"""The engine's request to the worker: one small JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FORMAT = 1


@dataclass(frozen=True)
class Request:
    """One model to quantize. Paths are absolute."""

    model: str
    staging: str
    """An empty folder of the engine's; ``model.tflite`` appears in it."""
    samples: str = ""
    """A folder of images, an .npz or .npy file, or MODULE:FUNCTION; empty with ``random``."""
    random: int = 0
    """Number of random samples."""
    preprocess: str = "auto"
    io: str = "uint8"
    max_samples: int = 500
    signature: str = ""
    shape: tuple[int, ...] = ()
    """Sizes, without the batch, for an input whose sizes the model leaves open."""
    trust: bool = False
    """Whether code in the model file may run."""
    evaluate: str = ""
    """A folder of images by class, or an .npz with labels: samples of which the class is known."""
    labels: str = ""
    """A file with the names of the classes, in the order of the model's scores."""
    max_evaluate: int = 2000
    layers: bool = False
    """Whether to say in any case which layers lose most; otherwise only where the comparison is bad."""
    questions: int = 0
    """How many samples that are held out go into ``questions.bin``, as the quantized model takes them."""
    inputs: tuple[str, ...] = ()
    """Names of a SavedModel's inputs in their order, which it does not keep itself; empty for any."""
    outputs: tuple[str, ...] = ()
    folder: str = "."
    """Where a sample function's module is looked for."""
    format: int = FORMAT

    @property
    def output(self) -> Path:
        """Where the worker puts the quantized model."""
        return Path(self.staging) / "model.tflite"

    @property
    def questions_file(self) -> Path:
        """Where the worker puts samples to ask a device."""
        return Path(self.staging) / "questions.bin"

    def text(self) -> str:
        """The request as JSON."""
        return json.dumps(asdict(self), indent=1)


def read_request(path: Path) -> Request:
    """The request in a file.

    Raises:
        ValueError: made by another version of coralforge.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("format") != FORMAT or set(data) != {field.name for field in fields(Request)}:
        raise ValueError(f"{path} was written by another version of coralforge")
    return Request(**{**data, **{name: tuple(data[name]) for name in ("shape", "inputs", "outputs")}})
