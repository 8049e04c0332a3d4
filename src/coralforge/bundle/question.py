"""Labels of a model in a bundle, and the questions of its smoke test: a picture and its class, and samples."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge.bundle.model_files import ModelFiles
from coralforge.bundle.sample import ModelEntry
from coralforge.config.models import BundledModel
from coralforge.errors import CoralforgeError, user_error
from coralforge.events import Note, Sink

if TYPE_CHECKING:
    from coralforge.tflite.labels import Labels
    from coralforge.tflite.model import Model

SAMPLES = "questions.bin"
_IMAGES = {b"BM": ".bmp", b"P5": ".pgm", b"P6": ".ppm"}


def write_question(
    model: ModelEntry, files: ModelFiles, plain: Model, out: Path, times: dict[str, float], sink: Sink
) -> None:
    """Write ``labels.txt``, where labels are known, and picture, answer and samples, where pipeline.yaml has them.

    Checked as far as the programs on the board will. ``times``: how long an inference should take, for the answer.

    Raises:
        CoralforgeError: reason ``model-question``, exit code 2.
    """
    labels = _labels(files, plain)
    if labels is not None:
        if labels.misfit:
            sink.emit(Note(f"model {model.name}: {labels.misfit}", "warning"))
        if files.labels is not None:
            shutil.copyfile(files.labels, out / "labels.txt")
        else:
            (out / "labels.txt").write_text(labels.text, encoding="utf-8")
    if files.image is not None and model.entry.expected is not None:
        _write_answer(model.entry, files.image, labels, out, times)
    _write_samples(files, plain, out)


def _labels(files: ModelFiles, plain: Model) -> Labels | None:
    """Those of pipeline.yaml, or else those that came with the model."""
    from coralforge.tflite.labels import given_labels, labels_of
    from coralforge.tflite.metadata import read_metadata

    if files.labels is not None:
        return given_labels(files.labels.name, files.labels.read_bytes(), plain.graph)
    return next(iter(labels_of(plain, read_metadata(plain))), None)


def _write_answer(
    entry: BundledModel, image: Path, labels: Labels | None, out: Path, times: dict[str, float]
) -> None:
    assert entry.expected is not None
    if labels is None:
        raise user_error(
            f"{entry.model.filename} has no labels in it, so the smoke test cannot ask for class {entry.expected}",
            reason="model-question",
            remedy="give 'labels' beside 'image' and 'expected'",
        )
    if entry.expected >= len(labels.names):
        raise _wrong(labels.source, f"expected is class {entry.expected}, but there are {len(labels.names)} labels")
    with image.open("rb") as stream:
        suffix = _IMAGES.get(stream.read(2))
    if suffix is None:
        raise _wrong(str(image), "it is neither a BMP nor a binary PPM or PGM file")
    shutil.copyfile(image, out / f"image{suffix}")
    # One to a line: smoke.sh reads it.
    expected = {"top1_index": entry.expected, "top1_label": labels.names[entry.expected].strip(), **times}
    (out / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")


def _write_samples(files: ModelFiles, plain: Model, out: Path) -> None:
    """Samples that device and CPU are asked: the user's file, or those that were held out when it was quantized."""
    from coralforge.quantize.quantize import MOST_QUESTIONS, QUESTIONS
    from coralforge.tflite.graph import BYTES

    made = plain.path.with_suffix(QUESTIONS)
    asked = files.questions or (made if made.parent == out.parent and made.exists() else None)
    if asked is None:
        return
    tensors = [plain.graph.tensors[index] for index in plain.graph.inputs]
    one = sum(math.prod(tensor.shape) * BYTES.get(tensor.kind, 0) for tensor in tensors)
    size = asked.stat().st_size
    if one <= 0 or size == 0 or size % one or size // one > MOST_QUESTIONS:
        raise _wrong(str(asked), f"it has {size} bytes, which are not 1 to {MOST_QUESTIONS} inputs of {one} bytes")
    shutil.copyfile(asked, out / SAMPLES)


def _wrong(what: str, why: str) -> CoralforgeError:
    return user_error(
        f"{what} cannot be used for the smoke test: {why}",
        reason="model-question",
        remedy="correct it, or leave the question to this model out; docs/bundled-models.md has an example",
    )
