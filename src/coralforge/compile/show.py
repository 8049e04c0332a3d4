"""The report on a compilation, as text and as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coralforge.compile.caching import CachingPlan
from coralforge.compile.output import Row
from coralforge.compile.places import Places
from coralforge.compile.result import Compiled, CompiledPart
from coralforge.compile.simulator_report import size

FORMAT = 1


def text(compiled: Compiled, places: Places) -> str:
    """The report for the terminal; ``places`` are where the files went."""
    source = compiled.source
    lines = [f"Input model: {source.path} ({size(source.size)}, {compiled.operations} operations)"]
    for part, place in zip(compiled.parts, places.parts, strict=True):
        lines += _part(part, place)
    lines += ["", *_table([row for part in compiled.parts for row in part.report.rows]), ""]
    lines += [f"Operation log: {log}" for log in places.logs]
    lines += [f"As JSON: {places.document}", f"Compiled with: {compiled.compiler.name} in {compiled.seconds:.1f} s"]
    lines += [f"Needs Edge TPU runtime version: {compiled.runtime}"] if compiled.runtime is not None else []
    lines += [
        f"Mapped to the Edge TPU: {compiled.mapped} of {compiled.operations} operations ({compiled.fraction:.1%})",
        *_warnings(compiled),
    ]
    return "\n".join(lines) + "\n"


def document(compiled: Compiled, places: Places, plan: CachingPlan | None = None) -> str:
    """The JSON beside the compiled model; paths are file names, so that it does not depend on the machine.

    ``plan`` is of all models that were compiled together with it, and itself.
    """
    source, options = compiled.source, compiled.options
    data: dict[str, Any] = {
        "format": FORMAT,
        "source": {"name": source.path.name, "size": source.size, "sha256": compiled.digest},
        "compiler": {"version": compiled.compiler.version, "seconds": round(compiled.seconds, 1)},
        "options": {
            "min_runtime": options.min_runtime,
            "segments": options.segments,
            "multiple_subgraphs": options.multiple_subgraphs,
            "search_delegate": options.search_delegate,
            "search_step": options.search_step,
        },
        "operations": compiled.operations,
        "mapped": compiled.mapped,
        "fraction": round(compiled.fraction, 6),
        "runtime": compiled.runtime,
        "parts": [_part_data(part, place.name) for part, place in zip(compiled.parts, places.parts, strict=True)],
        "together": plan.data if plan is not None else [],
        "notes": list(compiled.notes),
    }
    return json.dumps(data, indent=1) + "\n"


def _part(part: CompiledPart, place: Path) -> list[str]:
    names = {
        "cached_bytes": "On-chip memory used for parameters",
        "free_bytes": "On-chip memory left",
        "streamed_bytes": "Off-chip memory for parameters, sent for each inference",
    }
    lines = [f"Output model: {place} ({size(len(part.file.data))})"]
    lines += [f"  {names[key]}: {size(number)}" for key, number in _memory(part).items() if number is not None]
    return [*lines, f"  Edge TPU subgraphs: {len(part.file.packages)}"]


def _memory(part: CompiledPart) -> dict[str, int | None]:
    """By what the compiler says; where it says nothing, by what is in the file (without padding)."""
    report, packages = part.report, part.file.packages
    cached, streamed = report.cached_bytes, report.streamed_bytes
    return {
        "cached_bytes": sum(one.cached_bytes for one in packages) if cached is None else cached,
        "free_bytes": report.free_bytes,
        "streamed_bytes": sum(one.streamed_bytes for one in packages) if streamed is None else streamed,
    }


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["(the compiler left no table of operations)"]
    return [f"{'Operator':<31}{'Count':<11}Status", "", *(f"{r.operator:<30} {r.count:<10} {r.status}" for r in rows)]


def _warnings(compiled: Compiled) -> list[str]:
    warnings = [f"note: {note}" for note in compiled.notes]
    left = compiled.operations - compiled.mapped
    if compiled.runtime is None:
        warnings.append("warning: nothing of this model runs on the Edge TPU; it runs on the CPU alone")
    elif left:
        warnings.append(
            f"warning: {left} of {compiled.operations} operations run on the CPU, which is 10 to 50 times slower "
            "(docs/models.md says what the Edge TPU takes)"
        )
    if len(compiled.parts) > 1:
        warnings.append(
            f"note: the {len(compiled.parts)} segments are for as many Edge TPUs, each fed with what the one before "
            "gives; coralforge has no runner for that: libcoral's and pycoral's PipelinedModelRunner do it"
        )
    if any(_memory(part)["streamed_bytes"] for part in compiled.parts):
        warnings.append("note: not all parameters fit on the chip; the rest is sent to it for each inference")
    return warnings


def _part_data(part: CompiledPart, name: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "size": len(part.file.data),
        "sha256": hashlib.sha256(part.file.data).hexdigest(),
        "runtime": part.file.runtime,
        "subgraphs": len(part.file.packages),
        **_memory(part),
        "operations": [{"operator": r.operator, "count": r.count, "status": r.status} for r in part.report.rows],
    }
