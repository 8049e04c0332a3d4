"""Statements of a model on itself, in words: facts that the text and the page share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coralforge.inspect.statement import Statement
from coralforge.tflite.labels import Labels
from coralforge.tflite.metadata import LABELS, Metadata

_NAMES = 3  # labels that are shown
_LONGEST = 200  # characters of a text

Facts = Sequence[tuple[str, str]]


def stated(statement: Statement, plain: bool) -> Facts:
    """Names and values. ``plain``: the model is not compiled, so that it is known in which numbers it computes."""
    rows: list[tuple[str, str]] = []
    if plain:
        rows.append(("Computes", statement.arithmetic.words))
    if statement.member:
        rows.append(("In the archive", statement.member))
    if statement.metadata is not None:
        rows += _of_metadata(statement.metadata)
    rows += [("Pixels", f"to be given {one.text}") for one in dict.fromkeys(statement.pixels) if one is not None]
    return [*rows, *(("Labels", _labels(one)) for one in statement.labels)]


def _of_metadata(metadata: Metadata) -> Iterator[tuple[str, str]]:
    yolo = metadata.yolo
    name = " ".join(filter(None, (metadata.name, metadata.version))) or (yolo.description if yolo else "")
    if name or metadata.description:
        yield "Says it is", _cut(": ".join(filter(None, (name, metadata.description))))
    origin = ", ".join(filter(None, (metadata.author, metadata.licence)))
    if origin:
        yield "By", _cut(origin)
    for one in metadata.inputs:
        if one.normalization is not None:
            mean, std = _values(one.normalization.mean), _values(one.normalization.std)
            yield "Normalization", f"{one.content or one.name or 'input'}, mean {mean}, deviation {std}"
    for one in metadata.outputs:
        if one.calibrated:
            yield "Scores", f"of {one.name or 'an output'} are to be calibrated by a file in the model"
    known = {file.name for one in (*metadata.inputs, *metadata.outputs) for file in one.files if file.type in LABELS}
    if others := [name for name in metadata.appended if name not in known]:
        yield "Files in it", _cut(", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else ""))


def _values(values: Sequence[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _labels(labels: Labels) -> str:
    names = [name for name in labels.names[:_NAMES] if name]
    more = ", ..." if len(labels.names) > _NAMES else ""
    return _cut(f"{len(labels.names)} ({labels.source}): {', '.join(names)}{more}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
