"""The part of an inspection that is about the file and what it says of itself, apart from where operations run."""

from __future__ import annotations

from dataclasses import dataclass

from coralforge.edgetpu.warnings import Warning
from coralforge.tflite.arithmetic import Arithmetic, arithmetic_of
from coralforge.tflite.graph import Graph
from coralforge.tflite.labels import Labels, labels_of
from coralforge.tflite.metadata import Metadata, read_metadata
from coralforge.tflite.model import Model
from coralforge.tflite.pixels import Pixels, pixels_of


@dataclass(frozen=True)
class Statement:
    """The statements of a model on itself. ``pixels`` has one entry for each input."""

    arithmetic: Arithmetic
    """Of the plain model, where that is known; else of what is left of it."""
    member: str
    """The model's name in the archive that was given; empty for a model that is a file of its own."""
    metadata: Metadata | None
    labels: tuple[Labels, ...]
    pixels: tuple[Pixels | None, ...]


def statement_of(model: Model, plain: Model | None, graph: Graph) -> Statement:
    """Read it; a compiled model that says nothing of itself has what its plain form says."""
    source, metadata = model, read_metadata(model)
    if metadata is None and plain is not None:
        source, metadata = plain, read_metadata(plain)
    inputs = metadata.inputs if metadata is not None else ()
    tensors = [source.graph.tensors[index] for index in source.graph.inputs]
    pixels = [pixels_of(t, inputs[i].normalization if i < len(inputs) else None) for i, t in enumerate(tensors)]
    return Statement(arithmetic_of(graph), model.member, metadata, labels_of(source, metadata), tuple(pixels))


def contradictions(statement: Statement) -> tuple[Warning, ...]:
    """Where what a model says of itself does not fit what it is."""
    found = [_count(labels) for labels in statement.labels]
    found += [_cut_off(one) for one in statement.pixels if one is not None]
    if statement.metadata is not None and statement.metadata.damage:
        found.append(Warning("metadata-damaged", f"What the model says of itself: {statement.metadata.damage}.", ()))
    return tuple(one for one in found if one is not None)


def _count(labels: Labels) -> Warning | None:
    return Warning("labels-count", labels.misfit, ()) if labels.misfit else None


def _cut_off(pixels: Pixels) -> Warning | None:
    if pixels.fits:
        return None
    text = (
        f"The normalization that the model states does not fit its input's quantization: {pixels.lost:.0%} of all "
        "pixel values would be cut off. One of the two is of another model, or was written for the float model."
    )
    return Warning("normalization", text, ())
