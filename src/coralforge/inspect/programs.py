"""The programs that a compiled model carries for the Edge TPU, or for the simulated one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from coralforge.edgetpu.package import BadPackage, read_package
from coralforge.edgetpu.payload import CUSTOM_CODE, BadPayload, is_simulated, read_payload
from coralforge.errors import CoralforgeError, user_error
from coralforge.inspect.inspection import Form, Program
from coralforge.tflite.graph import Graph, Operation, Tensor
from coralforge.tflite.model import Model, parse_model


@dataclass(frozen=True)
class Unwrapped:
    """A graph without any `edgetpu-custom-op`; ``inside`` are the operations that were in one."""

    graph: Graph
    inside: frozenset[int]


def form_of(model: Model) -> Form:
    """The kind of file.

    Raises:
        CoralforgeError: reason ``model-package``, when it is compiled for hardware and for the simulator.
    """
    simulated = {is_simulated(operation.payload) for operation in compiled_operations(model.graph)}
    if len(simulated) > 1:
        raise _bad(model, "it has one for hardware and one for the simulator")
    return Form.PLAIN if not simulated else Form.SIMULATED if simulated.pop() else Form.COMPILED


def compiled_operations(graph: Graph) -> list[Operation]:
    """The operators that stand for what was compiled."""
    return [operation for operation in graph.operations if operation.custom_code == CUSTOM_CODE]


def read_programs(model: Model) -> tuple[Program, ...]:
    """The program of each `edgetpu-custom-op`.

    Raises:
        CoralforgeError: reason ``model-package``, exit code 2.
    """
    try:
        return tuple(_program(operation) for operation in compiled_operations(model.graph))
    except (BadPackage, BadPayload) as error:
        raise _bad(model, str(error)) from error


def unwrap(model: Model) -> Unwrapped:
    """The graph of a model for the simulator, with what is in its payloads in place.

    Raises:
        CoralforgeError: reason ``model-package``, exit code 2.
    """
    inner = {one.index: _inner(model, one) for one in compiled_operations(model.graph)}
    tensors, operations, inside = list(model.graph.tensors), list[Operation](), set[int]()
    for operation in model.graph.operations:
        graph = inner.get(operation.index)
        if graph is None:
            operations.append(replace(operation, index=len(operations)))
            continue
        numbers = _numbers(model, operation, graph, len(tensors))
        added = [tensor for tensor in graph.tensors if numbers[tensor.index] >= len(tensors)]
        tensors += [_renumbered(tensor, len(tensors) + place) for place, tensor in enumerate(added)]
        for one in graph.operations:
            inside.add(len(operations))
            operations.append(_moved(one, len(operations), numbers))
    graph = Graph(tuple(tensors), tuple(operations), model.graph.inputs, model.graph.outputs)
    return Unwrapped(graph, frozenset(inside))


def _program(operation: Operation) -> Program:
    if is_simulated(operation.payload):
        return Program(operation.index, len(operation.payload), None, read_payload(operation.payload).note)
    return Program(operation.index, len(operation.payload), read_package(operation.payload))


def _inner(model: Model, operation: Operation) -> Graph:
    try:
        found = parse_model(model.path, read_payload(operation.payload).model)
    except CoralforgeError as error:
        raise _bad(model, f"in its payload, {error.brief}") from error
    except BadPayload as error:
        raise _bad(model, str(error)) from error
    graph = found.graph
    if found.subgraphs != 1 or compiled_operations(graph):
        raise _bad(model, "its payload is not an ordinary model")
    if len(graph.inputs) != len(operation.inputs) or len(graph.outputs) != len(operation.outputs):
        raise _bad(model, "its payload has other inputs or outputs than it")
    edge = [*graph.inputs, *graph.outputs]
    if len(set(edge)) < len(edge) or any(graph.tensors[index].constant for index in edge):
        raise _bad(model, "its payload has inputs or outputs that are constants, or the same")
    return graph


def _numbers(model: Model, operation: Operation, graph: Graph, start: int) -> Mapping[int, int]:
    """The payload's tensors in the numbers of the outer graph: those at the edge are there already."""
    if -1 in operation.inputs:
        raise _bad(model, "it has an input that is left out")
    numbers = dict(zip(graph.inputs, operation.inputs, strict=True))
    numbers |= dict(zip(graph.outputs, operation.outputs, strict=True))
    others = [tensor.index for tensor in graph.tensors if tensor.index not in numbers]
    return {-1: -1, **numbers, **{index: start + place for place, index in enumerate(others)}}


def _renumbered(tensor: Tensor, index: int) -> Tensor:
    return replace(tensor, index=index)


def _moved(operation: Operation, index: int, numbers: Mapping[int, int]) -> Operation:
    return replace(
        operation,
        index=index,
        inputs=tuple(numbers[one] for one in operation.inputs),
        outputs=tuple(numbers[one] for one in operation.outputs),
    )


def _bad(model: Model, what: str) -> CoralforgeError:
    return user_error(
        f"{model.path}: the operator {CUSTOM_CODE} is damaged: {what}",
        reason="model-package",
        remedy="compile the model again",
    )
