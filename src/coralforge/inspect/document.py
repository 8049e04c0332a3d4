"""An inspection as JSON. docs/schema/inspection.schema.json is written from the classes here.

The form is stable: whoever reads it looks at ``format`` first, and may meet new keys, but no changed ones, as long
as that number stays. Nothing in it depends on time, machine or folder.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Literal

from coralforge.edgetpu.operators import newest_versions
from coralforge.edgetpu.package import Executable, Kind, Layer
from coralforge.inspect.inspection import Inspection, Located, Program
from coralforge.tflite.graph import Tensor, text

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
    """The rule that it breaks (docs/inspect.md); empty on the TPU, and where no known rule explains it."""
    why: str
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
class JsonAdvice(Described):
    """One change to make. ``wins``: how many operations more would be on the TPU by it alone."""

    text: str
    operations: list[int]
    wins: int


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
    min_runtime_version: int | None
    parameter_bytes: int
    """Constants that the part on the TPU reads, as they are in the plain model; 0 where that is not known."""
    subgraphs: int
    inputs: list[int]
    outputs: list[int]
    tensors: list[JsonTensor]
    operations: list[JsonOperation]
    programs: list[JsonProgram]
    refusals: list[JsonRefusal]
    advice: list[JsonAdvice]


def json_text(inspection: Inspection) -> str:
    """The JSON text: the same for the same models."""
    return json.dumps(asdict(document(inspection)), indent=1, sort_keys=True, allow_nan=False) + "\n"


def document(inspection: Inspection) -> JsonInspection:
    """The JSON form as data."""
    graph = inspection.graph
    return JsonInspection(
        format=FORMAT,
        file=text(inspection.path.name),
        size=inspection.size,
        form=inspection.form.value,
        plain_file=text(inspection.plain.name) if inspection.plain is not None else None,
        predicted=inspection.predicted,
        operations_total=inspection.total,
        operations_mapped=inspection.mapped,
        operations_on_cpu=len(inspection.on_cpu),
        mapped_fraction=inspection.fraction,
        min_runtime_version=inspection.min_runtime_version,
        parameter_bytes=inspection.parameters,
        subgraphs=inspection.subgraphs,
        inputs=list(graph.inputs),
        outputs=list(graph.outputs),
        tensors=[_tensor(tensor) for tensor in graph.tensors],
        operations=[_operation(one) for one in inspection.operations],
        programs=[_program(program) for program in inspection.programs],
        refusals=[JsonRefusal(r.reason, r.brief, r.details.splitlines(), r.remedy) for r in inspection.refusals],
        advice=[JsonAdvice(one.text, list(one.operations), one.wins) for one in inspection.advice],
    )


def _tensor(tensor: Tensor) -> JsonTensor:
    return JsonTensor(
        tensor.index,
        tensor.name,
        tensor.kind,
        list(tensor.shape),
        tensor.constant,
        tensor.variable,
        _quantization(tensor) if tensor.scales else None,
    )


def _quantization(tensor: Tensor) -> JsonQuantization:
    if len(tensor.scales) > 1:
        return JsonQuantization(None, None, len(tensor.scales))
    scale = tensor.scales[0] if math.isfinite(tensor.scales[0]) else None
    return JsonQuantization(scale, tensor.zero_points[0] if tensor.zero_points else 0, 1)


def _operation(one: Located) -> JsonOperation:
    operation = one.operation
    return JsonOperation(
        index=operation.index,
        operator=operation.name,
        custom_code=operation.custom_code,
        version=operation.version,
        newest_version=newest_versions().get(operation.name, 0),
        place=one.place.value,
        status=one.status.value,
        rule=one.decision.rule,
        why=one.decision.why,
        remark=one.remark,
        inputs=list(operation.inputs),
        outputs=list(operation.outputs),
    )


def _program(program: Program) -> JsonProgram:
    package = program.package
    return JsonProgram(
        operator_index=program.index,
        size=program.size,
        simulated_by=text(program.note),
        min_runtime_version=package.min_runtime_version if package else None,
        compiler_version=package.compiler_version if package else None,
        model_identifier=package.model_identifier if package else None,
        cached_parameter_bytes=package.cached_bytes if package else None,
        streamed_parameter_bytes=package.streamed_bytes if package else None,
        executables=[_executable(one) for one in package.executables] if package else [],
    )


def _executable(one: Executable) -> JsonExecutable:
    return JsonExecutable(
        kind=one.kind,
        name=one.name,
        chip=one.chip,
        batch_size=one.batch_size,
        parameter_bytes=one.parameter_bytes,
        scratch_bytes=one.scratch_bytes,
        instruction_bytes=one.instruction_bytes,
        parameter_caching_token=str(one.parameter_caching_token),
        cycles=one.cycles,
        inputs=_layers(one.inputs),
        outputs=_layers(one.outputs),
    )


def _layers(layers: tuple[Layer, ...]) -> list[JsonLayer]:
    return [JsonLayer(layer.name, layer.size) for layer in layers]
