"""Samples from .npy and .npz files, read row by row: neither a pickle nor a huge array gets anywhere."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from coralforge.errors import CoralforgeError, first_line
from coralforge.quantize.worker import samples
from coralforge.quantize.worker.preprocess import RAW, Preprocess, unsaid
from coralforge.quantize.worker.samples import Feed, Input, Samples
from coralforge.quantize.worker.spool import MAX_KEPT, Spool

MAX_ARRAY = 16 << 30  # bytes that one array may declare; it is read in a stream
MAX_ROW = 256 << 20  # bytes
LABELS = "labels"  # the array of an .npz that has the classes; it is for no input, unless one has that name
_MAX_MEMBERS = 1000
_CHUNK = 4 << 20


@dataclass(frozen=True)
class Column:
    """One array whose head was read: its name (empty in an .npy), the number of samples, their shape and type."""

    name: str
    member: str
    rows: int
    shape: tuple[int, ...]
    kind: Any

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample."""
        return math.prod(self.shape) * int(self.kind.itemsize)


@dataclass(frozen=True)
class Arrays:
    """Arrays whose first axis is the samples."""

    path: Path
    columns: tuple[Column, ...]
    most: int
    kind: str
    leave_out: frozenset[int] = frozenset()
    """Positions of those that are not to be chosen."""

    def bind(self, inputs: Sequence[Input], preprocess: Preprocess | None) -> Samples:
        """See :class:`samples.SampleSource`."""
        columns = _matched(self.path, inputs, self.columns)
        total = columns[inputs[0].name].rows
        _check_columns(self.path, inputs, columns, preprocess)
        chosen = samples.choose(total, self.most, self.leave_out)
        kept = len(chosen) * sum(column.row_bytes for column in columns.values())
        if kept > MAX_KEPT:
            raise samples.too_large(f"{len(chosen)} samples of {self.path} take {kept / 2**30:.1f} GiB")
        rows = {name: read_rows(self.path, column, chosen) for name, column in columns.items()}

        def load(index: int) -> Feed:
            label = f"{self.path}[{chosen[index]}]"
            arrays = {name: row(chosen[index]) for name, row in rows.items()}
            return samples.checked(inputs, samples.scaled(inputs, arrays, preprocess or RAW, label), label)

        return Samples(len(chosen), total, load, tuple(chosen))


def read_heads(path: Path, most: int) -> Arrays:
    """Look at the heads of all arrays in a file.

    Raises:
        CoralforgeError: reason ``samples-invalid``, ``samples-missing`` or ``samples-too-large``.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if name.endswith(".npy")]
                if len(members) > _MAX_MEMBERS:
                    raise samples.too_large(f"{path} has {len(members)} arrays")
                columns = tuple(_head(path, name) for name in members)
            kind = "npz"
        else:
            columns, kind = (_head(path, ""),), "npy"
    except CoralforgeError:
        raise
    except Exception as error:  # zipfile and numpy raise anything for damaged files, tokenize.TokenError too
        raise _damaged(path, error) from error
    if not columns:
        raise samples.missing(f"{path} has no arrays in it", remedy="write it with numpy.savez(FILE, NAME=array)")
    return Arrays(path, columns, most, kind)


def read_rows(path: Path, column: Column, wanted: Sequence[int]) -> Callable[[int], Any]:
    """The wanted rows of one array, by their number. They are kept in a file, of which one is read at a time.

    Raises:
        CoralforgeError: reason ``samples-invalid``; ``no-space``, exit code 3.
    """
    import numpy as np

    spool, places = Spool(column.row_bytes), dict[int, int]()
    try:
        with _opened(path, column.member) as stream:
            _read_head(stream)
            position = 0
            for row in sorted(set(wanted)):
                _skip(stream, (row - position) * column.row_bytes)
                places[row] = spool.count
                spool.add(_read_exactly(stream, column.row_bytes))
                position = row + 1
    except CoralforgeError:
        raise
    except Exception as error:  # zipfile and numpy raise anything for damaged files, tokenize.TokenError too
        raise _damaged(path, error) from error
    return lambda row: np.frombuffer(spool.read(places[row]), dtype=column.kind).reshape(column.shape)


def _head(path: Path, member: str) -> Column:
    name = member.removesuffix(".npy")
    where = f"{path}: the array {name}" if name else str(path)
    with _opened(path, member) as stream:
        shape, fortran, kind = _read_head(stream)
    if kind.hasobject or kind.kind not in "fiub" or kind.names is not None:
        raise samples.invalid(
            f"{where} holds {'Python objects (a pickle)' if kind.hasobject else kind.name}, and no numbers",
            remedy="save arrays of numbers, all samples of one shape",
        )
    if not shape or shape[0] < 1:
        raise samples.missing(f"{where} has no samples: its first axis, of shape {samples.shown(shape)}, is empty")
    if fortran and len(shape) > 1:
        raise samples.invalid(f"{where} is in Fortran order", remedy="save numpy.ascontiguousarray(array)")
    column = Column(name, member, shape[0], tuple(shape[1:]), kind)
    if column.row_bytes > MAX_ROW or column.rows * column.row_bytes > MAX_ARRAY:
        raise samples.too_large(f"{where} declares the shape {samples.shown(shape)} of {kind.name}")
    return column


def _read_head(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    reader: Callable[[IO[bytes]], Any] = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, kind = reader(stream)
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("its shape is damaged")
    return shape, fortran, kind


@contextmanager
def _opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    if not member:
        with path.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive, archive.open(member) as entry:
        yield entry


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        count -= len(_read_exactly(stream, min(count, _CHUNK)))


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError("it ends early")
    return data


def _matched(path: Path, inputs: Sequence[Input], columns: Sequence[Column]) -> Mapping[str, Column]:
    """Which array is for which input: by name, or by there being only one of each."""
    data = [column for column in columns if column.name != LABELS] or columns
    if len(inputs) == len(data) == 1:
        return {inputs[0].name: data[0]}
    by_name = {column.name: column for column in columns}
    if not {one.name for one in inputs} <= set(by_name):
        wanted, there = (", ".join(sorted(names)) for names in ([one.name for one in inputs], by_name))
        raise samples.mismatch(
            f"{path} has the arrays {there or '(one without a name)'}; the model's inputs: {wanted}",
            remedy="name the arrays as the inputs: numpy.savez(FILE, NAME=array, ...)",
        )
    return {one.name: by_name[one.name] for one in inputs}


def _check_columns(
    path: Path, inputs: Sequence[Input], columns: Mapping[str, Column], preprocess: Preprocess | None
) -> None:
    if len({column.rows for column in columns.values()}) > 1:
        counts = ", ".join(f"{column.name}: {column.rows}" for column in columns.values())
        raise samples.mismatch(f"the arrays in {path} have different numbers of samples ({counts})")
    for one in inputs:
        column = columns[one.name]
        if column.shape not in (one.shape, one.shape[1:]):
            raise samples.mismatch(
                f"samples in {path} are {samples.shown(column.shape)};"
                f" the input {one.name} of the model takes {samples.shown(one.shape[1:])}"
            )
        if preprocess is None and column.kind.name == "uint8" and one.kind == "float32" and len(one.shape) == 4:
            raise unsaid()


def _damaged(path: Path, error: BaseException) -> CoralforgeError:
    return samples.invalid(f"{path} is not an .npz or .npy file that can be read", details=first_line(error))
