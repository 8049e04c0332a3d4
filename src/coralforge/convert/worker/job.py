"""The work, from an ONNX file to a SavedModel and what is known of it."""

from __future__ import annotations

import os
import resource
import signal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coralforge.convert.worker import heads, pools, read, shapes, translate, verify
from coralforge.convert.worker.request import ConvertRequest
from coralforge.errors import missing_error
from coralforge.quantize.worker.environment import SETTINGS
from coralforge.quantize.worker.wire import READ_MODEL, Reporter

READ_SECONDS = 300  # after which SIGALRM ends this process
_PACKAGES = ("onnx2tf", "onnx", "onnxruntime", "tensorflow")


def run(request: ConvertRequest, reporter: Reporter) -> dict[str, Any]:
    """Convert one model. The SavedModel is at ``request.saved_model``.

    Returns:
        Facts for the report, as JSON values.

    Raises:
        CoralforgeError: reasons as in docs/errors.md.
    """
    os.environ.update(SETTINGS)
    versions = _versions()
    reporter.step(READ_MODEL)
    signal.alarm(READ_SECONDS)
    model = read.read(Path(request.model))
    facts = {"opset": read.opset(model), "producer": read.producer(model)}
    fixed = shapes.fixed(model, request)
    parted = None if request.outputs else heads.parted(fixed)
    ready = pools.padded_by_zeros(parted.model if parted else fixed)
    signal.alarm(0)
    reporter.step("load onnx2tf")
    translate.load()
    reporter.step("convert the model")
    made = translate.translate(request.model, ready, Path(request.staging))
    reporter.step("compare with the ONNX model")
    compared = verify.compare(request.model, ready, made)
    translate.save(made, request.saved_model)
    return {
        **facts,
        "versions": versions,
        "inputs": [one.facts() for one in made.inputs],
        "outputs": [
            {**one.facts(), "error": error} for one, error in zip(made.outputs, compared.errors, strict=True)
        ],
        "inferences": compared.inferences,
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "head": parted.facts() if parted else None,
    }


def _versions() -> dict[str, str]:
    try:
        found = {}
        for name in _PACKAGES:
            found[name] = version("tensorflow-cpu" if name == "tensorflow" and _is_x86() else name)
        return found
    except ImportError as error:
        raise missing_error(
            f"this Python cannot convert ONNX models: {error}",
            reason="converter-missing",
            remedy="run the task once by scripts/bootstrap --convert instead of invoke",
        ) from error


def _is_x86() -> bool:
    return os.uname().machine == "x86_64"
