"""From a Keras model or a SavedModel to a .tflite that the Edge TPU compiler takes."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coralforge.errors import model_missing, user_error
from coralforge.events import Sink
from coralforge.quantize.check import check_quantized
from coralforge.quantize.converted import Converted
from coralforge.quantize.environment import find_python
from coralforge.quantize.process import Limits, run_worker
from coralforge.quantize.report import QuantizeReport, make_report
from coralforge.quantize.tidy import tidied
from coralforge.quantize.worker import preprocess
from coralforge.quantize.worker.functions import looks_like_function
from coralforge.quantize.worker.labelled import read_classes, require_labelled
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.sample_sources import require_samples
from coralforge.tflite.arithmetic import NOT_AFTERWARDS, arithmetic_of
from coralforge.tflite.foreign import is_tflite, recognise
from coralforge.tflite.model import parse_model, read_model, write_files
from coralforge.util import atomic, fingerprint
from coralforge.util.paths import resolved
from coralforge.util.plain import as_bytes

IOS = ("uint8", "int8")
MAX_SAMPLES = 100_000
TIMEOUT = 7200.0  # seconds
REPORT, QUESTIONS = ".quantize.json", ".questions.bin"
MOST_QUESTIONS = 1000  # which benchmark reads


@dataclass(frozen=True)
class QuantizeOptions:
    """The model to quantize, and how. One of ``samples`` and ``random`` is given."""

    model: Path
    output: Path
    samples: str = ""
    """A folder of images, an .npz or .npy file, MODULE:FUNCTION or FILE.py:FUNCTION."""
    random: int = 0
    """That many random samples instead: for trying out; the report says that nothing is verified."""
    preprocess: str = preprocess.AUTO
    io: str = "uint8"
    max_samples: int = 500
    signature: str = ""
    """Of a SavedModel with several."""
    shape: str = ""
    """Such as ``224x224x3``, for an input whose sizes the model leaves open."""
    trust: bool = False
    """Run code that the model file holds or names."""
    evaluate: str = ""
    """A folder of images with one folder for each class, or an .npz with ``labels``: to say how often it is right."""
    labels: str = ""
    """A file with the names of the classes, in the order of the model's scores."""
    max_evaluate: int = 2000
    layers: bool = False
    """Say which layers lose most in any case; otherwise only where the comparison is bad."""
    questions: int = 0
    """Put so many held-out samples into ``X.questions.bin`` beside the output, to ask a device."""
    html: Path | None = None
    """Where the report goes as a page; it has the layers that lose most."""
    timeout: float = TIMEOUT
    """Seconds for everything."""
    memory: int = 0
    """MiB that the worker may take; 0 for three quarters of the machine's."""
    folder: Path = field(default_factory=Path.cwd)
    """The folder that paths in ``samples`` are relative to, and where a sample function's module is looked for."""
    converted: Converted | None = None
    """The SavedModel that was made of ``model``, where TensorFlow cannot read that."""


def quantize(options: QuantizeOptions, sink: Sink, python: Path | None = None) -> QuantizeReport:
    """Quantize one model, check it, and write it and its report (``X.quantize.json`` beside ``X.tflite``, the page).

    The same model, samples and options give the same bytes. Nothing is written unless everything went well.

    Args:
        sink: gets steps, and progress in samples.
        python: an interpreter that has TensorFlow; by default what ``environment.find_python`` finds.

    Raises:
        CoralforgeError: exit code 2 for what was given, 3 without TensorFlow, 5 when the worker fails; the reasons
            are in docs/errors.md.
    """
    started = time.monotonic()
    check_options(options)
    interpreter = python or find_python()
    with tempfile.TemporaryDirectory(prefix="coralforge-quantize-", ignore_cleanup_errors=True) as staging:
        request = _request(options, Path(staging))
        facts = run_worker(interpreter, request, limits(options), sink)
        facts = options.converted.completed(facts) if options.converted else facts
        converted = parse_model(options.output, request.output.read_bytes())
        questions = request.questions_file.read_bytes() if options.questions else b""
    data, changes = tidied(converted, *([one["name"] for one in facts[side]] for side in ("inputs", "outputs")))
    model = parse_model(options.output, data)
    check_quantized(model, options.model, facts["versions"]["tensorflow"])
    place = options.output.with_suffix(REPORT)
    report = make_report(
        options.model,
        options.output,
        place,
        _facts(options, {**facts, "lowered": list(changes)}, data),
        time.monotonic() - started + (options.converted.seconds if options.converted else 0),
        model.graph,
    )
    files = {options.output: data, place: report.json()}
    if questions:
        files[options.output.with_suffix(QUESTIONS)] = questions
    if options.html is not None:
        from coralforge.quantize.page import html

        files[options.html] = as_bytes(html(report))
    write_files(files)
    return report


