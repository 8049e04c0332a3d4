"""Pictures of graphs: everything points down, nothing lies on anything, and chains are straight."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coralforge.inspect.inspector import inspect_model
from coralforge.inspect.layers import GAP, LANE, Drawing, lay_out
from coralforge.inspect.picture import HIGH, WIDE, draw
from coralforge.tflite.model import parse_model
from tests.support.model_maker import Maker, X, mixed


def drawing(count: int, edges: list[tuple[int, int]]) -> Drawing:
    found = lay_out(count, edges, 10_000)
    assert found is not None
    return found


@given(st.integers(1, 25), st.data())
def test_every_edge_is_a_way_down_and_cells_keep_their_distance(count: int, data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = data.draw(st.lists(pairs, unique=True, max_size=60)) if count > 1 else []
    found = drawing(count, edges)
    below: dict[int, list[int]] = {}
    for source, target in found.links:
        assert found.cells[target].rank == found.cells[source].rank + 1
        below.setdefault(source, []).append(target)
    for source, target in edges:
        assert target in reached(below, source, found)
    for rank in range(found.ranks):
        layer = sorted((cell for cell in found.cells if cell.rank == rank), key=lambda cell: cell.x)
        for one, other in pairwise(layer):
            widths = [LANE if cell.node is None else 1 for cell in (one, other)]
            assert other.x - one.x >= sum(widths) / 2 + GAP - 1e-6
    assert min(cell.x for cell in found.cells) == 0


def reached(below: dict[int, list[int]], source: int, found: Drawing) -> set[int]:
    """Nodes at the ends of the lines that leave ``source``."""
    ends, todo = set(), list(below.get(source, []))
    while todo:
        cell = todo.pop()
        node = found.cells[cell].node
        ends |= {node} if node is not None else set()
        todo += below.get(cell, []) if node is None else []
    return {end for end in ends if end is not None}


def test_a_chain_with_a_bypass_is_straight() -> None:
    found = drawing(5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)])
    xs = [cell.x for cell in found.cells if cell.node is not None]
    assert max(xs) - min(xs) < 0.02


def test_what_reads_nothing_stands_just_above_its_reader() -> None:
    found = drawing(4, [(0, 2), (2, 3), (1, 3)])
    assert [cell.rank for cell in found.cells] == [0, 1, 1, 2]


def test_too_large_is_not_laid_out() -> None:
    assert lay_out(100, [(number, number + 1) for number in range(99)], 99) is None
    assert lay_out(3, [(0, 1), (1, 2), (0, 2)], 3) is None


def chain(length: int) -> Maker:
    make = Maker()
    make.tensor("x", [1, 4])
    for number in range(length):
        made = make.tensor(f"t{number}", [1, 4])
        make.operator("TANH", [made - 1], [made])
    return make


def test_a_long_graph_is_cut_into_columns_whose_lines_go_on() -> None:
    model = chain(50).model([0], [50])
    columns = draw(inspect_model(model))
    assert len(columns) == 3
    assert [box.label for column in columns for box in column.boxes][1:-1] == [f"{n} TANH" for n in range(50)]
    assert [[mark.number for mark in column.marks] for column in columns] == [[1], [1, 2], [2]]
    for column in columns:
        for box in column.boxes:
            assert 0 <= box.x <= column.width - WIDE
            assert 0 <= box.y <= column.height - HIGH


def test_boxes_are_coloured_by_where_operations_run() -> None:
    columns = draw(inspect_model(parse_model(X, mixed())))
    kinds = {box.label: box.kind for column in columns for box in column.boxes}
    assert kinds["0 LEAKY_RELU"] == "cpu"
    assert kinds["1 CONV_2D"] == "tpu"
    assert kinds["first"] == "input"
    assert kinds["side"] == "output"


def test_an_empty_graph_is_not_drawn() -> None:
    assert draw(inspect_model(Maker().model([], []))) == ()


def test_a_graph_that_is_too_large_is_not_drawn() -> None:
    assert draw(inspect_model(chain(8_100).model([0], [8_100]))) == ()
