"""Makes one model ready for a bundle: quantized, compiled, and refused where it falls short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge.bundle.manifest import ModelUsed
from coralforge.bundle.model_files import ModelFiles
from coralforge.bundle.model_words import Verb, in_pipeline_words
from coralforge.bundle.question import write_question
from coralforge.bundle.sample import SAMPLE, ModelEntry
from coralforge.config.models import Target
from coralforge.errors import gate_error, user_error
from coralforge.events import Note, Sink
from coralforge.settings import Settings

if TYPE_CHECKING:
    from coralforge.tflite.model import Model

PLAIN = "model.tflite"
COMPILED = {Target.EDGETPU: "model_edgetpu.tflite", Target.SIMULATOR: "model_edgetpu-sim.tflite"}
RECORD = "model.json"


@dataclass(frozen=True)
class Made:
    """How a model was compiled; ``mapped`` operations of the plain model run on the Edge TPU."""

    mapped: int
    compiler: str
    min_runtime: int | None


def make(settings: Settings, model: ModelEntry, files: ModelFiles, out: Path, sink: Sink) -> None:
    """Fill the empty folder ``out`` with the model, its compiled form, what the smoke test needs, and a record.

    Raises:
        CoralforgeError: ``model-mapped-fraction`` (exit code 6), ``model-quantize`` or ``model-question`` (2), and
            what reading, quantizing and compiling raise.
    """
    from coralforge.tflite.model import read_model

    entry = model.entry
    with in_pipeline_words(model.where, Verb.QUANTIZE):
        plain_file, agreement = _make_plain(settings, model, files, out.parent, sink)
    with in_pipeline_words(model.where, Verb.COMPILE):
        plain = read_model(plain_file)
        _take(plain_file, out / PLAIN)
        if files.compiled is not None:
            made = _take_compiled(settings, plain, files.compiled, out / COMPILED[Target.EDGETPU])
        else:
            made = _compile(settings, model, plain, out, sink)
    operations = len(plain.graph.operations)
    _require_mapped(model, made.mapped, operations)
    whole = made.mapped == operations
    times = _times(plain, out / COMPILED[Target.EDGETPU]) if whole else {}
    write_question(model, files, plain, out, times, sink)
    used = ModelUsed(
        name=model.name,
        licence=entry.licence,
        source=entry.model.filename,
        quantized=entry.quantize is not None,
        random_samples=entry.quantize is not None and entry.quantize.random is not None,
        agreement=agreement,
        target=entry.target,
        compiler=made.compiler,
        operations=operations,
        mapped=made.mapped,
        min_runtime=made.min_runtime,
        checked=entry.expected is not None,
    )
    (out / RECORD).write_text(used.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _make_plain(
    settings: Settings, model: ModelEntry, files: ModelFiles, work: Path, sink: Sink
) -> tuple[Path, float | None]:
    """The user's .tflite, or a quantized model below ``work``, under a name that messages can use.

    Also the agreement with the float model, where it is known.
    """
    entry = model.entry
    ready = entry.model.filename.lower().endswith((".tflite", ".zip"))
    given = ready or model.label == SAMPLE  # which is never quantized here
    if given != (entry.quantize is None):
        what = "is a .tflite, which is not quantized again" if given else "has to be quantized"
        raise user_error(
            f"{settings.project.pipeline}: {model.where}: {entry.model.filename} {what}",
            reason="model-quantize",
            remedy=f"{'remove' if given else 'add'} 'quantize' there",
        )
    if entry.quantize is None:
        return files.model, None
    from coralforge.convert.models import quantize_any
    from coralforge.quantize.quantize import QuantizeOptions

    plain = work / f"{model.name}.tflite"
    options = QuantizeOptions(
        files.model,
        plain,
        samples=entry.quantize.samples or "",
        random=entry.quantize.random or 0,
        preprocess=entry.quantize.preprocess,
        io=entry.quantize.io,
        questions=entry.quantize.questions,
        folder=settings.project.root,
    )
    report = quantize_any(options, sink)
    report.place.unlink()  # it has times and paths of this machine; what lasts is in the record
    for warning in report.warnings:
        sink.emit(Note(f"model {model.name}: {warning}", "warning"))
    return plain, report.agreement


def _compile(settings: Settings, model: ModelEntry, plain: Model, out: Path, sink: Sink) -> Made:
    target = model.entry.target
    if target is Target.CPU:
        return Made(0, "", None)
    if target is Target.SIMULATOR:
        from coralforge.compile.simulator import compile_for_simulator
        from coralforge.compile.simulator_report import HEADER

        compiled = compile_for_simulator(plain)
        (out / COMPILED[target]).write_bytes(compiled.data)
        return Made(compiled.partition.mapped, HEADER, None)
    return _compile_for_hardware(settings, model, plain, out / COMPILED[target], sink)


def _take_compiled(settings: Settings, plain: Model, compiled: Path, place: Path) -> Made:
    """A file that was compiled beforehand, held against its plain form."""
    from coralforge.edgetpu.runtime import require_runtime
    from coralforge.inspect.inspector import inspect_model
    from coralforge.tflite.model import read_model

    found = inspect_model(read_model(compiled), plain)
    if found.min_runtime_version is None:
        raise user_error(
            f"{compiled} is not compiled for Edge TPU hardware",
            reason="model-not-mapped",
            remedy="give what Google's compiler made, or leave 'compiled' out to have it run",
        )
    require_runtime(str(compiled), found.min_runtime_version, settings.release.edgetpu_runtime)
    _take(compiled, place)
    assert found.mapped is not None  # the plain form is at hand
    return Made(found.mapped, "compiled beforehand", found.min_runtime_version)


def _take(file: Path, place: Path) -> None:
    """Copy a model, out of the archive that it came in where it came in one."""
    from coralforge.tflite.model import read_given

    place.write_bytes(read_given(file).data)


def _compile_for_hardware(settings: Settings, model: ModelEntry, plain: Model, place: Path, sink: Sink) -> Made:
    from coralforge.compile.edgetpu import Compilation
    from coralforge.compile.hardware import compile_for_hardware
    from coralforge.compile.options import CompilerOptions

    runtime = settings.release.edgetpu_runtime
    wanted = Compilation((plain,), CompilerOptions(), runtime, allow_cpu=model.entry.min_mapped == 0)
    (compiled,) = compile_for_hardware(settings, wanted, model.name, sink)
    for note in compiled.notes:
        sink.emit(Note(f"model {model.name}: {note}", "warning"))
    place.write_bytes(compiled.parts[0].file.data)
    return Made(compiled.mapped, f"Edge TPU Compiler {compiled.compiler.version}", compiled.runtime)


def _require_mapped(model: ModelEntry, mapped: int, operations: int) -> None:
    entry = model.entry
    fraction = mapped / max(operations, 1)
    if fraction >= entry.min_mapped:
        return
    raise gate_error(
        f"the model {model.name} has {mapped} of {operations} operations on the Edge TPU ({fraction:.0%}), "
        f"less than min_mapped ({entry.min_mapped:.0%}): it enters no bundle",
        reason="model-mapped-fraction",
        details="what stays on the CPU makes a model 10 to 50 times slower",
        remedy=f"see why with `invoke inspect`, change the model, or lower {model.where}.min_mapped",
    )


def _times(plain: Model, compiled: Path) -> dict[str, float]:
    """How long an inference should take on hardware, in ms by connection; nothing for a model that is for none."""
    from coralforge.edgetpu.expected import expected_ms
    from coralforge.inspect.programs import read_programs
    from coralforge.tflite.model import read_model

    if not compiled.exists():
        return {}
    packages = [program.package for program in read_programs(read_model(compiled)) if program.package is not None]
    return {f"{connection}_ms": ms for connection, ms in expected_ms(plain.graph, packages).items()}
