"""Runs the quantized model beside the float one: on labelled samples, and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coralforge.errors import first_line, user_error
from coralforge.quantize.worker import convert
from coralforge.quantize.worker.evaluation import Evaluation, check_labels, choose_output
from coralforge.quantize.worker.labelled import Labelled
from coralforge.quantize.worker.layers import MOST_SAMPLES, walk
from coralforge.quantize.worker.load import FloatModel
from coralforge.quantize.worker.preprocess import Preprocess
from coralforge.quantize.worker.samples import Feed, Samples
from coralforge.quantize.worker.spread import Grid
from coralforge.quantize.worker.wire import Reporter


def run_float(model: FloatModel, feed: Feed) -> dict[str, Any]:
    """The float model's outputs.

    Raises:
        CoralforgeError: reason ``model-not-finite``.
    """
    import numpy as np

    exact = model.run(feed)
    if not all(np.isfinite(value).all() for value in exact.values()):
        raise user_error(
            "the float model computes values that are not finite (NaN or infinity)",
            reason="model-not-finite",
            remedy="check its weights, and whether the samples are scaled as in training (--preprocess)",
        )
    return exact


@dataclass(frozen=True)
class Exam:
    """Labelled samples that fit the model, and its output with the scores."""

    labelled: Labelled
    chosen: Samples
    labels: Sequence[int]
    output: str
    count: int
    """Of classes."""
    left_out: int
    """Samples that the model is calibrated with."""


def prepare(labelled: Labelled, model: FloatModel, scaling: Preprocess | None, leave_out: frozenset[int]) -> Exam:
    """Choose labelled samples, but none at ``leave_out``: all that can be refused before the long conversion.

    Raises:
        CoralforgeError: exit code 2, reason ``labels-mismatch``, or what reading samples raises.
    """
    sizes = {name: tuple(model.concrete.structured_outputs[name].shape.as_list()) for name in model.outputs}
    output, count = choose_output(sizes, labelled.classes)
    chosen = labelled.bind(model.inputs, scaling, leave_out)
    labels = labelled.labels(chosen.positions)
    check_labels(labels, count, str(labelled.path))
    return Exam(labelled, chosen, labels, output, count, len(leave_out))


def evaluate(reporter: Reporter, exam: Exam, model: FloatModel, quantized: convert.Quantized) -> dict[str, Any]:
    """How often both models are right; as JSON values.

    Raises:
        CoralforgeError: exit code 2, what reading samples raises.
    """
    reporter.step("evaluate")
    grid = Grid.of(quantized.outputs[exam.output])
    probability = grid is not None and grid.low >= 0 and grid.high <= 1
    seen = Evaluation(exam.output, exam.count, 0.5 if probability else 0.0)
    for done, label in enumerate(exam.labels):
        reporter.progress("evaluate", done, len(exam.labels))
        feed = exam.chosen.load(done)
        seen.add(label, run_float(model, feed)[seen.output], quantized.run(feed)[seen.output])
    reporter.progress("evaluate", len(exam.labels), len(exam.labels))
    labelled = exam.labelled
    origin = {"origin": labelled.path.name, "available": exam.chosen.available, "left_out": exam.left_out}
    return {**origin, **seen.summary(labelled.classes)}


def write_questions(
    place: Path, model: FloatModel, quantized: convert.Quantized, chosen: Samples, positions: Sequence[int]
) -> int:
    """Put samples into a file, as the bytes that the quantized model takes: its inputs in their order, then the next.

    A device is asked them, and the CPU beside it: a model that is right on the one may be wrong on the other.

    Returns:
        How many there are.
    """
    with place.open("wb") as stream:
        for index in positions:
            feed = chosen.load(index)
            for one in model.inputs:
                stream.write(convert.quantize(feed[one.name], quantized.inputs[one.name]).tobytes())
    return len(positions)


def worst_layers(
    reporter: Reporter, folder: Path, data: bytes, chosen: Samples, positions: Sequence[int]
) -> dict[str, Any] | None:
    """Which layers lose most, on a few of the samples; None where the two models cannot be compared so."""
    reporter.step("look for the layers that lose most")
    few = positions[:MOST_SAMPLES]

    def feeds() -> Iterator[Feed]:
        for done, index in enumerate(few):
            reporter.progress("layers", done, len(few))
            yield chosen.load(index)
        reporter.progress("layers", len(few), len(few))

    try:
        found = walk(data, convert.convert_float(folder), feeds())
    except MemoryError:
        raise
    except Exception as error:  # the converter and the interpreter raise anything; the quantized model is made
        reporter.note(f"which layers lose most cannot be said: {first_line(error)}", "warning")
        return None
    return found if found["compared"] else None
