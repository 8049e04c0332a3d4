"""Detectors of the YOLO family: boxes and scores as two outputs, where the export has them in one.

Boxes are pixels up to the size of the picture, scores are 0 to 1. In one tensor of 8 bits they share a scale, and one
step of it is more than a score. The export's last operation puts them together; it is taken back here: an output is
parted by following the axis on which both lie backwards through what only arranges values (concatenations, reshapes,
transpositions), down to where they are two tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from coralforge.convert.worker.read import inputs
from coralforge.convert.worker.shapes import CHANNELS, end_at, shape_of, simplified

COORDINATES = 4
STRIDES = (8, 16, 32, 64)
_ARRANGING = ("Concat", "Reshape", "Transpose", "Split", "Slice", "Squeeze", "Unsqueeze")
_FAR = 64  # operations back from an output


@dataclass(frozen=True)
class Parted:
    """A detector with outputs ``boxes`` and ``scores`` instead of ``output``."""

    model: Any = field(repr=False)
    output: str
    boxes: str
    scores: str

    def facts(self) -> dict[str, str]:
        """For the report."""
        return {"output": self.output, "boxes": self.boxes, "scores": self.scores}


def candidates(height: int, width: int) -> set[int]:
    """How many boxes a detector for pictures of this size gives: one or three at each place of each grid."""
    grids = [(height // stride) * (width // stride) for stride in STRIDES]
    return {anchors * sum(grids[:levels]) for anchors in (1, 3) for levels in (2, 3, 4)}


def parted(model: Any) -> Parted | None:
    """The same detector with two outputs; None for what is no such detector, or has boxes and scores apart.

    The first four of each candidate are the box; after it scores have to come, which a sigmoid makes.
    """
    import onnx

    axis = _axis(model)
    if axis is None:
        return None
    made = onnx.ModelProto()
    made.CopyFrom(model)
    output = made.graph.output[0].name
    graph = _Graph(made)
    parts = graph.part(output, axis, COORDINATES, _FAR)
    if parts is None or not graph.is_score(parts[1], _FAR):
        return None
    names = graph.named(parts, (f"{output}_boxes", f"{output}_scores"))
    made.graph.node.extend(graph.added)
    end_at(made, names, output)
    return Parted(simplified(output, made), output, *names)


def _axis(model: Any) -> int | None:
    """The axis of the one output on which box and scores of a candidate lie; None for what is no detector."""
    pictures = [shape_of(one) for one in inputs(model)]
    outputs = [shape_of(one) for one in model.graph.output]
    if len(pictures) != 1 or len(pictures[0]) != 4 or len(outputs) != 1 or len(outputs[0]) != 3:
        return None
    _, first, *rest = pictures[0]
    height, width = rest if first in CHANNELS else (first, rest[0])
    _, rows, columns = outputs[0]
    known = candidates(height, width)
    if rows in known and columns > COORDINATES:
        return 2
    return 1 if columns in known and rows > COORDINATES else None


class _Graph:
    """A graph to which operations are added; it stays what it was for all tensors that it has."""

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        graph = model.graph
        self._producers = {name: node for node in graph.node for name in node.output}
        self._shapes = {one.name: shape_of(one) for one in (*graph.value_info, *graph.output, *graph.input)}
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._initializers = graph.initializer
        self.added: list[Any] = []

    def part(self, name: str, axis: int, at: int, far: int) -> tuple[str, str] | None:
        """Two tensors that together are ``name``: before and behind ``at`` on ``axis``; None where it is whole."""
        node = self._producers.get(name)
        if node is None or far == 0:
            return None
        if node.op_type == "Concat":
            own = _attribute(node, "axis") % len(self._shapes[name])
            return self._part_joined(node, axis, at) if own == axis else self._part_each(node, axis, at, own, far)
        if node.op_type == "Transpose":
            order = list(_attribute(node, "perm") or reversed(range(len(self._shapes[name]))))
            found = self.part(node.input[0], order[axis], at, far - 1)
            return found and tuple(self._add("Transpose", [one], perm=order) for one in found)  # type: ignore[return-value]
        if node.op_type == "Reshape":
            return self._part_reshaped(node, name, axis, at, far)
        return None

    def is_score(self, name: str, far: int) -> bool:
        """Whether a sigmoid made it, and afterwards it was only arranged."""
        node = self._producers.get(name)
        if node is None or far == 0:
            return False
        if node.op_type == "Sigmoid":
            return True
        data = list(node.input) if node.op_type == "Concat" else list(node.input[:1])
        return node.op_type in _ARRANGING and bool(data) and all(self.is_score(one, far - 1) for one in data)

    def named(self, names: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
        """The tensors under names of their own."""
        return tuple(self._add("Identity", [name], output=new) for name, new in zip(names, wanted, strict=True))

    def _part_joined(self, node: Any, axis: int, at: int) -> tuple[str, str] | None:
        """Parted between two of the tensors that are joined."""
        total = 0
        for index, name in enumerate(node.input):
            if total == at:
                return self._joined(node.input[:index], axis), self._joined(node.input[index:], axis)
            total += self._size(name, axis)
        return None

    def _part_each(self, node: Any, axis: int, at: int, own: int, far: int) -> tuple[str, str] | None:
        """Each of the tensors that are joined on another axis."""
        found = [self.part(name, axis, at, far - 1) for name in node.input]
        if None in found:
            return None
        first, second = zip(*(one for one in found if one), strict=True)
        return self._joined(first, own), self._joined(second, own)

    def _part_reshaped(self, node: Any, name: str, axis: int, at: int, far: int) -> tuple[str, str] | None:
        """Where the axis is the last one before and after, or stands behind the same number of values."""
        source = node.input[0]
        old, new = self._shape(source), self._shapes[name]
        places = [i for i in range(len(old)) if old[i] == new[axis] and prod(old[:i]) == prod(new[:axis])]
        if not places or prod(old) != prod(new):
            return None
        found = self.part(source, places[-1], at, far - 1)
        if found is None:
            return None
        sizes = (at, new[axis] - at)
        shapes = [[*new[:axis], size, *new[axis + 1 :]] for size in sizes]
        first, second = (self._add("Reshape", [one, self._list(s)]) for one, s in zip(found, shapes, strict=True))
        return first, second

    def _joined(self, names: Sequence[str], axis: int) -> str:
        return names[0] if len(names) == 1 else self._add("Concat", names, axis=axis)

    def _size(self, name: str, axis: int) -> int:
        shape = self._shape(name)
        return shape[axis] if shape else 0

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self._constants:
            return tuple(self._constants[name].shape)
        return self._shapes.get(name, ())

    def _list(self, values: Sequence[int]) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"coralforge_shape_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def _add(self, kind: str, names: Sequence[str], output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"coralforge_{kind}_{len(self.added)}"
        node = helper.make_node(kind, list(names), [name], name=name, **attributes)
        self.added.append(node)
        self._producers[name] = node
        return name


def _attribute(node: Any, name: str) -> Any:
    """The value of an attribute; None where the operation has none of that name."""
    from onnx import helper

    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), None)
