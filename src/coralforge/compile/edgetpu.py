"""Compiles models with Google's compiler: check, run, judge. Nothing is written but a log; that is for who calls.

``compile_for_edgetpu`` is what the pipeline calls too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.compile.container import INPUTS, OUTPUTS
from coralforge.compile.failures import Failed, failed
from coralforge.compile.local import Ended
from coralforge.compile.options import CompilerOptions
from coralforge.compile.output import parse_output
from coralforge.compile.program import Compiler, Program, ask
from coralforge.compile.result import Compiled, Outcome, PlainModel, judge
from coralforge.compile.retry import Try, deadline, next_try
from coralforge.edgetpu.partition import partition
from coralforge.edgetpu.requirements import refusals
from coralforge.edgetpu.warnings import warnings
from coralforge.errors import missing_error, user_error
from coralforge.events import Note, Sink, Step
from coralforge.tflite.model import Model, read_given
from coralforge.util.scratch import scratch

_NAMED = 10  # operations in a warning
_STEM = 100  # characters of a model's name that the compiler gets to see


@dataclass(frozen=True)
class Compilation:
    """The models to compile, and how. ``runtime`` is the release's ``edgetpu_runtime``."""

    models: tuple[Model, ...]
    """Several are compiled together, so that their parameters share the chip's memory."""
    options: CompilerOptions
    runtime: int
    preflight: bool = True
    """Refuse what the compiler would refuse before it is run."""
    allow_cpu: bool = False
    """Take a model of which nothing runs on the Edge TPU."""


def compile_for_edgetpu(
    wanted: Compilation, program: Program, work: Path, log: Path, sink: Sink
) -> tuple[Compiled, ...]:
    """Compile models together; one result for each, in their order.

    Args:
        program: as ``find_program`` gives it.
        work: an existing folder for scratch; nothing stays in it.
        log: a file that gets everything the compiler prints; its folder exists.
        sink: is told of retries and of what takes time.

    Raises:
        CoralforgeError: before the compiler runs: ``model-compiled``, ``model-control-flow``, ``model-op-version``,
            ``model-not-quantized``, ``model-dynamic``, ``model-per-channel``, ``compile-option`` (exit code 2),
            ``compiler-unusable`` (3). The compiler fails: the same ``model-*`` and ``model-custom-op``,
            ``model-activations``, ``model-rejected`` (2), ``compiler-internal``, ``compiler-timeout``,
            ``compiler-memory``, ``compiler-output``, ``compiler-failed`` (5). Its output is not right:
            ``model-not-mapped``, ``model-runtime`` (2), ``compiled-missing``, ``compiled-invalid``,
            ``compiled-interface`` (5). ``model-unreadable`` (2): a model is gone meanwhile. ``no-space``,
            ``cache-unwritable`` (3): for ``work`` and ``log``.
    """
    preflight(wanted)
    for model in wanted.models:
        for warning in warnings(model.graph, partition(model.graph)):
            where = ", ".join(map(str, warning.operations[:_NAMED]))
            sink.emit(Note(f"{model.path.name}: {warning.text} (operations {where})", "warning"))
    with _room(work):
        with _workspace(work) as folder:
            compiler = ask(program, folder)
        sink.emit(Step(f"compile with {compiler.name}"))
        log.write_text("", encoding="utf-8")
        compiled = _run(_Job(wanted, compiler, _stems(wanted.models), log), work, sink)
        sink.emit(Step("compile", compiled[0].seconds))
        return compiled


def preflight(wanted: Compilation) -> None:
    """Refuse what the compiler would refuse; worth asking before the compiler is found or its image made.

    Raises:
        CoralforgeError: as :func:`compile_for_edgetpu` before the compiler runs.
    """
    wanted.options.check(len(wanted.models), wanted.runtime)
    for model in wanted.models:
        for error in refusals(model, partition(model.graph)):
            if error.reason == "model-compiled":
                raise error
            if wanted.preflight:
                error.remedy += "; or let the compiler have its say with --no-preflight"
                raise error


