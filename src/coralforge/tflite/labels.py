"""The labels that come with a model: appended to it by TensorFlow's tools or Ultralytics, or beside it in a zip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from coralforge.tflite.graph import CUSTOM, Graph
from coralforge.tflite.metadata import (
    LABELS,
    MAX_LABELS,
    AppendedFile,
    FileType,
    Metadata,
    appended_file,
    one_line,
)
from coralforge.tflite.model import Model
from coralforge.tflite.zips import BadZip

_NUMBERED = re.compile(r"([0-9]{1,6})[ \t:]+(.*)")
_MOST = 100_000  # labels


@dataclass(frozen=True)
class Labels:
    """Names of classes, by number. ``source`` is the file that they come from."""

    source: str
    names: tuple[str, ...] = field(repr=False)
    output: int | None
    """The output, by position, that they are for; None where nothing says so."""
    wanted: int | None
    """How many values that output has to name; None where that cannot be told."""

    @property
    def text(self) -> str:
        """As the programs on a board read them: one a line."""
        return "".join(f"{name}\n" for name in self.names)

    @property
    def misfit(self) -> str:
        """A sentence, where they are not as many as the output has values; empty otherwise."""
        count, wanted = len(self.names), self.wanted
        if wanted is None or wanted == count:
            return ""
        if wanted == count + 1:
            hint = "Perhaps a class for the background comes first, and each name is one off."
        elif wanted < count:
            hint = "They may be those of another model."
        else:
            hint = "Classes without a name are shown by number."
        return f"There are {count} labels ({self.source}) for an output of {wanted} values. {hint}"


def labels_of(model: Model, metadata: Metadata | None) -> tuple[Labels, ...]:
    """All that can be read, those that the metadata ties to an output first; mostly one or none."""
    found = [*_named(model, metadata), *_beside(model)] if metadata is not None else [*_beside(model)]
    return tuple(found)


def given_labels(name: str, data: bytes, graph: Graph) -> Labels:
    """Labels of a file that the user gives for a model."""
    return Labels(name, split(data), None, _only(graph))


def split(data: bytes) -> tuple[str, ...]:
    """Labels of a file: one a line; where every line begins with a number, by that. ``bin/model`` reads them so."""
    lines = data.decode("utf-8", "replace").lstrip("\ufeff").replace("\r", "").split("\n")
    lines = lines[:-1] if lines and not lines[-1] else lines
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    if not lines or not all(matches):
        return tuple(one_line(line) for line in lines[:_MOST])
    numbered = {int(match[1]): one_line(match[2]) for match in matches if match is not None}
    return tuple(numbered.get(number, "") for number in range(min(max(numbered) + 1, _MOST)))


def _named(model: Model, metadata: Metadata) -> Iterator[Labels]:
    if metadata.yolo is not None and metadata.yolo.names:
        classify = metadata.yolo.task == "classify"
        names = metadata.yolo.names
        yield Labels("Ultralytics' file in the model", names, None, _axis(model.graph, 0) if classify else None)
        return
    for position, output in enumerate(metadata.outputs):
        if (file := _first(output.files)) is not None:
            counted = file.type is FileType.AXIS_LABELS
            yield from _read(model, file.name, position, _axis(model.graph, position) if counted else None)
            return
    if (file := _first(metadata.files)) is not None:
        yield from _read(model, file.name, None, None)
        return
    for name in metadata.appended:
        if "label" in name.lower() and name.lower().endswith(".txt"):
            yield from _read(model, name, None, _only(model.graph))
            return


def _first(files: Sequence[AppendedFile]) -> AppendedFile | None:
    """The labels among some files; those of no particular language before all others."""
    labels = [file for file in files if file.type in LABELS]
    return next((file for file in labels if not file.locale), labels[0] if labels else None)


def _read(model: Model, name: str, output: int | None, wanted: int | None) -> Iterator[Labels]:
    try:
        names = split(appended_file(model, name, MAX_LABELS))
    except BadZip:
        return  # metadata names files that are not there; read_metadata says what is damaged
    if names:
        yield Labels(one_line(name), names, output, wanted)


def _beside(model: Model) -> Iterator[Labels]:
    if names := split(model.labels) if model.labels else ():
        yield Labels("the labels beside the model in the archive", names, None, _only(model.graph))


def _only(graph: Graph) -> int | None:
    return _axis(graph, 0) if len(graph.outputs) == 1 and len(graph.tensors[graph.outputs[0]].shape) == 2 else None


def _axis(graph: Graph, position: int) -> int | None:
    """The innermost size of an output, which labels name; None where the runtime sets it."""
    if position >= len(graph.outputs):
        return None
    index = graph.outputs[position]
    made_by = [operation for operation in graph.operations if index in operation.outputs]
    shape = graph.tensors[index].shape
    unknown = any(operation.name == CUSTOM and operation.custom_code != "edgetpu-custom-op" for operation in made_by)
    return shape[-1] if shape and shape[-1] > 1 and not unknown else None