def check_options(options: QuantizeOptions) -> None:
    """Refuse what can be refused without looking into the model or the samples.

    Raises:
        CoralforgeError: exit code 2, reason ``samples-missing``, ``labels-invalid``, ``quantize-option``,
            ``preprocess-unknown``, ``model-missing``, ``model-unreadable``, ``model-output`` or ``model-write``.
    """
    preprocess.parse(options.preprocess)
    shape_of(options.shape)
    wrong = {
        f"--io {options.io!r} is not one of {', '.join(IOS)}": options.io not in IOS,
        "--random and --samples are both given; one of them is wanted": bool(options.random and options.samples),
        f"--random {options.random} is not between 1 and {MAX_SAMPLES}": not 0 <= options.random <= MAX_SAMPLES,
        f"--max-samples {options.max_samples} is not between 1 and {MAX_SAMPLES}": not 1
        <= options.max_samples
        <= MAX_SAMPLES,
        f"--max-evaluate {options.max_evaluate} is not between 1 and {MAX_SAMPLES}": not 1
        <= options.max_evaluate
        <= MAX_SAMPLES,
        f"--questions {options.questions} is not between 0 and {MOST_QUESTIONS}": not 0
        <= options.questions
        <= MOST_QUESTIONS,
        "--questions are samples, and --random has none": bool(options.questions and options.random),
        "--labels is for --evaluate, which is not given": bool(options.labels and not options.evaluate),
        f"--timeout {options.timeout} is not a number of seconds": not options.timeout > 0,
        f"--memory {options.memory} is not a number of MiB": options.memory < 0,
        f"the output {options.output} does not end in .tflite": options.output.suffix != ".tflite",
    }
    for brief in [text for text, holds in wrong.items() if holds]:
        raise user_error(brief, reason="quantize-option", remedy="change it, or leave it out")
    _require_source(options.model)
    if not options.samples and not options.random:
        raise user_error(
            "neither --samples nor --random is given",
            reason="option-missing",
            remedy="--samples DIR with pictures like those that the model will see; --random 100 only to try it out",
        )
    if not options.model.exists():
        raise model_missing(options.model)
    if not (options.model.is_file() or options.model.is_dir()):
        raise user_error(
            f"the model {options.model} is neither a file nor a folder",
            reason="model-unreadable",
            remedy="give a file, or the folder of a SavedModel",
        )
    _check_outputs(options)
    _check_inputs(options)


def _check_outputs(options: QuantizeOptions) -> None:
    """No output is the model or another output, and each has a place."""
    taken = {resolved(options.model): "the input"}
    beside = [REPORT, *([QUESTIONS] if options.questions else [])]
    outputs = [(place, "--output") for place in (options.output, *map(options.output.with_suffix, beside))]
    outputs += [(options.html, "--html")] if options.html else []
    for output, option in outputs:
        remedy = f"choose another {option}"
        if (found := taken.get(resolved(output))) is not None:
            raise user_error(f"the output {output} of {option} is {found}", reason="model-output", remedy=remedy)
        taken[resolved(output)] = "another output"
        try:
            atomic.require_place(output)
        except OSError as error:
            brief = f"{output} cannot be written: {error.strerror}"
            raise user_error(brief, reason="model-write", remedy=remedy) from error


def _check_inputs(options: QuantizeOptions) -> None:
    """Refuse what is not there to be read, which workers would only say after an ONNX model is converted."""
    if options.samples:
        require_samples(options.samples, options.folder)
    if options.evaluate:
        require_labelled(options.evaluate, options.folder)
    if options.labels:
        read_classes(options.folder / options.labels)


def _require_source(model: Path) -> None:
    """Refuse what is known to be no model that can be quantized; anything unknown is left to the worker."""
    wanted = "a model that can be quantized"
    foreign = recognise(model)
    packed = foreign is not None and len(foreign.members) == 1
    if foreign is not None and not foreign.quantizable and not packed:
        raise foreign.refusal(model, wanted)
    if packed or (model.is_file() and is_tflite(model)):
        found = arithmetic_of(read_model(model).graph)
        what = f"{'has' if packed else 'is'} a TensorFlow Lite model, which computes {found.words}"
        raise user_error(
            f"{model} {what}, not {wanted}",
            reason="model-format",
            remedy="give it to `invoke compile`" if found.quantized else NOT_AFTERWARDS,
        )


def _request(options: QuantizeOptions, staging: Path) -> Request:
    return Request(
        model=str((options.converted.folder if options.converted else options.model).absolute()),
        staging=str(staging),
        samples=options.samples,
        random=options.random,
        preprocess=options.preprocess,
        io=options.io,
        max_samples=options.max_samples,
        signature=options.signature,
        shape=() if options.converted else shape_of(options.shape),
        inputs=options.converted.inputs if options.converted else (),
        outputs=options.converted.outputs if options.converted else (),
        trust=options.trust,
        evaluate=options.evaluate,
        labels=options.labels,
        max_evaluate=options.max_evaluate,
        questions=options.questions,
        layers=options.layers or options.html is not None,
        folder=str(options.folder.absolute()),
    )


def shape_of(text: str) -> tuple[int, ...]:
    """The sizes that ``--input-shape`` names.

    Raises:
        CoralforgeError: exit code 2, reason ``quantize-option``.
    """
    sizes = text.split("x") if text else []
    if not all(size.isdecimal() and 0 < int(size) < 1 << 20 for size in sizes):
        raise user_error(
            f"--input-shape {text!r} is not a shape",
            reason="quantize-option",
            remedy="for example --input-shape 224x224x3",
        )
    return tuple(map(int, sizes))


def limits(options: QuantizeOptions) -> Limits:
    """The limits for the processes that do the work."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Limits(options.timeout, options.memory << 20 if options.memory else machine * 3 // 4)


def _facts(options: QuantizeOptions, facts: dict[str, Any], data: bytes) -> dict[str, Any]:
    """The worker's facts, and what only this side knows."""
    bare = not looks_like_function(options.samples) or (options.folder / options.samples).exists()
    origin = Path(options.samples).name if bare else options.samples
    model = {"name": options.model.name, "sha256": _digest(options.model), "bytes": _bytes(options.model)}
    output = {"name": options.output.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    samples = {
        "random": bool(options.random),
        "origin": f"RANDOM {options.random}" if options.random else origin,
        **facts["samples"],
    }
    return {**facts, "model": {**model, **facts["model"]}, "output": {**output, "io": options.io}, "samples": samples}


def _digest(path: Path) -> str:
    """SHA-256 (hex) of a file; of names and contents of a folder."""
    return fingerprint.of_paths(path) if path.is_dir() else fingerprint.of_file(path)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
