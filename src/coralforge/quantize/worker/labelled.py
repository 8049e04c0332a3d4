"""Samples of which the class is known, to say how often a model is right."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge.errors import CoralforgeError, user_error
from coralforge.quantize.worker import samples
from coralforge.quantize.worker.arrays import LABELS, Arrays, Column, read_heads, read_rows
from coralforge.quantize.worker.pictures import Pictures, find_pictures
from coralforge.quantize.worker.preprocess import Preprocess
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.samples import Input, Samples

MAX_CLASSES = 100_000
_MAX_BYTES = 16 << 20  # of a file of labels
_NUMBERED = re.compile(r"\s*([0-9]{1,9})(?:\s*:\s*|\s+)(\S.*)")


@dataclass(frozen=True)
class Classes:
    """Names of classes by their number; empty where only numbers are known."""

    names: tuple[str, ...] = ()
    origin: str = ""
    """Where they were read from, for messages."""

    def name(self, number: int) -> str:
        """Of one class."""
        return self.names[number] if number < len(self.names) and self.names[number] else f"class {number}"

    def require(self, count: int) -> None:
        """Refuse names that are not those of a model with ``count`` scores (reason ``labels-mismatch``)."""
        if self.names and len(self.names) != count:
            raise _mismatch(
                f"{self.origin} has {len(self.names)} classes, and the model gives {count} scores",
                "give --labels FILE with one class a line, in the order of the model's scores",
            )


@dataclass(frozen=True)
class Labelled:
    """Samples and their classes, looked at as far as that goes without the model."""

    source: Pictures | Arrays
    classes: Classes
    labels: Callable[[Sequence[int]], list[int]]
    """Of samples by their positions in the source."""
    path: Path
    most: int

    def bind(self, inputs: Sequence[Input], preprocess: Preprocess | None, leave_out: frozenset[int]) -> Samples:
        """Choose samples that fit the inputs, none of those at the positions ``leave_out``.

        Raises:
            CoralforgeError: as :meth:`samples.SampleSource.bind`; ``labels-mismatch`` where none is left.
        """
        total = len(self.source.files) if isinstance(self.source, Pictures) else self.source.columns[0].rows
        if total <= len(leave_out):
            raise _mismatch(
                f"all {total} samples of {self.path} were used to calibrate: none is left to evaluate with",
                "give more, or other samples with --evaluate",
            )
        return replace(self.source, most=self.most, leave_out=leave_out).bind(inputs, preprocess)


def open_labelled(request: Request) -> Labelled | None:
    """The samples that ``--evaluate`` and ``--labels`` name; None where nothing is to be evaluated.

    Raises:
        CoralforgeError: exit code 2, reason ``labels-invalid``, ``labels-mismatch`` or one that starts with
            ``samples-``.
    """
    if not request.evaluate:
        return None
    folder = Path(request.folder)
    path = folder / request.evaluate
    classes = read_classes(folder / request.labels) if request.labels else Classes()
    if path.is_dir():
        return _pictures(path, classes, request.max_evaluate)
    require_labelled(request.evaluate, folder)
    return _arrays(path, classes, request.max_evaluate)


def require_labelled(text: str, folder: Path) -> None:
    """Refuse what is neither a folder nor a file.

    Raises:
        CoralforgeError: exit code 2, reason ``samples-missing``.
    """
    path = folder / text
    if not (path.is_dir() or path.is_file()):
        raise samples.missing(
            f"the samples {text} of --evaluate {samples.absence(path)}",
            remedy=f"give a folder with one folder of images for each class, or an .npz with an array '{LABELS}'",
        )


def read_classes(path: Path) -> Classes:
    """The classes in a file: one a line in their order, or all lines as ``NUMBER NAME``.

    Raises:
        CoralforgeError: reason ``labels-invalid``.
    """
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise _invalid(path, "it is a device, a pipe or a socket")
        if status.st_size > _MAX_BYTES:
            raise _invalid(path, f"it is larger than {_MAX_BYTES >> 20} MiB")
        lines = path.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    except OSError as error:
        raise _invalid(path, error.strerror or "it cannot be read") from error
    if not lines or len(lines) > MAX_CLASSES:
        raise _invalid(path, f"it has {len(lines)} lines")
    numbered = [found for line in lines if line.strip() and (found := _NUMBERED.fullmatch(line))]
    if len(numbered) < sum(bool(line.strip()) for line in lines):
        return Classes(tuple(line.strip() for line in lines), str(path))
    by_number = {int(found[1]): found[2].strip() for found in numbered}
    if max(by_number) >= MAX_CLASSES:
        raise _invalid(path, f"it has a class {max(by_number)}")
    return Classes(tuple(by_number.get(number, "") for number in range(max(by_number) + 1)), str(path))


def _pictures(folder: Path, classes: Classes, most: int) -> Labelled:
    source = find_pictures(folder, most)
    places = [path.relative_to(folder).parts for path in source.files]
    if stray := next((parts for parts in places if len(parts) < 2), None):
        raise _mismatch(
            f"{folder / stray[0]} is in no folder of a class",
            "put the images of each class into a folder of its name",
        )
    found = sorted({parts[0] for parts in places})
    numbers, known = _numbers(folder, found, classes)
    return Labelled(
        source, known, lambda positions: [numbers[places[position][0]] for position in positions], folder, most
    )


def _numbers(folder: Path, found: Sequence[str], classes: Classes) -> tuple[dict[str, int], Classes]:
    """The class of each folder: by its name among the classes, by its number, or else by its place."""
    by_name = {name: number for number, name in reversed(list(enumerate(classes.names))) if name}
    if classes.names and all(name in by_name for name in found):
        return {name: by_name[name] for name in found}, classes
    if all(name.isdecimal() and len(name) < 10 for name in found):
        return {name: int(name) for name in found}, classes
    if classes.names:
        unknown = [name for name in found if name not in by_name]
        raise _mismatch(
            f"{classes.origin} has no class {', '.join(map(repr, unknown[:5]))}, which {folder} has a folder of",
            "name the folders as the classes, or by their numbers",
        )
    return {name: number for number, name in enumerate(found)}, Classes(tuple(found), str(folder))


def _arrays(path: Path, classes: Classes, most: int) -> Labelled:
    source = read_heads(path, most)
    column = next((one for one in source.columns if one.name == LABELS), None)
    others = tuple(one for one in source.columns if one is not column)
    if column is None or not others or column.kind.kind not in "iu" or column.shape not in ((), (1,)):
        raise samples.mismatch(
            f"{path} has no labels: an array '{LABELS}' of whole numbers, one for each sample",
            remedy=f"write it with numpy.savez(FILE, image=..., {LABELS}=...)",
        )
    if any(one.rows != column.rows for one in others):
        raise samples.mismatch(f"{path} has {column.rows} labels, and {others[0].rows} samples")
    return Labelled(
        replace(source, columns=others), classes, lambda positions: _read_labels(path, column, positions), path, most
    )


def _read_labels(path: Path, column: Column, positions: Sequence[int]) -> list[int]:
    rows = read_rows(path, column, positions)
    return [int(rows(position).ravel()[0]) for position in positions]


def _invalid(path: Path, why: str) -> CoralforgeError:
    return user_error(
        f"{path} is no file of labels: {why}", reason="labels-invalid", remedy="give one with one class a line"
    )


def _mismatch(brief: str, remedy: str) -> CoralforgeError:
    return user_error(brief, reason="labels-mismatch", remedy=remedy)
