"""Finds out which operations of a plain model its compiled form left on the CPU, and that the two belong together."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest

from coralforge.edgetpu.interface import Edge, edges
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.errors import CoralforgeError, user_error
from coralforge.inspect.inspection import Form
from coralforge.inspect.programs import compiled_operations, form_of
from coralforge.tflite.graph import Graph, Operation
from coralforge.tflite.model import Model

Key = tuple[str, str, tuple[str, ...], tuple[str, ...]]
_SHOWN = 10


def moved_to_tpu(compiled: Model, plain: Model, exact: bool = True) -> frozenset[int]:
    """The operations of the plain model that the compiled one no longer has: they are in an `edgetpu-custom-op`.

    Operations are recognized by their operator and by the names of the tensors that they read and make, which
    compilers keep. Without ``exact`` the two may be from different times of training: then it is enough that the same
    operations make tensors of the same names.

    Raises:
        CoralforgeError: reason ``model-pair`` when the plain model is none, or another one; exit code 2.
    """
    if form_of(plain) is not Form.PLAIN:
        raise not_a_pair(compiled, plain, f"{plain.path} is compiled itself: it has the operator {CUSTOM_CODE}")
    if exact and (different := edges_that_differ(compiled, plain)):
        raise not_a_pair(compiled, plain, "\n".join(different))
    left = [one for one in compiled.graph.operations if one.custom_code != CUSTOM_CODE]
    wanted = Counter(_key(compiled.graph, operation, exact) for operation in left)
    there = Counter(_key(plain.graph, operation, exact) for operation in plain.graph.operations)
    strange = [one for one in left if (key := _key(compiled.graph, one, exact)) and wanted[key] > there[key]]
    if strange:
        lines = [f"{one.index} {one.custom_code or one.name} is in the compiled model only" for one in strange]
        raise not_a_pair(compiled, plain, "\n".join(lines[:_SHOWN]))
    keys = {one.index: _key(plain.graph, one, exact) for one in plain.graph.operations}
    if doubtful := [key for key, count in wanted.items() if there[key] != count]:
        raise not_a_pair(
            compiled, plain, f"its tensors have no names of their own: several {doubtful[0][0]} look alike"
        )
    moved = frozenset(index for index, key in keys.items() if key not in wanted)
    _require_head_and_tail(compiled, plain, moved)
    return moved


def _require_head_and_tail(compiled: Model, plain: Model, moved: frozenset[int]) -> None:
    """One `edgetpu-custom-op` is one step: nothing in it can wait for the CPU after it has begun."""
    if not moved:
        raise not_a_pair(compiled, plain, "every operation of the plain model is still in the compiled one")
    if len(compiled_operations(compiled.graph)) > 1:
        return
    after = after_tpu(plain.graph, moved)
    producers = plain.graph.producers()
    for operation in plain.graph.operations:
        if operation.index in moved and any(producers.get(index) in after for index in operation.inputs):
            line = f"{operation.index} {operation.name} would have to run on the Edge TPU after the CPU has gone on"
            raise not_a_pair(compiled, plain, line)


def after_tpu(graph: Graph, inside: frozenset[int]) -> set[int]:
    """The operations on the CPU that wait for the Edge TPU."""
    producers = graph.producers()
    after: set[int] = set()
    for operation in graph.operations:
        before = {producers[index] for index in operation.inputs if index in producers}
        if operation.index not in inside and (before & inside or before & after):
            after.add(operation.index)
    return after


def edges_that_differ(compiled: Model, plain: Model) -> list[str]:
    """How inputs and outputs of the two differ, one line each."""
    graphs = compiled.graph, plain.graph
    lines = []
    for what, (ours, theirs) in (
        ("input", tuple(_named(graph, graph.inputs) for graph in graphs)),
        ("output", tuple(_named(graph, graph.outputs) for graph in graphs)),
    ):
        for number, (one, other) in enumerate(zip_longest(ours, theirs)):
            if one is None or other is None or one[0] != other[0] or not one[1].fits(other[1]):
                lines.append(f"{what} {number}: {_said(one)} in the compiled model, {_said(other)} in the plain one")
    return lines[:_SHOWN]


def _named(graph: Graph, indices: tuple[int, ...]) -> list[tuple[str, Edge]]:
    return [(graph.tensors[index].name, edge) for index, edge in zip(indices, edges(graph, indices), strict=True)]


def _said(edge: tuple[str, Edge] | None) -> str:
    return f"{edge[0]} {edge[1]}" if edge is not None else "not there"


def _key(graph: Graph, operation: Operation, exact: bool) -> Key:
    computed = [i for i in operation.inputs if exact and i != -1 and not graph.tensors[i].constant]
    return (
        operation.name,
        operation.custom_code,
        tuple(graph.tensors[index].name for index in computed),
        tuple(graph.tensors[index].name for index in operation.outputs),
    )


def not_a_pair(compiled: Model, plain: Model, details: str) -> CoralforgeError:
    """The error for two models that do not belong together."""
    return user_error(
        f"{plain.path} is not the model that {compiled.path} was compiled from",
        reason="model-pair",
        details=details,
        remedy="give the .tflite file that the compiler got as --plain",
    )
