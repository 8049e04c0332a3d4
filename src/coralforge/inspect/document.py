"""An inspection as JSON, in the form of json_form.py.

The form is stable: whoever reads it looks at ``format`` first, and may meet new keys, but no changed ones, as long
as that number stays. Nothing in it depends on time, machine or folder.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from coralforge.edgetpu.estimate import Estimate
from coralforge.edgetpu.evidence import Bound, Limit
from coralforge.edgetpu.operators import LIMITS, newest_versions
from coralforge.edgetpu.package import Executable, Layer
from coralforge.inspect.inspection import Inspection, Located, Program
from coralforge.inspect.json_form import (
    FORMAT,
    JsonAdvice,
    JsonDescribed,
    JsonEstimate,
    JsonExecutable,
    JsonInspection,
    JsonLabels,
    JsonLayer,
    JsonLimit,
    JsonMetadata,
    JsonOperation,
    JsonProgram,
    JsonQuantization,
    JsonRefusal,
    JsonTensor,
    JsonWarning,
)
from coralforge.inspect.statement import Statement
from coralforge.tflite.graph import Tensor, text
from coralforge.tflite.metadata import Described
from coralforge.tflite.pixels import Pixels


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
        operations_mapped_least=inspection.least if inspection.complete else None,
        operations_mapped_most=inspection.most if inspection.complete else None,
        mapped_fraction_least=inspection.span[0] if inspection.span is not None else None,
        mapped_fraction_most=inspection.span[1] if inspection.span is not None else None,
        min_runtime_version=inspection.min_runtime_version,
        parameter_bytes=inspection.parameters,
        subgraphs=inspection.subgraphs,
        arithmetic=inspection.statement.arithmetic.value if inspection.predicted else None,
        archive_member=inspection.statement.member,
        metadata=_metadata(inspection.statement),
        labels=[
            JsonLabels(one.source, list(one.names), one.output, one.wanted) for one in inspection.statement.labels
        ],
        estimate=_estimate(inspection.estimate) if inspection.estimate is not None else None,
        inputs=list(graph.inputs),
        outputs=list(graph.outputs),
        tensors=[_tensor(tensor) for tensor in graph.tensors],
        operations=[_operation(one) for one in inspection.operations],
        programs=[_program(program) for program in inspection.programs],
        refusals=[JsonRefusal(r.reason, r.brief, r.details.splitlines(), r.remedy) for r in inspection.refusals],
        warnings=[JsonWarning(one.name, one.text, list(one.operations)) for one in inspection.warnings],
        limits=[_limit(LIMITS[rule]) for rule in _rules(inspection)],
        advice=[JsonAdvice(one.text, list(one.operations), one.wins, _ms(one.seconds)) for one in inspection.advice],
    )


def _metadata(statement: Statement) -> JsonMetadata | None:
    found = statement.metadata
    if found is None:
        return None
    yolo = found.yolo
    pixels = dict(enumerate(statement.pixels))
    return JsonMetadata(
        name=found.name or (yolo.description if yolo else ""),
        description=found.description,
        version=found.version or (yolo.version if yolo else ""),
        author=found.author or (yolo.author if yolo else ""),
        licence=found.licence or (yolo.licence if yolo else ""),
        task=yolo.task if yolo else "",
        files=list(found.appended),
        inputs=[_described(one, pixels.get(i)) for i, one in enumerate(found.inputs)],
        outputs=[_described(one, None) for one in found.outputs],
    )


def _described(one: Described, pixels: Pixels | None) -> JsonDescribed:
    normalization = one.normalization
    return JsonDescribed(
        name=one.name,
        description=one.description,
        content=one.content,
        mean=list(normalization.mean) if normalization else [],
        std=list(normalization.std) if normalization else [],
        pixels=pixels.text if pixels else "",
        calibrated=one.calibrated,
    )


def _estimate(found: Estimate) -> JsonEstimate:
    return JsonEstimate(
        parameter_bytes=found.parameters,
        streamed_bytes=found.streamed,
        activation_bytes=found.activations,
        transfer_bytes=found.transfers,
        multiplications=found.multiplications,
        usb3_ms=round(found.usb3 * 1e3, 2),
        usb2_ms=round(found.usb2 * 1e3, 2),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 2)


def _rules(inspection: Inspection) -> list[str]:
    rules = dict.fromkeys(one.decision.rule for one in inspection.operations)
    return [rule for rule in rules if rule in LIMITS]


def _limit(limit: Limit | Bound) -> JsonLimit:
    if isinstance(limit, Limit):
        return JsonLimit(limit.name, "", None, None, [str(limit.known)])
    sources = [str(source) for source in (limit.mapped_by, limit.left_by) if source is not None]
    return JsonLimit(limit.name, limit.unit, limit.mapped, limit.left, sources)


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
        certainty=one.decision.certainty.value,
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
