"""The form of the JSON of an inspection: docs/schema/inspection.schema.json is written from these classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from coralforge.edgetpu.package import Kind

FORMAT: Final = 1


class Described:
    """How the schema is made of a class: its fields are described by the texts that stand below them."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"use_attribute_docstrings": True}


@dataclass(frozen=True)
class JsonQuantization(Described):
    """``scale`` and ``zero_point`` of a tensor quantized as a whole; null where there is one for each channel."""

    scale: float | None
    zero_point: int | None
    channels: int
    """How many scales there are; 1 for a tensor quantized as a whole."""


@dataclass(frozen=True)
class JsonTensor(Described):
    """A tensor of the graph; -1 in ``shape`` is a size that is known at run time only."""

    index: int
    name: str
    type: str
    shape: list[int]
    constant: bool
    variable: bool
    quantization: JsonQuantization | None


@dataclass(frozen=True)
class JsonOperation(Described):
    """One operation and where it runs. ``inputs`` and ``outputs`` are indices of tensors, -1 for one left out."""

    index: int
    operator: str
    custom_code: str
    version: int
    newest_version: int
    """The highest version that the Edge TPU compiler reads; 0 if it does not know the operator."""
    place: Literal["tpu", "cpu", "simulated"]
    status: str
    """In the words of Google's compiler."""
    rule: str
    """The rule that it breaks, or that leaves it in doubt (docs/inspect.md); empty where none is known."""
    why: str
    certainty: Literal["sure", "likely", "not known"]
    """How sure `place` is: by pairs and reports; by the documentation alone; nobody tried such a size."""
    remark: str
    """Where the compiler decided other than the rules known here would have."""
    inputs: list[int]
    outputs: list[int]


@dataclass(frozen=True)
class JsonLayer(Described):
    """An input or output of an executable; ``size`` is in bytes with padding."""

    name: str
    size: int


@dataclass(frozen=True)
class JsonExecutable(Described):
    """A program for the chip. Sizes are in bytes."""

    kind: Kind
    name: str
    chip: str
    batch_size: int
    parameter_bytes: int
    scratch_bytes: int
    instruction_bytes: int
    parameter_caching_token: str
    """Decimal, as text: it has 64 bits. Models with the same one share the chip's memory."""
    cycles: int
    """The compiler's estimate; 0 if it made none."""
    inputs: list[JsonLayer]
    outputs: list[JsonLayer]


@dataclass(frozen=True)
class JsonProgram(Described):
    """One `edgetpu-custom-op` of a compiled file. Sizes are in bytes; null: not known of a simulated one."""

    operator_index: int
    size: int
    simulated_by: str
    min_runtime_version: int | None
    compiler_version: str | None
    model_identifier: str | None
    cached_parameter_bytes: int | None
    streamed_parameter_bytes: int | None
    executables: list[JsonExecutable]


@dataclass(frozen=True)
class JsonRefusal(Described):
    """Why no compiler would take the model; ``reason`` is that of docs/errors.md."""

    reason: str
    message: str
    details: list[str]
    remedy: str


@dataclass(frozen=True)
class JsonWarning(Described):
    """Something that may go wrong though the compiler takes the model. ``name`` is stable (docs/inspect.md)."""

    name: str
    text: str
    operations: list[int]


@dataclass(frozen=True)
class JsonLimit(Described):
    """A limit that leaves operations in doubt, or keeps them off the TPU; ``rule`` is theirs.

    Where it is a size: ``mapped`` is the largest that was seen mapped, ``left`` the smallest that was seen left on
    the CPU; null where that is not known, or where it is not a size.
    """

    rule: str
    unit: str
    mapped: float | None
    left: float | None
    sources: list[str]
    """Where it is known from: "document: ...", "pair: ..." or "report: ..."."""


@dataclass(frozen=True)
class JsonEstimate(Described):
    """The expected result of a compile, of the part on the Edge TPU. Sizes are in bytes, times in milliseconds."""

    parameter_bytes: int
    """With the padding of the chip."""
    streamed_bytes: int
    """Sent for each inference, since it does not fit on the chip."""
    activation_bytes: int
    """The most that is alive at once."""
    transfer_bytes: int
    """Inputs, outputs and instructions of each inference."""
    multiplications: int
    usb3_ms: float
    usb2_ms: float


@dataclass(frozen=True)
class JsonAdvice(Described):
    """One change to make. ``wins``: how many operations more would be on the TPU by it alone."""

    text: str
    operations: list[int]
    """Empty for a change that makes the whole model smaller."""
    wins: int
    wins_ms: float | None
    """How much shorter an inference would be, on USB 3 and with the Dev Board's CPU; null where it is not known."""


@dataclass(frozen=True)
class JsonDescribed(Described):
    """Metadata of one input or output, in the order of `inputs` and `outputs`."""

    name: str
    description: str
    content: str
    """"picture RGB", "picture gray", "boxes", "sound", or empty."""
    mean: list[float]
    std: list[float]
    """Real value = (pixel - mean) / std; one for all channels or one for each; empty where nothing is stated."""
    pixels: str
    """The value to give for a pixel; empty where it is not known. Of inputs only."""
    calibrated: bool
    """Scores are to be calibrated by a file in the model."""


@dataclass(frozen=True)
class JsonMetadata(Described):
    """Statements of the model on itself (TensorFlow Lite's metadata, Ultralytics'). Texts may be empty."""

    name: str
    description: str
    version: str
    author: str
    licence: str
    task: str
    """Of a model of Ultralytics': "detect", "segment", "classify", "pose" or "obb"."""
    files: list[str]
    """Names of the files behind the model."""
    inputs: list[JsonDescribed]
    outputs: list[JsonDescribed]


@dataclass(frozen=True)
class JsonLabels(Described):
    """Labels that come with the model."""

    source: str
    names: list[str]
    output: int | None
    """A position in `outputs`; null where nothing says which."""
    wanted: int | None
    """How many values that output has to name; null where that cannot be told."""


@dataclass(frozen=True)
class JsonInspection(Described):
    """The output of `invoke inspect --json`. Counts are null where they cannot be known without --plain."""

    format: Literal[1]
    file: str
    size: int
    form: Literal["plain", "compiled", "simulated"]
    plain_file: str | None
    predicted: bool
    operations_total: int | None
    operations_mapped: int | None
    operations_on_cpu: int
    mapped_fraction: float | None
    operations_mapped_least: int | None
    """With every doubt of a prediction against it; the same as `operations_mapped` where there is none."""
    operations_mapped_most: int | None
    mapped_fraction_least: float | None
    mapped_fraction_most: float | None
    min_runtime_version: int | None
    parameter_bytes: int
    """Constants that the part on the TPU reads, as they are in the plain model; 0 where that is not known."""
    subgraphs: int
    arithmetic: str | None
    """"full-integer", "float-ends", "mixed", "int16x8", "dynamic-range", "float16", "float" or "none" of these; null
    for a compiled model."""
    archive_member: str
    """The model's name in the archive that was given; empty for a model that is a file of its own."""
    metadata: JsonMetadata | None
    labels: list[JsonLabels]
    estimate: JsonEstimate | None
    """Of a plain model that would not be refused (docs/inspect.md says how far off it is)."""
    inputs: list[int]
    outputs: list[int]
    tensors: list[JsonTensor]
    operations: list[JsonOperation]
    programs: list[JsonProgram]
    refusals: list[JsonRefusal]
    warnings: list[JsonWarning]
    limits: list[JsonLimit]
    advice: list[JsonAdvice]
