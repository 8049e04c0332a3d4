"""Samples from a Python function of the user's: MODULE:FUNCTION or FILE.py:FUNCTION."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coralforge.errors import CoralforgeError, user_error
from coralforge.quantize.worker import samples
from coralforge.quantize.worker.preprocess import RAW, Preprocess, unsaid
from coralforge.quantize.worker.samples import Feed, Input, Samples
from coralforge.quantize.worker.spool import MAX_KEPT, Spool


@dataclass(frozen=True)
class Function:
    """A function that gives samples one after the other; it may go on forever."""

    text: str
    folder: Path
    most: int
    kind: str = "function"

    def bind(self, inputs: Sequence[Input], preprocess: Preprocess | None) -> Samples:
        """See :class:`samples.SampleSource`. Calls the function once."""
        kept = _Kept(inputs)
        ended = True
        with _guarded(self.text):
            for index, value in enumerate(find_function(self.text, self.folder)()):
                if index == self.most:
                    ended = False
                    break
                kept.add(_feed(inputs, value, preprocess, f"sample {index} of {self.text}"))
                if kept.size > MAX_KEPT:
                    raise samples.too_large(f"{index + 1} samples of {self.text} take {kept.size / 2**30:.1f} GiB")
        if not kept.count:
            raise samples.missing(f"{self.text} gave no samples")
        order = samples.choose(kept.count, kept.count)
        return Samples(kept.count, kept.count if ended else None, lambda index: kept.load(order[index]))


class _Kept:
    """Samples that were checked, so that each has the shapes and types of the inputs."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        import numpy as np

        self.count = 0
        self._inputs = inputs
        self._spools = {o.name: Spool(math.prod(o.shape) * np.dtype(o.kind).itemsize) for o in inputs}

    @property
    def size(self) -> int:
        return self.count * sum(spool.size for spool in self._spools.values())

    def add(self, feed: Feed) -> None:
        for name, spool in self._spools.items():
            spool.add(feed[name].tobytes())
        self.count += 1

    def load(self, index: int) -> Feed:
        import numpy as np

        data = {one.name: self._spools[one.name].read(index) for one in self._inputs}
        return {o.name: np.frombuffer(data[o.name], dtype=o.kind).reshape(o.shape) for o in self._inputs}


def looks_like_function(text: str) -> bool:
    """Whether ``--samples`` names a function, and not a file or a folder."""
    place, colon, name = text.rpartition(":")
    return bool(colon and place and name.isidentifier())


def find_function(text: str, folder: Path) -> Any:
    """The function, its module imported from ``folder`` or from what is installed.

    Raises:
        CoralforgeError: reason ``samples-function``, exit code 2.
    """
    place, _, name = text.rpartition(":")
    with _guarded(text):
        module = _from_file(folder / place) if place.endswith(".py") else _imported(place, folder)
        function = getattr(module, name, None)
    if not callable(function):
        raise _wrong(text, f"{place} has no function {name}")
    return function


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise _wrong(str(path), "there is no such file")
    sys.path.append(str(path.parent))  # for what stands beside it
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _imported(name: str, folder: Path) -> Any:
    # Last, so that a file of the user's never stands in for a package that this program uses.
    sys.path.append(str(folder))
    return importlib.import_module(name)


@contextmanager
def _guarded(text: str) -> Iterator[None]:
    """Turns whatever the user's code raises into one error that names its line."""
    try:
        yield
    except (CoralforgeError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = (str(error).splitlines() or [""])[0][:300]
        raise _wrong(text, f"{last.filename}:{last.lineno}: {type(error).__name__}: {said}") from error


def _wrong(text: str, details: str) -> CoralforgeError:
    return user_error(
        f"the sample function {text} does not work",
        reason="samples-function",
        details=details,
        remedy="it is called without arguments and gives arrays; its packages have to be in the environment"
        " with TensorFlow (docs/quantize.md)",
    )


def _feed(inputs: Sequence[Input], value: Any, preprocess: Preprocess | None, label: str) -> Feed:
    import numpy as np

    if isinstance(value, Mapping):
        arrays = dict(value)
    elif isinstance(value, (list, tuple)) and (len(inputs) > 1 or all(isinstance(v, np.ndarray) for v in value)):
        arrays = samples.by_position(inputs, value, label)
    else:
        arrays = samples.by_position(inputs, [value], label)
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for one in inputs:
        kind = arrays[one.name].dtype.name if one.name in arrays else ""
        if preprocess is None and kind == "uint8" and one.kind == "float32" and len(one.shape) == 4:
            raise unsaid()
    return samples.checked(inputs, samples.scaled(inputs, arrays, preprocess or RAW, label), label)
