"""The result of a compilation: the checks of all files of a model, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from coralforge.compile.container import INPUTS, OUTPUTS
from coralforge.compile.judge import CompiledFile, read_compiled, require_same_interface, take
from coralforge.compile.options import CompilerOptions
from coralforge.compile.output import CompiledReport, CompilerRun, parse_log
from coralforge.compile.places import endings
from coralforge.compile.program import Compiler
from coralforge.edgetpu.requirements import dense_on_cpu
from coralforge.edgetpu.runtime import require_runtime
from coralforge.errors import CoralforgeError, user_error
from coralforge.tflite.carried import with_statement
from coralforge.tflite.model import Model

_MAX_LOG = 1 << 20


@dataclass(frozen=True)
class CompiledPart:
    """One compiled file: all of a model, or one segment of it. ``name`` is what the file is to be called."""

    name: str
    file: CompiledFile = field(repr=False)
    report: CompiledReport
    """The compiler's statements on it."""
    log: str = field(repr=False)
    """The text of its .log."""


@dataclass(frozen=True)
class Compiled:
    """A compiled model that has passed all checks."""

    source: Model = field(repr=False)
    digest: str
    """SHA-256 of the plain model, hex."""
    parts: tuple[CompiledPart, ...]
    """One, or as many as there are segments, in the order of the pipeline."""
    mapped: int
    """How many of the plain model's operations run on the Edge TPU, by what is left of them in the files."""
    compiler: Compiler
    options: CompilerOptions
    """With which it was compiled, which after a retry are not those that were asked for."""
    notes: tuple[str, ...]
    """Sentences for the user: retries, contradictions, statuses that are not known."""
    seconds: float

    @property
    def operations(self) -> int:
        """How many operations the plain model has."""
        return len(self.source.graph.operations)

    @property
    def fraction(self) -> float:
        """The part of the operations that runs on the Edge TPU, 0 to 1."""
        return self.mapped / self.operations if self.operations else 0.0

    @property
    def runtime(self) -> int | None:
        """The runtime version it needs; None if it runs on the CPU alone."""
        return max((part.file.runtime for part in self.parts if part.file.runtime is not None), default=None)


@dataclass(frozen=True)
class Outcome:
    """A run of the compiler that it calls a success. ``options`` are those of this run, ``seconds`` of all tries."""

    compiler: Compiler
    options: CompilerOptions
    run: CompilerRun
    out: Path
    """The folder with what it wrote."""
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class PlainModel:
    """A plain model, the digest of its file, and the name that the compiler knows it by."""

    model: Model
    digest: str
    stem: str


def judge(source: PlainModel, outcome: Outcome, runtime: int, allow_cpu: bool, checked: bool = True) -> Compiled:
    """Check all that became of one model; ``checked`` is False where the user wants no checks of the plain model.

    Raises:
        CoralforgeError: ``model-not-mapped``, ``model-per-channel``, ``model-runtime`` (exit code 2),
            ``compiled-missing``, ``compiled-invalid``, ``compiled-interface`` (5).
    """
    plain = source.model
    parts = tuple(_part(source, ending, outcome) for ending in endings(outcome.options.segments))
    files = [part.file for part in parts]
    require_same_interface(plain, files)
    doubts = [dense_on_cpu(plain, file.model.graph) for file in files]
    for error in doubts if checked else []:
        if error is not None:
            raise error
    if not allow_cpu and not any(file.packages for file in files):
        raise _not_mapped(plain, parts)
    total = len(plain.graph.operations)
    compiled = Compiled(
        source=plain,
        digest=source.digest,
        parts=parts,
        mapped=min(max(total - sum(file.left for file in files), 0), total),
        compiler=outcome.compiler,
        options=outcome.options,
        notes=(*outcome.notes, *outcome.run.warnings, *(error.brief for error in doubts if error is not None)),
        seconds=outcome.seconds,
    )
    if compiled.runtime is not None:
        require_runtime(parts[0].name, compiled.runtime, runtime)
    return replace(compiled, notes=(*compiled.notes, *_doubts(compiled)))


def _part(source: PlainModel, ending: str, outcome: Outcome) -> CompiledPart:
    path = outcome.out / f"{source.stem}{ending}"
    name = f"{source.model.path.stem}{ending}"
    file = read_compiled(name, take(path, str(source.model.path)))
    if (kept := with_statement(file.model, file.data, source.model)) != file.data:
        file = read_compiled(name, kept)
    found = [one for one in outcome.run.reports if PurePosixPath(one.output).name == path.name]
    report = found[-1] if found else CompiledReport(source="")
    log = _text_of(path.with_suffix(".log"))
    for folder in (INPUTS, OUTPUTS):  # what the folders were called is nobody's business any more
        log = log.replace(f"{folder}/{source.stem}", source.model.path.stem)
    return CompiledPart(name, file, report if report.rows else replace(report, rows=parse_log(log).rows), log)


def _text_of(log: Path) -> str:
    """The text of a .log; empty if there is none, since nothing depends on it."""
    try:
        return take(log, log.name)[:_MAX_LOG].decode("utf-8", "replace")
    except CoralforgeError:
        return ""


def _doubts(compiled: Compiled) -> list[str]:
    """Where the compiler contradicts its files, or says what coralforge does not know."""
    rows = [row for part in compiled.parts for row in part.report.rows]
    unknown = dict.fromkeys(row.status for row in rows if row.known is None)
    doubts = [f"a status that coralforge does not know: {status}" for status in list(unknown)[:5]]
    told = [part.report.on_tpu for part in compiled.parts if part.report.on_tpu is not None]
    if len(told) == len(compiled.parts) and sum(told) != compiled.mapped:
        doubts.append(f"the compiler counts {sum(told)} operations on the Edge TPU, its files show {compiled.mapped}")
    return doubts


def _not_mapped(plain: Model, parts: Sequence[CompiledPart]) -> CoralforgeError:
    rows = [f"{row.operator}: {row.status} ({row.count})" for part in parts for row in part.report.rows]
    return user_error(
        f"no operation of {plain.path} would run on the Edge TPU, though the compiler reports success",
        reason="model-not-mapped",
        details="\n".join(rows[:10] + ([f"and {len(rows) - 10} more"] if len(rows) > 10 else [])),
        remedy="see what the Edge TPU takes in docs/models.md; a low --min-runtime leaves int8 models to the CPU; "
        "--allow-cpu takes the model all the same",
    )
