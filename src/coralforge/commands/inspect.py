"""`invoke inspect`: reads, inspects, shows and writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coralforge.errors import CoralforgeError, gate_error, user_error
from coralforge.inspect import words
from coralforge.inspect.inspection import Inspection
from coralforge.inspect.inspector import inspect_model
from coralforge.tflite.graph import text
from coralforge.tflite.model import read_model
from coralforge.util import atomic
from coralforge.util.paths import resolved, same_file, typed
from coralforge.util.plain import as_bytes


@dataclass(frozen=True)
class Request:
    """The options of `invoke inspect`. ``json`` is True for stdout, or a file's name."""

    model: str
    plain: str | None = None
    json: str | bool | None = None
    html: str | None = None
    min_mapped: str | None = None
    against: str | None = None
    pairs: str | None = None


def inspect(request: Request) -> None:
    """Show what is in a model, and write what was asked for.

    Raises:
        CoralforgeError: exit code 2 for what cannot be read or written, or makes no sense; exit code 6 with reason
            ``model-mapped-fraction`` when less of the model is mapped than ``min_mapped``, or ``prediction-differs``
            with ``against`` or ``pairs``, after all is shown.
    """
    if request.against is not None or request.pairs is not None:
        _compare(request)
        return
    if not request.model:
        raise user_error("--model is missing", reason="option-missing", remedy="for example --model my.tflite")
    wanted = _fraction(request.min_mapped)
    sources = [typed(request.model), *_named({"--plain": request.plain}).values()]
    files = _named({"--json": request.json, "--html": request.html})
    _require_apart(sources, files)
    models = [read_model(source) for source in sources]
    inspection = inspect_model(*models)
    _write(inspection, files)
    _show(inspection, request.json is True)
    for option, path in files.items():
        print(f"{option.strip('-').upper()}: {text(str(path))}", file=sys.stderr)
    if wanted is not None:
        _require_mapped(inspection, wanted)


def _compare(request: Request) -> None:
    from coralforge.commands.compare import compare_folder, compare_one

    _named({"--against": request.against, "--pairs": request.pairs})
    one, many = request.against, request.pairs
    others = {"--model": request.model if many else None, "--plain": request.plain, "--json": request.json}
    others |= {"--html": request.html, "--min-mapped": request.min_mapped, "--pairs": many if one else None}
    if said := [option for option, value in others.items() if value]:
        asked = "--against" if one else "--pairs"
        raise user_error(
            f"{said[0]} makes no sense with {asked}",
            reason="inspect-option",
            remedy="--model PLAIN --against COMPILED, or --pairs DIR",
        )
    _replace_letters()
    if many is not None:
        compare_folder(many)
    elif not request.model:
        raise user_error("--model is missing", reason="option-missing", remedy="for example --model my.tflite")
    else:
        compare_one(request.model, one or "")


def _replace_letters() -> None:
    """Names may have letters that the terminal has not."""
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="replace")


def _write(inspection: Inspection, files: dict[str, Path]) -> None:
    """Everything is made before anything is written, and all of it is written or nothing."""
    made: dict[str, str] = {}
    if "--json" in files:
        from coralforge.inspect.document import json_text

        made["--json"] = json_text(inspection)
    if "--html" in files:
        from coralforge.inspect.page import html

        made["--html"] = html(inspection)
    try:
        atomic.write_all({files[option]: as_bytes(content) for option, content in made.items()})
    except OSError as error:
        option = next(option for option in made if str(files[option]) == error.filename)
        raise user_error(
            f"{error.filename} cannot be written: {error.strerror}",
            reason="model-write",
            remedy=f"choose another file for {option}",
        ) from error


def _show(inspection: Inspection, as_json: bool) -> None:
    _replace_letters()
    if as_json:
        from coralforge.inspect.document import json_text

        sys.stdout.write(json_text(inspection))
    else:
        from coralforge.inspect.text import show

        show(inspection, sys.stdout)
    sys.stdout.flush()


def _named(said: Mapping[str, str | bool | None]) -> dict[str, Path]:
    """The files that options name."""
    if empty := [option for option, name in said.items() if name == ""]:
        raise user_error(f"{empty[0]} names no file", reason="option-missing", remedy="name one, or leave it out")
    return {option: typed(name) for option, name in said.items() if isinstance(name, str)}


def _fraction(said: str | None) -> float | None:
    if said is None:
        return None
    try:
        value = float(said.removesuffix("%")) / (100 if said.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise user_error(
            f"--min-mapped {said!r} is not a fraction from 0 to 1",
            reason="option-fraction",
            remedy="for example --min-mapped 0.95, or 95%",
        )
    return value


def _require_mapped(inspection: Inspection, wanted: float) -> None:
    found = inspection.fraction
    if found is None:
        raise user_error(
            f"how much of {inspection.path} is mapped cannot be known from the compiled model alone",
            reason="option-missing",
            remedy="give the model that it was compiled from with --plain",
        )
    if found < wanted:
        raise _below(inspection, found, wanted)


def _below(inspection: Inspection, found: float, wanted: float) -> CoralforgeError:
    verb = "would run" if inspection.predicted else "run"
    return gate_error(
        f"{words.percent(found)} of {inspection.path} {verb} on the {words.chip(inspection)}, "
        f"less than the {words.percent(wanted)} of --min-mapped",
        reason="model-mapped-fraction",
        details="\n".join(one.text for one in inspection.advice),
        remedy="change the model, or lower --min-mapped",
    )


def _require_apart(sources: list[Path], files: dict[str, Path]) -> None:
    """No output may be an input or another output."""
    taken = {resolved(source) for source in sources}
    for option, path in files.items():
        if resolved(path) in taken or any(same_file(path, source) for source in sources):
            raise user_error(
                f"the output {path} of {option} is also an input or another output",
                reason="model-output",
                remedy=f"choose another file for {option}",
            )
        taken.add(resolved(path))
