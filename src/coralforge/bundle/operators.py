"""The operators that the bundle's models use: TensorFlow Lite has only those where ``cpu.ops`` is ``selected``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from coralforge.bundle.model_files import PARTS, bundled_models, file_of, remembered
from coralforge.bundle.sample import SAMPLE, ModelEntry
from coralforge.errors import CoralforgeError, gate_error, user_error
from coralforge.settings import Settings
from coralforge.tflite.model import read_model

CUSTOM = "CUSTOM:"
"""Before the name of an operator that is none of TensorFlow Lite's own."""
_NOT_ON_THE_CPU = (f"{CUSTOM}edgetpu-custom-op",)
_MODELS = PARTS[:2]


def selected(settings: Settings) -> tuple[str, ...] | None:
    """The names of all operators that the models of pipeline.yaml use, sorted; None while a model is not fetched yet.

    Raises:
        CoralforgeError: ``ops-unknown`` (exit code 2): a model is yet to be quantized; and what reading raises.
    """
    found: set[str] = set()
    for model in bundled_models(settings):
        _require_tflite(settings, model)
        for part in _MODELS:
            if getattr(model.entry, part) is None:
                continue
            path = file_of(settings, model, part)
            if path is None:
                return None
            try:
                found.update(json.loads(remembered(path, settings.cache, "operators", _as_json)))
            except CoralforgeError as error:
                brief = f"{settings.project.pipeline}: {model.where}.{part}: {error.brief}"
                raise user_error(brief, reason=error.reason, details=error.details, remedy=error.remedy) from error
    return tuple(sorted(found))


def operators_in(path: Path) -> set[str]:
    """The names of the operators of a .tflite file, in all of its subgraphs; not what the Edge TPU runs.

    Raises as ``read_model``.
    """
    return set(read_model(path).operators) - set(_NOT_ON_THE_CPU)


def require_selected(models: Iterable[tuple[str, Path]], chosen: Iterable[str]) -> None:
    """Refuse a model that needs more than TensorFlow Lite was built with; each is a name and the folder of its files.

    Raises:
        CoralforgeError: ``ops-missing`` (exit code 6).
    """
    for name, folder in models:
        for file in sorted(folder.glob("*.tflite")):
            missing = operators_in(file) - set(chosen)
            if missing:
                raise gate_error(
                    f"the model {name} needs {', '.join(sorted(missing))}, which this TensorFlow Lite is without",
                    reason="ops-missing",
                    details=f"cpu.ops is selected; {file.name} was made of a model that uses none of them",
                    remedy="set cpu.ops in pipeline.yaml to all",
                )


def _require_tflite(settings: Settings, model: ModelEntry) -> None:
    if model.label != SAMPLE and model.entry.quantize is not None:
        raise user_error(
            f"{settings.project.pipeline}: cpu.ops is selected, but which operators {model.where} will use is not "
            "known before it is quantized",
            reason="ops-unknown",
            remedy="quantize it with `invoke quantize` and name the .tflite, or set cpu.ops to all",
        )


def _as_json(path: Path) -> str:
    return json.dumps(sorted(operators_in(path)))
