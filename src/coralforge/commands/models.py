"""The Invoke tasks about models."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge.commands.options import Said
from coralforge.compile.places import named, places_for, require_apart, require_folder
from coralforge.errors import user_error
from coralforge.tflite.model import read_model, write_files
from coralforge.util.paths import typed
from coralforge.util.plain import as_bytes

if TYPE_CHECKING:
    from coralforge.compile.options import CompilerOptions

SIMULATOR = "simulator"
EDGETPU = "edgetpu"
_NUMBERS = ("random", "max_samples", "timeout", "memory", "max_evaluate", "questions")
_HARDWARE_ONLY = (
    "compiler",
    "min_runtime",
    "segments",
    "multiple_subgraphs",
    "search_delegate",
    "search_step",
    "timeout",
    "no_retry",
    "no_preflight",
    "allow_cpu",
    "release",
)


@dataclass(frozen=True)
class CompileRequest:
    """The options of ``invoke compile``: numbers as they were typed, None or False for what was not given."""

    models: tuple[str, ...]
    target: str = EDGETPU
    output: str | None = None
    out_dir: str | None = None
    compiler: str | None = None
    min_runtime: str | None = None
    segments: str | None = None
    multiple_subgraphs: bool = False
    search_delegate: bool = False
    search_step: str | None = None
    timeout: str | None = None
    no_retry: bool = False
    no_preflight: bool = False
    allow_cpu: bool = False
    release: str | None = None

    @classmethod
    def of(cls, said: Said) -> CompileRequest:
        """The request of the task's options."""
        values = dict(vars(said))
        values |= {"no_retry": not values.pop("retry"), "no_preflight": not values.pop("preflight")}
        return cls(models=tuple(values.pop("model")), **values)


def compile_model(request: CompileRequest) -> None:
    """Compile models, write them with their logs, and print the reports.

    Raises:
        CoralforgeError: reasons as in docs/errors.md.
    """
    if request.target not in (SIMULATOR, EDGETPU):
        raise user_error(
            f"unknown target {request.target!r}",
            reason="compile-target",
            remedy=f"give --target {EDGETPU}, or --target {SIMULATOR}",
        )
    if request.target == EDGETPU:
        from coralforge.compile.machine import require_x86_64

        require_x86_64()  # before a user corrects options for a compiler that cannot run here
    if not request.models or not all(request.models):
        raise user_error("--model is missing", reason="option-missing", remedy="for example --model my.tflite")
    if request.target == EDGETPU:
        _compile_for_hardware(request)
    else:
        _refuse_hardware_options(request)
        places = _simulated_places(request)
        _compile_for_simulator(places)


def _refuse_hardware_options(request: CompileRequest) -> None:
    for name in _HARDWARE_ONLY:
        if getattr(request, name):
            option = f"--{name.replace('_', '-')}"
            raise user_error(
                f"{option} is for Google's compiler, and makes no sense with --target {SIMULATOR}",
                reason="compile-option",
                remedy=f"leave it out, or compile with --target {EDGETPU}",
            )


def _simulated_places(request: CompileRequest) -> dict[Path, Path]:
    """Where the compiled model of each source goes."""
    if request.output is not None and (len(request.models) > 1 or request.out_dir is not None):
        raise user_error(
            "--output names one file", reason="model-output", remedy="give --out-dir alone for several models"
        )
    sources = [typed(model) for model in request.models]
    folder = typed(request.out_dir) if request.out_dir is not None else None
    if request.output is not None:
        places = [named(request.output)]
    else:
        places = [(folder or source.parent) / f"{source.stem}_edgetpu-sim.tflite" for source in sources]
    require_apart(sources, [path for place in places for path in (place, place.with_suffix(".log"))])
    if folder is not None:
        require_folder(folder, create=True)
    return dict(zip(sources, places, strict=True))


def _compile_for_simulator(places: Mapping[Path, Path]) -> None:
    """All models are compiled before any is written."""
    from coralforge.compile import simulator_report
    from coralforge.compile.simulator import compile_for_simulator
    from coralforge.edgetpu.warnings import warnings

    files: dict[Path, bytes] = {}
    reports, found = [], []
    for source, place in places.items():
        started = time.monotonic()
        log = place.with_suffix(".log")
        plain = read_model(source)
        compiled = compile_for_simulator(plain)
        files |= {place: compiled.data, log: as_bytes(simulator_report.log_text(source, place, compiled))}
        milliseconds = round((time.monotonic() - started) * 1000)
        reports.append(simulator_report.report(source, plain.size, place, log, compiled, milliseconds))
        found += [one.text for one in warnings(plain.graph, compiled.partition)]
    write_files(files)
    print("".join(reports), end="")
    for text in found:
        print(f"warning: {text}", file=sys.stderr)


