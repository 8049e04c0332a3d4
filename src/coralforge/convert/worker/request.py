"""The engine's request to the converter: one small JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ConvertRequest:
    """One ONNX model to convert. Paths are absolute."""

    model: str
    staging: str
    """An empty folder of the engine's; the SavedModel appears in it."""
    shape: tuple[int, ...] = ()
    """Sizes, without the batch, for an input whose sizes the model leaves open."""
    outputs: tuple[str, ...] = ()
    """Names of tensors to end at; empty for the model's own outputs."""

    @property
    def saved_model(self) -> Path:
        """The folder of the SavedModel."""
        return Path(self.staging) / "saved_model"

    def text(self) -> str:
        """The request as JSON."""
        return json.dumps(asdict(self), indent=1)


def read_request(path: Path) -> ConvertRequest:
    """The request in a file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return ConvertRequest(**{**data, "shape": tuple(data["shape"]), "outputs": tuple(data["outputs"])})
