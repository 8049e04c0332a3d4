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
    folder: str = "."
    """Where a sample function's module is looked for."""
    format: int = FORMAT

    @property
    def output(self) -> Path:
        """Where the worker puts the quantized model."""
        return Path(self.staging) / "model.tflite"

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
    return Request(**{**data, "shape": tuple(data["shape"])})
