"""The statements of a model on itself: TensorFlow Lite's metadata, and the files that its tools append to the model.

They come from TensorFlow Lite Model Maker, MediaPipe Model Maker, the Metadata Writer and Coral. Ultralytics appends
one file of its own. All of it may be damaged or made to mislead: it is shown and compared, never trusted.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from coralforge.tflite.flatbuffer import Malformed, walk
from coralforge.tflite.flatview import Table, root
from coralforge.tflite.metadata_form import BUFFER, METADATA
from coralforge.tflite.model import Model
from coralforge.tflite.ultralytics import FILES, LARGEST, Ultralytics, parse
from coralforge.tflite.zips import BadZip, member, opened

MAX_LABELS = 4 << 20  # bytes of a file of labels; the programs on the board take no more
_CHANNELS = 16  # values of a mean or a deviation
_TEXT = 500  # characters of a text that is kept
_FILES = 100  # names of appended files that are kept
_TENSORS = 64  # inputs, and outputs, that are looked at
_NORMALIZATION, _CALIBRATION = 1, 2  # options of a process unit


class FileType(Enum):
    """The use of an appended file."""

    OTHER = 0
    DESCRIPTION = 1
    AXIS_LABELS = 2
    """One label for each value of an axis: scores of a classification."""
    VALUE_LABELS = 3
    """Labels that the tensor's values are numbers of: classes of found objects."""
    CALIBRATION = 4
    """How scores become comparable."""
    VOCABULARY = 5


LABELS = (FileType.AXIS_LABELS, FileType.VALUE_LABELS)
_CONTENTS = {2: "picture", 3: "boxes", 4: "sound"}
_COLOURS = {1: "RGB", 2: "gray"}


@dataclass(frozen=True)
class AppendedFile:
    """A file that the metadata names. ``locale`` is empty for labels of no particular language."""

    name: str
    type: FileType
    locale: str


@dataclass(frozen=True)
class Normalization:
    """Real value = (pixel - mean) / std; one value for all channels, or one for each."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Described:
    """The metadata of one input or output. ``content``: ``picture RGB``, ``boxes``, ``sound``, or empty."""

    name: str
    description: str
    content: str
    normalization: Normalization | None
    calibrated: bool
    """Whether scores are to be calibrated by a file of the archive."""
    files: tuple[AppendedFile, ...]


@dataclass(frozen=True)
class Metadata:
    """All that a model says of itself. Texts are one line each, and empty where nothing is said."""

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    licence: str = ""
    inputs: tuple[Described, ...] = ()
    outputs: tuple[Described, ...] = ()
    files: tuple[AppendedFile, ...] = ()
    """Those of the model as a whole."""
    appended: tuple[str, ...] = ()
    """Names of the files in the archive behind the model."""
    damage: str = ""
    """The end of a sentence, where something could not be read."""
    yolo: Ultralytics | None = None
    """The statements of Ultralytics on a model of theirs."""


def read_metadata(model: Model) -> Metadata | None:
    """The metadata of a model; None where it has none at all."""
    raw = metadata_buffer(model)
    if not raw and not model.archive:
        return None
    try:
        found = _parse(raw) if raw else Metadata()
    except (Malformed, struct.error) as error:
        found = Metadata(damage=f"its metadata is damaged ({error})")
    try:
        return _with_archive(found, model) if model.archive else found
    except BadZip as error:
        return replace(found, damage=str(error))


def metadata_buffer(model: Model) -> bytes:
    """The bytes of the metadata's flatbuffer; empty if there are none."""
    for entry in model.native.metadata or []:
        if (entry.name or b"") == BUFFER.encode():
            data = model.native.buffers[entry.buffer].data
            return b"" if data is None else bytes(data)
    return b""


def appended_file(model: Model, name: str, limit: int) -> bytes:
    """A file of the archive behind the model.

    Raises:
        BadZip: damaged, larger than ``limit`` bytes, or not there.
    """
    with opened(io.BytesIO(model.archive)) as archive:
        return member(archive, name, limit)


def _with_archive(found: Metadata, model: Model) -> Metadata:
    with opened(io.BytesIO(model.archive)) as archive:
        names = [one.filename for one in archive.infolist()]
        own = next((name for name in names if name in FILES), None)
        yolo = parse(member(archive, own, LARGEST)) if own is not None else None
    shown = tuple(one_line(name) for name in names[:_FILES])
    return replace(found, appended=shown, yolo=yolo)


def _parse(raw: bytes) -> Metadata:
    walk(raw, METADATA)
    top = root(memoryview(raw))
    graphs = top.tables(3)[:1]
    graph = graphs[0] if graphs else None
    return Metadata(
        name=_text(top, 0),
        description=_text(top, 1),
        version=_text(top, 2),
        author=_text(top, 4),
        licence=_text(top, 5),
        inputs=_described(graph.tables(2)) if graph else (),
        outputs=_described(graph.tables(3)) if graph else (),
        files=(*_files(top, 6), *(_files(graph, 4) if graph else ())),
    )


def _described(tables: Sequence[Table]) -> tuple[Described, ...]:
    return tuple(
        Described(
            _text(one, 0),
            _text(one, 1),
            _content(one.table(3)),
            _normalization(one.tables(4)[:_TENSORS]),
            any(unit.signed(0, 1) == _CALIBRATION for unit in one.tables(4)[:_TENSORS]),
            _files(one, 6),
        )
        for one in tables[:_TENSORS]
    )


def _content(content: Table | None) -> str:
    kind = _CONTENTS.get(content.signed(0, 1), "") if content is not None else ""
    properties = content.table(1) if content is not None and kind == "picture" else None
    colour = _COLOURS.get(properties.signed(0, 1), "") if properties is not None else ""
    return f"{kind} {colour}".strip()


def _normalization(units: Sequence[Table]) -> Normalization | None:
    options = [unit.table(1) for unit in units if unit.signed(0, 1) == _NORMALIZATION]
    if not options or options[0] is None:
        return None
    mean, std = options[0].floats(0, _CHANNELS), options[0].floats(1, _CHANNELS)
    sane = all(map(math.isfinite, (*mean, *std))) and all(value > 0 for value in std)
    return Normalization(mean, std) if mean and std and sane else None


def _files(table: Table, field: int) -> tuple[AppendedFile, ...]:
    known = {kind.value: kind for kind in FileType}
    return tuple(
        AppendedFile(_name(one), known.get(one.signed(2, 1), FileType.OTHER), _text(one, 3))
        for one in table.tables(field)[:_FILES]
    )


def _name(file: Table) -> str:
    """As it is: it is looked for among the names of the archive."""
    return bytes(file.vector(0)[: 4 * _TEXT]).decode("utf-8", "replace")


def _text(table: Table, field: int) -> str:
    return one_line(bytes(table.vector(field)[: 4 * _TEXT]).decode("utf-8", "replace"))


def one_line(text: str) -> str:
    """A text of the file on one line, cut, and with nothing in it that acts on a terminal."""
    joined = " ".join(text.split())
    cut = joined if len(joined) <= _TEXT else joined[: _TEXT - 1] + "\u2026"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in cut)
