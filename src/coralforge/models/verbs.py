"""What the Invoke tasks about models do."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coralforge.errors import user_error
from coralforge.models import report
from coralforge.models.simcompile import compile_for_simulator
from coralforge.models.tflite import read_model, write_file

SIMULATOR = "simulator"
EDGETPU = "edgetpu"


def compile_model(model: str, target: str, output: str | None) -> None:
    """Compile one model, write it and its log, and print the report.

    Raises:
        CoralforgeError: exit code 2; reasons as in docs/errors.md.
    """
    started = time.monotonic()
    _require_target(target)
    if not model:
        raise user_error("--model is missing", reason="option-missing", remedy="for example --model my.tflite")
    source = Path(model).expanduser()
    place = Path(output).expanduser() if output else source.with_name(f"{source.stem}_edgetpu-sim.tflite")
    log = place.with_suffix(".log")
    _require_another_file(source, place, log)
    plain = read_model(source)
    compiled = compile_for_simulator(plain)
    write_file(place, compiled.data)
    write_file(log, report.log_text(source, place, compiled).encode())
    milliseconds = round((time.monotonic() - started) * 1000)
    print(report.report(source, plain.size, place, log, compiled, milliseconds), end="")


def quantize_model(model: str, output: str | None, options: Mapping[str, Any], numbers: Mapping[str, str]) -> None:
    """Quantize one model, write it and its report, and print that.

    ``options`` and ``numbers`` are those of ``QuantizeOptions``; the numbers as they were typed.

    Raises:
        CoralforgeError: exit code 2, 3 or 5; reasons as in docs/errors.md.
    """
    from coralforge.models.quantize import QuantizeOptions, quantize
    from coralforge.models.quantize_report import report_text
    from coralforge.render import make_sink

    if not model:
        raise user_error("--model is missing", reason="option-missing", remedy="for example --model my.keras")
    whole: dict[str, Any] = {name: _number(name, text) for name, text in numbers.items()}
    source = Path(model).expanduser()
    place = Path(output).expanduser() if output else source.with_name(f"{source.stem}_quant.tflite")
    with make_sink() as sink:
        report = quantize(QuantizeOptions(source, place, **options, **whole), sink)
    print(report_text(report), end="")


def _number(name: str, text: str) -> int:
    # Not left to Invoke, which would show a traceback.
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise user_error(f"--{name.replace('_', '-')} {text!r} is not a whole number", reason="quantize-option")
    return int(text)


def _require_target(target: str) -> None:
    if target == EDGETPU:
        raise user_error(
            "compiling for Edge TPU hardware is not there yet",
            reason="compile-target",
            remedy=f"give --target {SIMULATOR}, or run Google's edgetpu_compiler yourself",
        )
    if target != SIMULATOR:
        raise user_error(f"unknown target {target!r}; known: {SIMULATOR}", reason="compile-target")


def _require_another_file(source: Path, *places: Path) -> None:
    for place in places:
        if place.resolve() == source.resolve() or (place.exists() and source.exists() and place.samefile(source)):
            raise user_error(
                f"the output {place} is the input", reason="model-output", remedy="choose another --output"
            )
