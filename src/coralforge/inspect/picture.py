"""The graph of an inspection as shapes for SVG: columns of layers, each short enough for a screen. Sizes: pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from coralforge.inspect import words
from coralforge.inspect.inspection import Inspection
from coralforge.inspect.layers import Cell, Drawing, Edge, lay_out

_MOST = 8_000  # cells; larger graphs are not drawn
_ROWS = 20  # layers of a column
WIDE, HIGH = 180, 34  # a box
_PITCH = 56  # from layer to layer
_MARGIN = 32
_LABEL, _BELOW = 23, 29  # characters that fit


@dataclass(frozen=True)
class Box:
    """One operation, input or output. ``kind`` is its class for colours, ``target`` the details to jump to."""

    x: float
    y: float
    kind: str
    label: str
    below: str
    title: str
    target: str


@dataclass(frozen=True)
class Mark:
    """Where a line leaves a column, or comes from the one before; both ends have the same number."""

    x: float
    y: float
    number: int


@dataclass(frozen=True)
class Column:
    """Some layers of the graph, as one SVG."""

    width: float
    height: float
    boxes: Sequence[Box]
    lines: Sequence[str]
    arrows: Sequence[str]
    """Lines that end at a box."""
    marks: Sequence[Mark]


@dataclass(frozen=True)
class _Node:
    kind: str
    label: str
    below: str
    title: str
    target: str


def draw(inspection: Inspection) -> Sequence[Column]:
    """The columns of the picture; none where the graph is too large to be looked at."""
    nodes, edges = _nodes(inspection), _edges(inspection)
    if len(nodes) + len(edges) > 2 * _MOST:
        return ()
    drawing = lay_out(len(nodes), edges, _MOST)
    if drawing is None or not drawing.cells:
        return ()
    columns = ceil(drawing.ranks / _ROWS)
    rows = ceil(drawing.ranks / columns)
    exits = _exits(drawing, rows)
    return [_column(drawing, nodes, range(start, start + rows), exits) for start in range(0, drawing.ranks, rows)]


def _nodes(inspection: Inspection) -> Sequence[_Node]:
    """Graph inputs, operations, graph outputs: an order in which edges go forward."""
    tensors = inspection.graph.tensors
    nodes = [
        _edge_node("input", tensors[index].name, words.shape(tensors[index])) for index in inspection.graph.inputs
    ]
    for one in inspection.operations:
        made = tensors[one.operation.outputs[0]] if one.operation.outputs else None
        title = [f"{one.operation.index} {one.called}, version {one.operation.version}: {words.PLACES[one.place]}"]
        title += [words.reason(one)] if words.reason(one) else []
        title += [f"makes {words.short(made.name, 100)}"] if made else []
        nodes.append(
            _Node(
                one.place.value,
                words.short(f"{one.operation.index} {one.called}", _LABEL),
                words.short(words.shape(made), _BELOW) if made else "",
                "\n".join(title),
                f"op-{one.operation.index}",
            )
        )
    return nodes + [
        _edge_node("output", tensors[index].name, words.shape(tensors[index])) for index in inspection.graph.outputs
    ]


def _edge_node(kind: str, name: str, shape: str) -> _Node:
    return _Node(kind, words.short(name, _LABEL), words.short(shape, _BELOW), f"{kind} {name}", "edges")


def _edges(inspection: Inspection) -> Sequence[Edge]:
    graph = inspection.graph
    first = len(graph.inputs)
    makers = {tensor: number for number, tensor in enumerate(graph.inputs)}
    makers |= {tensor: first + maker for tensor, maker in graph.producers().items()}
    edges = [(makers[i], first + op.index) for op in graph.operations for i in op.inputs if i in makers]
    last = first + len(graph.operations)
    edges += [(makers[i], last + number) for number, i in enumerate(graph.outputs) if i in makers]
    return list(dict.fromkeys(edges))


def _exits(drawing: Drawing, rows: int) -> Mapping[int, int]:
    """Cells whose lines go on in the next column, numbered from left to right."""
    cells = drawing.cells
    leaving = {source for source, _ in drawing.links if (cells[source].rank + 1) % rows == 0}
    ordered = sorted(leaving, key=lambda cell: (cells[cell].rank, cells[cell].x))
    return {cell: number for number, cell in enumerate(ordered, start=1)}


def _column(drawing: Drawing, nodes: Sequence[_Node], ranks: range, exits: Mapping[int, int]) -> Column:
    cells = {number: cell for number, cell in enumerate(drawing.cells) if cell.rank in ranks}
    left = min(cell.x * WIDE - _reach(cell) for cell in cells.values())
    right = max(cell.x * WIDE + _reach(cell) for cell in cells.values())
    spots = {number: _spot(cell, left, ranks.start) for number, cell in cells.items()}
    boxes = [_box(nodes[cell.node], *spots[number]) for number, cell in cells.items() if cell.node is not None]
    lines = [_pass(*spots[number]) for number, cell in cells.items() if cell.node is None]
    arrows, marks = list[str](), list[Mark]()
    for source, target in drawing.links:
        if source in cells and target in cells:
            path = _curve(*spots[source], *spots[target])
        elif source in cells:
            x, y = spots[source]
            marks.append(Mark(x, y + HIGH + 20, exits[source]))
            lines.append(f"M{x:g} {y + HIGH:g}V{y + HIGH + 12:g}")
            continue
        elif target in cells:
            x, y = spots[target]
            marks.append(Mark(x, y - 20, exits[source]))
            path = f"M{x:g} {y - 12:g}V{y:g}"
        else:
            continue
        (arrows if drawing.cells[target].node is not None else lines).append(path)
    height = 2 * _MARGIN + len({cell.rank for cell in cells.values()}) * _PITCH - (_PITCH - HIGH)
    return Column(round(right - left, 1), height, boxes, lines, arrows, list(dict.fromkeys(marks)))


def _spot(cell: Cell, left: float, first: int) -> tuple[float, float]:
    """The middle of the upper side."""
    return round(cell.x * WIDE - left, 1), _MARGIN + (cell.rank - first) * _PITCH


def _reach(cell: Cell) -> float:
    """From the middle of a cell to the edge of the picture."""
    return 14 if cell.node is None else WIDE / 2 + 8


def _box(node: _Node, x: float, y: float) -> Box:
    return Box(round(x - WIDE / 2, 1), y, node.kind, node.label, node.below, node.title, node.target)


def _pass(x: float, y: float) -> str:
    return f"M{x:g} {y:g}v{HIGH}"


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    start, middle = y + HIGH, (y + HIGH + to_y) / 2
    if x == to_x:
        return f"M{x:g} {start:g}V{to_y:g}"
    return f"M{x:g} {start:g}C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}"
