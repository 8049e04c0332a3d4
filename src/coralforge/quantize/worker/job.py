"""The work, from a request to a quantized model and what is known of it."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coralforge.quantize.worker import convert, preprocess, quality, samples, verdict
from coralforge.quantize.worker.accuracy import Comparison
from coralforge.quantize.worker.environment import check_tensorflow
from coralforge.quantize.worker.feeding import Feeding, pixel_error
from coralforge.quantize.worker.labelled import Labelled, open_labelled
from coralforge.quantize.worker.load import FloatModel, load
from coralforge.quantize.worker.model_config import check_code
from coralforge.quantize.worker.model_files import ModelFile, recognise
from coralforge.quantize.worker.preprocess import RAW, Preprocess
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.sample_sources import open_samples
from coralforge.quantize.worker.samples import Samples
from coralforge.quantize.worker.spread import Grid
from coralforge.quantize.worker.wire import READ_MODEL, Reporter

READ_SECONDS = 60  # after which SIGALRM ends this process


def run(request: Request, reporter: Reporter) -> dict[str, Any]:
    """Quantize one model. What can be refused without TensorFlow is refused first.

    Returns:
        What the report needs, as JSON values; the model is at ``request.output``.

    Raises:
        CoralforgeError: reasons as in docs/errors.md.
    """
    wanted = preprocess.parse(request.preprocess)
    file = _read(request, reporter)
    reporter.step("look at the samples")
    source, labelled = open_samples(request), open_labelled(request)
    reporter.step("load TensorFlow")
    versions = check_tensorflow(reporter)
    reporter.step(f"load the model ({file.text})")
    model = load(file, request)
    scaling = wanted or (RAW if model.scales_pixels else None)
    reporter.step("read the samples")
    chosen = source.bind(model.inputs, scaling)
    exam = None
    if labelled is not None:
        exam = quality.prepare(labelled, model, scaling, _calibrated(request, labelled, chosen))
    feeding = Feeding(model.inputs)
    quantized, calibrated, held_out = _quantize(request, reporter, model, chosen, feeding)
    compared = held_out or calibrated
    comparison, interpreter = _compare(reporter, model, quantized, chosen, compared, feeding)
    outputs = [_output(name, interpreter, comparison) for name in model.outputs]
    evaluation = quality.evaluate(reporter, exam, model, interpreter) if exam else None
    asked = 0
    if request.questions:
        few = compared[: request.questions]
        asked = quality.write_questions(request.questions_file, model, interpreter, chosen, few)
    layers = None
    if request.layers or (not request.random and verdict.bad(outputs, evaluation)):
        layers = quality.worst_layers(reporter, _saved(request), quantized, chosen, compared)
    return {
        "model": {"kind": file.text, "scales_pixels": model.scales_pixels},
        "samples": {
            "kind": source.kind,
            "available": chosen.available,
            "calibrated": len(calibrated),
            "held_out": len(held_out),
            "preprocess": scaling.name if scaling else "none",
            "digest": feeding.digest,
            "questions": asked,
        },
        "inputs": [_input(one.name, interpreter, feeding, scaling) for one in model.inputs],
        "outputs": outputs,
        "evaluation": evaluation,
        "layers": layers,
        "versions": versions,
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _read(request: Request, reporter: Reporter) -> ModelFile:
    """Look at the model file, with an end: some damaged HDF5 files keep its library busy for ever."""
    reporter.step(READ_MODEL)
    signal.alarm(READ_SECONDS)
    file = recognise(Path(request.model))
    check_code(file, request.trust)
    signal.alarm(0)
    return file


def _quantize(
    request: Request, reporter: Reporter, model: FloatModel, chosen: Samples, feeding: Feeding
) -> tuple[bytes, list[int], list[int]]:
    calibrated, held_out = samples.split(chosen.count)

    def feeds() -> Iterator[samples.Feed]:
        for done, index in enumerate(calibrated):
            reporter.progress("calibrate", done, len(calibrated))
            feed = chosen.load(index)
            feeding.add(feed)
            yield feed
        reporter.progress("calibrate", len(calibrated), len(calibrated))
        reporter.step("quantize")

    reporter.step("convert the model")
    folder = _saved(request)
    convert.save(model, folder)
    reporter.step("calibrate")
    data = convert.convert(request.model, folder, request.io, feeds)
    request.output.write_bytes(data)
    return data, calibrated, held_out


def _compare(
    reporter: Reporter, model: FloatModel, data: bytes, chosen: Samples, positions: list[int], feeding: Feeding
) -> tuple[Comparison, convert.Quantized]:
    reporter.step("compare with the float model")
    quantized = convert.Quantized(data)
    comparison = Comparison({name: grid for name, one in quantized.outputs.items() if (grid := Grid.of(one))})
    for done, index in enumerate(positions):
        reporter.progress("compare", done, len(positions))
        feed = chosen.load(index)
        feeding.add(feed)
        comparison.add(quality.run_float(model, feed), quantized.run(feed))
    reporter.progress("compare", len(positions), len(positions))
    return comparison, quantized


def _saved(request: Request) -> Path:
    """Where the model that is converted is saved meanwhile."""
    return Path(request.staging) / "saved_model"


def _calibrated(request: Request, labelled: Labelled, chosen: Samples) -> frozenset[int]:
    """Positions of labelled samples that the model is calibrated with: what they say would be too good."""
    place = Path(request.folder) / request.samples
    if not request.samples or not place.exists() or place.resolve() != labelled.path.resolve():
        return frozenset()
    return frozenset(chosen.positions[index] for index in samples.split(chosen.count)[0])


def _input(name: str, quantized: convert.Quantized, feeding: Feeding, scaling: Preprocess | None) -> dict[str, Any]:
    tensor = _tensor(name, quantized.inputs[name])
    pixels = scaling if len(tensor["shape"]) == 4 else None
    error = pixel_error(pixels, quantized.inputs[name]) if pixels else None
    return {**tensor, "range": feeding.range(name), "pixel_error": error}


def _output(name: str, quantized: convert.Quantized, comparison: Comparison) -> dict[str, Any]:
    return {**_tensor(name, quantized.outputs[name]), "accuracy": comparison.summary(name)}


def _tensor(name: str, details: Any) -> dict[str, Any]:
    import numpy as np

    scale, zero_point = details["quantization"]
    shape = [int(size) for size in details["shape"]]
    fields = {"name": name, "type": np.dtype(details["dtype"]).name, "shape": shape}
    return {**fields, "scale": float(scale), "zero_point": int(zero_point)}
