"""Cuts models: keeps some operators of a ``ModelT`` and what they need, with all indices renumbered."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from coralforge.tflite import schema

_EMPTY = -1  # stands for all buffers without data


@dataclass(frozen=True)
class Cut:
    """The parts of a new model. Operators and tensors are those of ``model``'s first subgraph, not copies.

    ``codes`` holds the operator codes that the operators' ``opcodeIndex`` refers to.
    """

    model: Any
    operators: Sequence[Any]
    codes: Sequence[Any]
    inputs: Sequence[int]
    outputs: Sequence[int]
    whole: bool
    """Keep what belongs to the model as such: metadata, signatures."""


def cut(wanted: Cut) -> Any:
    """A new ``ModelT`` that holds only what ``wanted`` needs. ``wanted.model`` stays as it is."""
    graph = wanted.model.subgraphs[0]
    tensors = _Numbering(_tensors(wanted))
    # TensorFlow Lite takes buffer 0 for "no data"; all that are empty become this one.
    old = wanted.model.buffers
    used = [graph.tensors[index].buffer for index in tensors.kept] + _metadata_buffers(wanted)
    buffers = _Numbering([_EMPTY, *(index for index in used if _size(old[index]))])
    codes = _Numbering(operator.opcodeIndex for operator in wanted.operators)
    made = copy.copy(wanted.model)
    made.buffers = [schema.new("Buffer") if i == _EMPTY else old[i] for i in buffers.kept]
    made.operatorCodes = [wanted.codes[index] for index in codes.kept]
    made.subgraphs = [_subgraph(wanted, tensors, buffers, codes)]
    made.metadata = [_moved(entry, "buffer", buffers) for entry in wanted.model.metadata or []] or None
    made.metadataBuffer = None  # a list of buffers that nothing reads, from before metadata had names
    made.signatureDefs = [_signature(one, tensors) for one in wanted.model.signatureDefs or []] or None
    if not wanted.whole:
        made.metadata = made.signatureDefs = None
    return made


class _Numbering:
    """Old numbers in the order in which they are first asked for; the position is the new number."""

    def __init__(self, old: Iterable[int]) -> None:
        self.kept = list(dict.fromkeys(old))
        self.new = {number: position for position, number in enumerate(self.kept)}


def _tensors(wanted: Cut) -> list[int]:
    """Every tensor that is needed, in the order of the old model, so that the new one reads like it."""
    used = {*map(int, wanted.inputs), *map(int, wanted.outputs)}
    for operator in wanted.operators:
        for vector in (operator.inputs, operator.outputs, operator.intermediates):
            used.update(int(index) for index in _list(vector))
    if wanted.whole:
        used.update(t.tensorIndex for one in wanted.model.signatureDefs or [] for t in _entries(one))
    return sorted(used - {-1})


def _subgraph(wanted: Cut, tensors: _Numbering, buffers: _Numbering, codes: _Numbering) -> Any:
    graph = copy.copy(wanted.model.subgraphs[0])
    old = graph.tensors
    graph.tensors = [_moved(old[index], "buffer", buffers) for index in tensors.kept]
    graph.inputs = [tensors.new[int(index)] for index in wanted.inputs]
    graph.outputs = [tensors.new[int(index)] for index in wanted.outputs]
    graph.operators = [_operator(operator, tensors, codes) for operator in wanted.operators]
    return graph


def _operator(old: Any, tensors: _Numbering, codes: _Numbering) -> Any:
    operator = copy.copy(old)
    operator.opcodeIndex = codes.new[old.opcodeIndex]
    for name in ("inputs", "outputs", "intermediates"):
        vector = getattr(old, name)
        if vector is not None:
            setattr(operator, name, [-1 if index == -1 else tensors.new[int(index)] for index in vector])
    return operator


def _signature(old: Any, tensors: _Numbering) -> Any:
    signature = copy.copy(old)
    for name in ("inputs", "outputs"):
        entries = getattr(old, name)
        if entries is not None:
            setattr(signature, name, [_moved(entry, "tensorIndex", tensors) for entry in entries])
    return signature


def _moved(old: Any, field: str, numbering: _Numbering) -> Any:
    """A copy of an object with one of its numbers renumbered; 0 where that was left out (an empty buffer)."""
    moved = copy.copy(old)
    setattr(moved, field, numbering.new.get(getattr(old, field), 0))
    return moved


def _metadata_buffers(wanted: Cut) -> list[int]:
    return [entry.buffer for entry in wanted.model.metadata or []] if wanted.whole else []


def _entries(signature: Any) -> list[Any]:
    return [*(signature.inputs or []), *(signature.outputs or [])]


def _size(buffer: Any) -> int:
    return 0 if buffer.data is None else len(buffer.data)


def _list(vector: Any) -> Any:
    return () if vector is None else vector
