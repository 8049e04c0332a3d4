"""Models of the user's that go into a bundle: the part of pipeline.yaml below ``models`` (pydantic 2)."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from coralforge.config.base import Model, Place, Sha256, Text


class Target(str, Enum):
    """The target that a model is compiled for."""

    EDGETPU = "edgetpu"
    SIMULATOR = "simulator"
    CPU = "cpu"


class DataFile(Model):
    """A file of the user's, or one that is pinned and fetched. Exactly one of ``path`` and ``places`` is given."""

    path: Text | None = Field(default=None, min_length=1)
    """A file (a SavedModel: a folder), relative to pipeline.yaml."""
    sha256: Sha256 | None = None
    """Digest of the file at ``path``, which is refused when it is another one; places have their own."""
    places: list[Place] = Field(default_factory=list)
    """Places in order of preference."""

    @model_validator(mode="after")
    def _one_origin(self) -> DataFile:
        if (self.path is None) == (not self.places):
            raise ValueError("give exactly one of 'path' and 'places'")
        if self.sha256 is not None and self.path is None:
            raise ValueError("'sha256' goes with 'path': a place has its own")
        return self

    @property
    def filename(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name if self.path is not None else self.places[0].filename


class Quantize(Model):
    """How a Keras model or SavedModel becomes a full-integer .tflite, as ``invoke quantize`` does it."""

    samples: Text | None = Field(default=None, min_length=1)
    """Representative samples, relative to pipeline.yaml: image folder, .npz, .npy, or module:function."""
    random: int | None = Field(default=None, gt=0, le=10_000)
    """So many random samples instead, for trying out; report and manifest say so."""
    preprocess: Text = Field(default="auto", min_length=1)
    """How pixels become the model's input (--preprocess of invoke quantize)."""
    io: Literal["uint8", "int8"] = "uint8"
    """Type of the model's inputs and outputs."""
    questions: int = Field(default=0, ge=0, le=1000)
    """So many held-out samples go into the bundle: the smoke test asks device and CPU. They are data of yours."""

    @model_validator(mode="after")
    def _one_kind(self) -> Quantize:
        if (self.samples is None) == (self.random is None):
            raise ValueError("give exactly one of 'samples' and 'random'")
        if self.questions and self.random is not None:
            raise ValueError("'questions' are samples, and 'random' has none")
        return self


class BundledModel(Model):
    """A model that goes into the bundle: quantized and compiled where that is stale, and run by the smoke test."""

    model: DataFile
    """A .tflite file, or a .zip with one in it; a .keras, .h5 or .onnx file, or a SavedModel folder."""
    compiled: DataFile | None = None
    """The file that Google's compiler made of the .tflite beforehand; without it, the compiler is run."""
    quantize: Quantize | None = None
    """For everything but a .tflite or .zip, which has to be quantized already."""
    target: Annotated[Target, Field(strict=False)] = Target.EDGETPU
    """edgetpu: Google's compiler; simulator: for the simulated libedgetpu; cpu: not compiled."""
    min_mapped: float = Field(default=1.0, ge=0, le=1)
    """Smallest part of the operations that has to run on the Edge TPU; a model below it enters no bundle."""
    labels: DataFile | None = None
    """One label a line. Without it, those that came with the model: in its metadata, or beside it in the .zip."""
    image: DataFile | None = None
    """A BMP or PPM image to classify."""
    expected: int | None = Field(default=None, ge=0)
    """Index of the top-1 class of the image."""
    questions: DataFile | None = None
    """Samples for the smoke test to ask device and CPU: X.questions.bin of invoke quantize --questions."""
    licence: Text = "NOASSERTION"
    """SPDX expression of the model."""

    @model_validator(mode="after")
    def _whole(self) -> BundledModel:
        if (self.image is None) != (self.expected is None):
            raise ValueError("'image' and 'expected' belong together: give both or none")
        if self.compiled is not None and (self.target is not Target.EDGETPU or self.quantize is not None):
            raise ValueError("'compiled' goes with 'target: edgetpu' and without 'quantize'")
        if self.questions is not None and self.quantize is not None:
            raise ValueError("a model that is quantized here has 'questions' below 'quantize'")
        return self
