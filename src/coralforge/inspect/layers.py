"""Lays a directed graph out in layers, from top to bottom: every edge points down, long ones get a lane of their own.

Longest paths give the layers, barycentres the order within them, and a few sweeps of isotonic regression the places.
Good for graphs of neural networks, which are chains with branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LANE = 0.1  # width of a line that passes a layer; a node has 1
GAP = 0.12  # between neighbours
_FIRM = 500.0  # how much more a node resists being moved than a line does: chains stay straight, lines bend
_ORDER_SWEEPS = 8
_PLACE_SWEEPS = 12

Edge = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """A node, or a line that passes a layer (``node`` is None). ``x`` is its middle, in widths of a node."""

    rank: int
    x: float
    node: int | None


@dataclass(frozen=True)
class Drawing:
    """Cells, and which are linked to which in the next layer. Edges from one node share their lines."""

    cells: Sequence[Cell]
    links: Sequence[Edge]
    ranks: int


def lay_out(count: int, edges: Sequence[Edge], most: int) -> Drawing | None:
    """Place ``count`` nodes; edges go from smaller to larger numbers. None if it takes more than ``most`` cells."""
    ranks = _ranks(count, edges)
    chains = _chains(ranks, edges)
    if count + sum(chains.values()) > most:
        return None
    levels, links = list(ranks), list[Edge]()
    places = dict[Edge, int]()  # the line of a node in a layer
    for source, length in chains.items():
        before = source
        for step in range(length):
            level = ranks[source] + 1 + step
            places[source, level] = len(levels)
            links.append((before, len(levels)))
            before = len(levels)
            levels.append(level)
    for source, target in edges:
        links.append((places.get((source, ranks[target] - 1), source), target))
    layers = _ordered(levels, links)
    xs = _placed(layers, links, count)
    left = min(xs, default=0.0)
    cells = [Cell(levels[i], x - left, i if i < count else None) for i, x in enumerate(xs)]
    return Drawing(cells, list(dict.fromkeys(links)), len(layers))


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """Each node one layer below the lowest that it reads; those that read nothing just above their first reader."""
    ranks, first = [0] * count, dict[int, int]()
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    reads = {target for _, target in edges}
    for source, target in edges:
        first[source] = min(first.get(source, ranks[target]), ranks[target])
    for node, rank in first.items():
        if node not in reads:
            ranks[node] = rank - 1
    return ranks


def _chains(ranks: Sequence[int], edges: Sequence[Edge]) -> Mapping[int, int]:
    """How many layers the line of each node has to pass."""
    chains: dict[int, int] = {}
    for source, target in edges:
        chains[source] = max(chains.get(source, 0), ranks[target] - ranks[source] - 1)
    return chains


def _ordered(levels: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """The cells of each layer from left to right, with few crossings."""
    layers: list[list[int]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for cell, level in enumerate(levels):
        layers[level].append(cell)
    above, below = _neighbours(len(levels), links)
    position = [0.0] * len(levels)
    for layer in layers:
        _number(layer, position)
    for sweep in range(_ORDER_SWEEPS):
        near, order = (above, layers) if sweep % 2 == 0 else (below, layers[::-1])
        for layer in order:
            means = {cell: _mean([position[n] for n in near[cell]], position[cell]) for cell in layer}
            layer.sort(key=means.__getitem__)
            _number(layer, position)
    return layers


def _placed(layers: Sequence[Sequence[int]], links: Sequence[Edge], count: int) -> list[float]:
    """Where cells stand: near their neighbours, in order, and not on each other."""
    total = sum(map(len, layers))
    above, below = _neighbours(total, links)
    kinds = [_Kind(1.0, _FIRM) if cell < count else _Kind(LANE, 1.0) for cell in range(total)]
    xs = [0.0] * total
    for layer in layers:
        _spread(layer, [0.0] * len(layer), kinds, xs)
    for sweep in range(_PLACE_SWEEPS):
        near, order = (above, layers) if sweep % 2 == 0 else (below, layers[::-1])
        for layer in order:
            _spread(layer, [_pull(near[cell], kinds, xs, xs[cell]) for cell in layer], kinds, xs)
    return xs


@dataclass(frozen=True)
class _Kind:
    width: float
    weight: float


def _spread(layer: Sequence[int], wanted: Sequence[float], kinds: Sequence[_Kind], xs: list[float]) -> None:
    """Put a layer as near to what is wanted as its order and the widths allow (pool adjacent violators)."""
    offsets, offset = list[float](), 0.0
    for place, cell in enumerate(layer):
        offset += (kinds[layer[place - 1]].width + kinds[cell].width) / 2 + GAP if place else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # weighted sum of what is wanted, weight, and how many share it
    for place, cell in enumerate(layer):
        weight, size = kinds[cell].weight, 1
        total = (wanted[place] - offsets[place]) * weight
        while blocks and blocks[-1][0] * weight > total * blocks[-1][1]:
            before = blocks.pop()
            total, weight, size = total + before[0], weight + before[1], size + before[2]
        blocks.append((total, weight, size))
    starts = [total / weight for total, weight, size in blocks for _ in range(size)]
    for cell, start, offset in zip(layer, starts, offsets, strict=True):
        xs[cell] = start + offset


def _pull(near: Sequence[int], kinds: Sequence[_Kind], xs: Sequence[float], otherwise: float) -> float:
    """Where its neighbours want a cell."""
    weight = sum(kinds[one].weight for one in near)
    return sum(xs[one] * kinds[one].weight for one in near) / weight if near else otherwise


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        above[target].append(source)
        below[source].append(target)
    return above, below


def _number(layer: Sequence[int], position: list[float]) -> None:
    for place, cell in enumerate(layer):
        position[cell] = float(place)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