@dataclass(frozen=True)
class _Job:
    wanted: Compilation
    compiler: Compiler
    stems: tuple[str, ...]
    log: Path

    @property
    def names(self) -> str:
        """The models, for messages."""
        return ", ".join(str(model.path) for model in self.wanted.models)

    @property
    def operations(self) -> int:
        return max(len(model.graph.operations) for model in self.wanted.models)


def _run(job: _Job, work: Path, sink: Sink) -> tuple[Compiled, ...]:
    """Run the compiler until it succeeds or there is nothing left to try."""
    wanted, options, notes = job.wanted, job.wanted.options, list[str]()
    tries: list[Try] = []
    while True:
        with _workspace(work) as folder:
            pairs = zip(wanted.models, job.stems, strict=True)
            sources = [PlainModel(m, _copy(m.path, folder / INPUTS / f"{stem}.tflite"), stem) for m, stem in pairs]
            ended = _run_once(job, options, folder)
            run = parse_output(ended.output)
            if ended.status == 0 and ended.stopped is None and run.succeeded:
                seconds = sum((one.ended.seconds for one in tries), ended.seconds)
                outcome = Outcome(job.compiler, options, run, folder / OUTPUTS, tuple(notes), seconds)
                return tuple(
                    judge(source, outcome, wanted.runtime, wanted.allow_cpu, wanted.preflight) for source in sources
                )
        tries.append(Try(options, run, ended))
        following = next_try(tries, job.compiler.flags, len(job.stems), job.operations)
        if following is None:
            raise failed(Failed(job.compiler, job.names, options, run, ended, notes, job.log))
        if following.options == options and len(tries) > 1 and tries[-2].options == options:
            notes.pop()  # the same again, and again: the last note says how often
        options = following.options
        notes.append(following.note)
        sink.emit(Note(following.note, "warning"))


def _run_once(job: _Job, options: CompilerOptions, folder: Path) -> Ended:
    compiler = job.compiler
    inputs = [f"{INPUTS}/{stem}.tflite" for stem in job.stems]
    arguments = options.arguments(compiler.flags, compiler.version, OUTPUTS, inputs)
    ended = compiler.program.run(arguments, folder, deadline(options, compiler.flags))
    with job.log.open("a", encoding="utf-8") as stream:
        stream.write(f"{compiler.program.name} {' '.join(arguments)}\n{ended.output}\n")
        stream.write(f"exit status {ended.status} after {ended.seconds:.1f} s\n\n")
    return ended


def _copy(model: Path, place: Path) -> str:
    """Put a model where the compiler finds it; returns the digest of what it gets to see."""
    try:
        data = read_given(model).data
        place.write_bytes(data)
        place.chmod(0o644)
        return hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise user_error(
            f"the model {model} cannot be copied to {place.parent}: {error.strerror}",
            reason="model-unreadable",
            remedy="correct the model's owner and mode, or make room there",
        ) from error


def _stems(models: Sequence[Model]) -> tuple[str, ...]:
    """Names for the compiler: the models' own where they are harmless, and no two alike."""
    stems: list[str] = []
    for model in models:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", model.path.stem)[:_STEM].lstrip("-.") or "model"
        same = [one for one in stems if one == stem or one.rpartition("__")[0] == stem]
        stems.append(f"{stem}__{len(same)}" if same else stem)
    return tuple(stems)


@contextlib.contextmanager
def _room(work: Path) -> Iterator[None]:
    """Turns errors of the files around a run, neither the compiler's fault nor the model's, into one of ours."""
    try:
        yield
    except OSError as error:
        raise missing_error(
            f"{work} has no room for compiling: {error.strerror}",
            reason="no-space" if error.errno == errno.ENOSPC else "cache-unwritable",
            remedy="free some space, or choose another folder with CORALFORGE_CACHE or 'cache' in pipeline.yaml",
        ) from error


@contextlib.contextmanager
def _workspace(work: Path) -> Iterator[Path]:
    """A folder with ``in`` and ``out``, which is gone afterwards."""
    with scratch(work, "compile") as folder:
        for part in (INPUTS, OUTPUTS):
            (folder / part).mkdir(mode=0o755)
            (folder / part).chmod(0o755)
        yield folder
