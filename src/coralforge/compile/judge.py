"""Whether a compiled file is what it should be. What the compiler says of it counts for nothing here."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.edgetpu.interface import Edge, edges
from coralforge.edgetpu.package import BadPackage, Package, read_package
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.errors import CoralforgeError, build_error
from coralforge.tflite.graph import Graph
from coralforge.tflite.model import MAX_BYTES, Model, parse_model


@dataclass(frozen=True)
class CompiledFile:
    """A file that the compiler wrote and that is in order. ``packages`` has one for each custom operator."""

    data: bytes
    model: Model
    packages: tuple[Package, ...]

    @property
    def runtime(self) -> int | None:
        """The runtime version that it needs; None if it runs on the CPU alone."""
        return max((package.min_runtime_version for package in self.packages), default=None)

    @property
    def left(self) -> int:
        """How many operations run on the CPU."""
        return len(self.model.graph.operations) - len(self.packages)


def take(path: Path, name: str) -> bytes:
    """The bytes of a file that the compiler should have written; ``name`` is the model, for the message.

    Raises:
        CoralforgeError: reason ``compiled-missing``, exit code 5: it is not there, or is no ordinary file.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES:
                with os.fdopen(number, "rb", closefd=False) as stream:
                    return stream.read(MAX_BYTES)
            what = "is too large" if stat.S_ISREG(status.st_mode) else "is not a file"
        finally:
            os.close(number)
    except FileNotFoundError:
        what = "is not there"
    except OSError as error:
        what = "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
    raise build_error(
        f"the Edge TPU compiler reports success for {name}, but its output {path.name} {what}",
        reason="compiled-missing",
        remedy="run it again; if that does not help, run the compiler by hand to see what it writes",
    )


def read_compiled(name: str, data: bytes) -> CompiledFile:
    """Read a compiled file and the packages in it.

    Raises:
        CoralforgeError: reason ``compiled-invalid``, exit code 5: no model, or no package (DWN1) in it.
    """
    try:
        model = parse_model(Path(name), data)
        operations = [one for one in model.graph.operations if one.custom_code == CUSTOM_CODE]
        packages = tuple(read_package(operation.payload) for operation in operations)
    except CoralforgeError as error:
        raise _invalid(name, error.brief.partition(": ")[2] or error.brief) from error
    except BadPackage as error:
        raise _invalid(name, f"its {CUSTOM_CODE} has no package for the Edge TPU: {error}") from error
    return CompiledFile(data, model, packages)


def require_same_interface(plain: Model, parts: Sequence[CompiledFile]) -> None:
    """Refuse a compiled model whose inputs or outputs are not the plain one's. Only names may differ.

    Segments of a pipeline are taken together: every input and output of the plain model has to be one of a segment,
    and what else a segment takes has to come out of an earlier one.

    Raises:
        CoralforgeError: reason ``compiled-interface``, exit code 5.
    """
    graph, graphs = plain.graph, [part.model.graph for part in parts]
    if len(graphs) == 1:
        problems = [
            *_differences("input", edges(graph, graph.inputs), edges(graphs[0], graphs[0].inputs)),
            *_differences("output", edges(graph, graph.outputs), edges(graphs[0], graphs[0].outputs)),
        ]
    else:
        problems = _broken_chain(graph, graphs)
    if problems:
        raise build_error(
            f"what the Edge TPU compiler made of {plain.path} has other inputs or outputs",
            reason="compiled-interface",
            details="\n".join(problems[:10]),
            remedy="see whether it is Google's compiler that ran; a converter that reorders them can be told not to",
        )


def _broken_chain(graph: Graph, graphs: Sequence[Graph]) -> list[str]:
    there: Counter[str] = Counter(_kinds(graph, graph.inputs))
    made: Counter[str] = Counter()
    problems, used = [], set()
    for number, segment in enumerate(graphs):
        for kind in _kinds(segment, segment.inputs):
            if kind not in there:
                problems.append(f"segment {number} takes {kind}, which nothing before it makes")
            used.add(kind)
        there.update(_kinds(segment, segment.outputs))
        made.update(_kinds(segment, segment.outputs))
    problems += [f"no segment takes the input {kind}" for kind in _kinds(graph, graph.inputs) if kind not in used]
    missing = Counter(_kinds(graph, graph.outputs)) - made
    return problems + [f"no segment makes the output {kind}" for kind in missing]


def _differences(what: str, plain: Sequence[Edge], compiled: Sequence[Edge]) -> list[str]:
    if len(plain) != len(compiled):
        return [f"{len(plain)} {what}s became {len(compiled)}"]
    pairs = zip(plain, compiled, strict=True)
    return [f"{what} {i}: {old} became {new}" for i, (old, new) in enumerate(pairs) if not old.fits(new)]


def _kinds(graph: Graph, indices: tuple[int, ...]) -> list[str]:
    return [edge.key for edge in edges(graph, indices)]


def _invalid(name: str, what: str) -> CoralforgeError:
    return build_error(
        f"the Edge TPU compiler made of {name} what is no compiled model",
        reason="compiled-invalid",
        details=what,
        remedy="see whether it is Google's compiler that ran; run it by hand to see what it writes",
    )