def _compile_for_hardware(request: CompileRequest) -> None:
    from coralforge.commands.pipeline import load_settings
    from coralforge.compile import show
    from coralforge.compile.caching import estimated_plan, plan_text, real_plan
    from coralforge.compile.edgetpu import Compilation
    from coralforge.compile.hardware import compile_for_hardware
    from coralforge.console import make_sink
    from coralforge.settings import Options

    options = _options(request)
    sources = [typed(model) for model in request.models]
    settings = load_settings(Options(release=request.release, compiler=request.compiler))
    models = tuple(read_model(source) for source in sources)
    places = places_for(sources, options.segments, request.output, request.out_dir)
    runtime = settings.release.edgetpu_runtime
    wanted = Compilation(models, options, runtime, not request.no_preflight, request.allow_cpu)
    several = len(models) > 1
    if several:
        print(plan_text(estimated_plan(models)), file=sys.stderr)
    with make_sink() as sink:
        results = compile_for_hardware(settings, wanted, sources[0].stem, sink)
    packages = [(one.source.path.name, [p for part in one.parts for p in part.file.packages]) for one in results]
    plan = real_plan(packages) if several else None
    files: dict[Path, bytes] = {}
    for one, place in zip(results, places, strict=True):
        files |= {path: part.file.data for path, part in zip(place.parts, one.parts, strict=True)}
        files |= {path: as_bytes(part.log) for path, part in zip(place.logs, one.parts, strict=True)}
        files[place.document] = as_bytes(show.document(one, place, plan))
    write_files(files)
    print("\n".join(show.text(one, place) for one, place in zip(results, places, strict=True)), end="")
    if plan is not None:
        print(f"\n{plan_text(plan)}", end="")


def _options(request: CompileRequest) -> CompilerOptions:
    from coralforge.compile.options import DEFAULT_TIMEOUT, CompilerOptions, number

    segments, timeout = number("--segments", request.segments), number("--timeout", request.timeout)
    return CompilerOptions(
        min_runtime=number("--min-runtime", request.min_runtime),
        segments=1 if segments is None else segments,
        multiple_subgraphs=request.multiple_subgraphs,
        search_delegate=request.search_delegate,
        search_step=number("--search-step", request.search_step),
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        retry=not request.no_retry,
    )


def quantize_model(said: Said) -> None:
    """Quantize one model, write it and its report, and print that.

    ``said`` has the task's options: texts as they were typed, None for what was not given. They are the fields of
    ``QuantizeOptions``, and have the defaults that stand there.

    Raises:
        CoralforgeError: exit code 2, 3 or 5; reasons as in docs/errors.md.
    """
    from coralforge.console import make_sink
    from coralforge.convert.models import quantize_any
    from coralforge.quantize.quantize import QUESTIONS, QuantizeOptions
    from coralforge.quantize.text import report_text

    given = {name: value for name, value in vars(said).items() if value is not None}
    model, output, page = (given.pop(name, "") for name in ("model", "output", "html"))
    if not model:
        raise user_error("--model is missing", reason="option-missing", remedy="for example --model my.keras")
    given |= {name: _number(name, given[name]) for name in _NUMBERS if name in given}
    if given.get("random") == 0:
        raise user_error("--random 0 is no number of samples", reason="quantize-option", remedy="--random 100")
    source = typed(model)
    if not source.name:
        raise user_error(f"--model {model!r} names no model", reason="option-missing", remedy="name a file or folder")
    place = typed(output) if output else source.with_name(f"{source.stem}_quant.tflite")
    outputs = _outputs(given.pop("outputs", None))
    wanted = QuantizeOptions(
        source, place, shape=given.pop("input_shape", ""), html=typed(page) if page else None, **given
    )
    with make_sink() as sink:
        report = quantize_any(wanted, sink, outputs)
    print(report_text(report), end="")
    if wanted.html is not None:
        print(f"HTML: {wanted.html}", file=sys.stderr)
    if wanted.questions:
        print(f"Questions: {place.with_suffix(QUESTIONS)}", file=sys.stderr)


def _outputs(said: str | None) -> tuple[str, ...]:
    """The names that --outputs gives."""
    names = tuple(name.strip() for name in (said or "").split(",") if name.strip())
    if said is not None and not names:
        raise user_error(
            f"--outputs {said!r} names no tensor", reason="quantize-option", remedy="name some, or leave it out"
        )
    return names


def _number(name: str, text: str) -> int:
    # Not left to Invoke, which would show a traceback.
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise user_error(
            f"--{name.replace('_', '-')} {text!r} is not a whole number",
            reason="quantize-option",
            remedy=f"for example --{name.replace('_', '-')} 100",
        )
    return int(text)
