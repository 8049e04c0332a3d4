"""`invoke inspect --against` and `--pairs`: holds predictions against what Google's compiler did."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from coralforge.compile.output import parse_log
from coralforge.console import make_sink
from coralforge.errors import CoralforgeError, gate_error, user_error
from coralforge.events import Progress, Sink
from coralforge.inspect.compare import Comparison, compare_all, with_compiled, with_log
from coralforge.inspect.compared import report_of_all, report_of_one
from coralforge.inspect.text import write
from coralforge.tflite.model import read_model
from coralforge.util.paths import typed

_COMPILED, _LOG = "_edgetpu.tflite", "_edgetpu.log"
_MAX_LOG = 4 << 20  # bytes
_MOST = 10_000  # pairs


def compare_one(model: str, against: str) -> None:
    """Print where the prediction for ``model`` differs from a compiled file or a compiler's log.

    Raises:
        CoralforgeError: exit code 2 for what cannot be read or does not belong together; exit code 6 with reason
            ``prediction-differs``, after all is shown.
    """
    comparison = _compare(typed(model), typed(against))
    write(report_of_one(comparison), sys.stdout)
    if not comparison.agrees:
        raise _differs(f"the prediction for {comparison.plain} differs from {comparison.other}")


def compare_folder(folder: str) -> None:
    """Print a table of all pairs below a folder: X.tflite with X_edgetpu.tflite, or else with X_edgetpu.log.

    Raises:
        CoralforgeError: reason ``pairs-missing`` (exit code 2); exit code 6 with reason ``prediction-differs`` when a
            pair differs or could not be compared.
    """
    place = typed(folder)
    pairs = _pairs(place)
    if not pairs:
        raise user_error(
            f"there is no X.tflite with an X{_COMPILED} or X{_LOG} below {place}",
            reason="pairs-missing",
            remedy="give a folder that has such pairs, or --model and --against",
        )
    with make_sink() as sink:
        rows = compare_all(
            [
                (str(plain.relative_to(place)), _later(plain, other, sink, Progress("pairs", done, len(pairs), "")))
                for done, (plain, other) in enumerate(pairs)
            ]
        )
    write(report_of_all(str(place), rows), sys.stdout)
    if wrong := [row for row in rows if row.comparison is None or not row.comparison.agrees]:
        raise _differs(f"{len(wrong)} of {len(rows)} pairs differ from the prediction, or could not be compared")


def _later(plain: Path, other: Path, sink: Sink, far: Progress) -> Callable[[], Comparison]:
    def compare() -> Comparison:
        sink.emit(far)
        return _compare(plain, other)

    return compare


def _compare(plain: Path, other: Path) -> Comparison:
    source = read_model(plain)
    if (text := _log(other)) is not None:
        return with_log(source, other, parse_log(text))
    return with_compiled(source, read_model(other))


def _log(path: Path) -> str | None:
    """The text of a compiler's log; None for anything else, which is then read as a model."""
    try:
        if path.is_file() and path.stat().st_size <= _MAX_LOG:
            text = path.read_bytes().decode("utf-8", "replace")
            return text if parse_log(text).rows else None
    except OSError as error:
        raise user_error(
            f"{path} cannot be read: {error.strerror}", reason="model-unreadable", remedy="correct its owner and mode"
        ) from error
    return None


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    if not folder.is_dir():
        raise user_error(f"{folder} is not a folder", reason="pairs-missing", remedy="give one with pairs in it")
    found: dict[Path, Path] = {}
    for ending in (_LOG, _COMPILED):  # a compiled file says more than its log
        for other in folder.rglob(f"*{ending}"):
            plain = other.with_name(other.name.removesuffix(ending) + ".tflite")
            if plain.is_file():
                found[plain] = other
    return sorted(found.items())[:_MOST]


def _differs(brief: str) -> CoralforgeError:
    return gate_error(
        brief,
        reason="prediction-differs",
        remedy='add what it shows to the operator rules: "Add or change an operator rule" in CONTRIBUTING.md',
    )
