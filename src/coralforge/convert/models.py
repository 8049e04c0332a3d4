"""From a model of any kind that is known here to a quantized one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coralforge.convert import environment
from coralforge.convert.worker import request as convert_request
from coralforge.convert.worker.request import ConvertRequest
from coralforge.errors import CoralforgeError, user_error
from coralforge.events import Sink
from coralforge.quantize.converted import Converted
from coralforge.quantize.process import Worker, run_worker
from coralforge.quantize.quantize import QuantizeOptions, check_options, limits, quantize, shape_of
from coralforge.quantize.report import QuantizeReport
from coralforge.quantize.worker.names import plain
from coralforge.tflite.foreign import recognise

_CONVERTER = Worker(
    Path(convert_request.__file__).with_name("__main__.py"), "converting", "the process with TensorFlow and onnx2tf"
)


def quantize_any(
    options: QuantizeOptions, sink: Sink, outputs: Sequence[str] = (), python: Path | None = None
) -> QuantizeReport:
    """Quantize a model; one in ONNX is made a SavedModel before. See :func:`coralforge.quantize.quantize.quantize`.

    Args:
        outputs: names of tensors where an ONNX model is to end; empty for its own outputs.
        python: an interpreter that has onnx2tf; by default what ``environment.find_python`` finds.

    Raises:
        CoralforgeError: exit code 2 for what was given, 3 without TensorFlow or onnx2tf, 5 when a worker fails; the
            reasons are in docs/errors.md.
    """
    check_options(options)
    foreign = recognise(options.model)
    if foreign is None or not foreign.converted:
        if outputs:
            raise user_error("--outputs is for ONNX models only", reason="quantize-option", remedy="leave it out")
        return quantize(options, sink)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coralforge-convert-", ignore_cleanup_errors=True) as staging:
        wanted = ConvertRequest(str(options.model.absolute()), staging, shape_of(options.shape), tuple(outputs))
        facts = run_worker(python or environment.find_python(), wanted, limits(options), sink, _CONVERTER)
        took = time.monotonic() - started
        rest = replace(options, converted=_converted(wanted, facts, took), timeout=max(options.timeout - took, 1.0))
        try:
            return quantize(rest, sink)
        except CoralforgeError as error:
            raise _renamed(error, str(wanted.saved_model), str(options.model)) from error


def _converted(request: ConvertRequest, facts: Mapping[str, Any], seconds: float) -> Converted:
    versions = {name: text for name, text in facts["versions"].items() if name != "tensorflow"}
    sides = {side: plain([one["name"] for one in facts[side]]) for side in ("inputs", "outputs")}
    named = {
        side: [{**one, "name": name} for one, name in zip(facts[side], names, strict=True)]
        for side, names in sides.items()
    }
    kept = {name: facts[name] for name in ("opset", "producer", "inferences", "head")}
    return Converted(
        request.saved_model,
        f"ONNX, opset {facts['opset']}" + (f", {facts['producer']}" if facts["producer"] else ""),
        tuple(sides["inputs"]),
        tuple(sides["outputs"]),
        {"by": f"onnx2tf {versions['onnx2tf']}", **kept, **named, "ended_at": list(request.outputs)},
        versions,
        seconds,
        facts["peak_memory"],
    )


def _renamed(error: CoralforgeError, old: str, new: str) -> CoralforgeError:
    """The error about the file that the user gave."""
    texts = (text.replace(old, new) for text in (error.brief, error.details, error.remedy))
    brief, details, remedy = texts
    return CoralforgeError(brief, reason=error.reason, code=error.code, details=details, remedy=remedy)
