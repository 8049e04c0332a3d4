"""Any bytes as .tflite: one clear error or an inspection in every form. tests/integration has 10,000 of these."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coralforge.tflite import schema
from coralforge.tflite.model import parse_model
from tests.support.damage import FOREIGN, KINDS, REAL, STATED, damaged
from tests.support.inspect_everything import X, carry_everything, inspect_everything, inspect_file
from tests.support.model_maker import Maker, mixed
from tests.support.mutations import mutated
from tests.support.patience import effort


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert inspect_everything(data) is None
    assert inspect_everything(b"\x10\0\0\0TFL3" + data) is None


@pytest.mark.parametrize("kind", [*KINDS, "described"])
def test_damaged_models_give_one_error_or_are_shown(kind: str) -> None:
    results = [inspect_everything(damaged(kind, seed), terminal=seed % 10 == 0) for seed in range(100)]
    assert None in results, "nothing was damaged"
    assert any(results), "everything was refused, so that nothing was tried"


@pytest.mark.parametrize("kind", [kind for kind in STATED if kind != "described"])
def test_a_model_is_shown_whatever_is_wrong_with_what_it_says_of_itself(kind: str) -> None:
    results = [inspect_everything(damaged(kind, seed), terminal=seed % 10 == 0) for seed in range(100)]
    assert None not in results
    assert all(carry_everything(damaged(kind, seed)) for seed in range(50))


@pytest.mark.parametrize("name", FOREIGN)
def test_damaged_files_of_other_kinds_give_one_error(name: str, tmp_path: Path) -> None:
    for seed in range(60):
        inspect_file(tmp_path / name, damaged(name, seed))


STARTS = [b"", b"PK\3\4", b"PK\5\6", b"\x89HDF\r\n\x1a\n", b"\x80\x02", b"\x08\x08", b"\x0a"]


@settings(max_examples=300)
@given(st.sampled_from(STARTS), st.binary())
def test_any_bytes_as_a_file_of_another_kind(start: bytes, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inspect_file(Path(folder) / "x.pb", start + data)


def test_damaged_real_models_give_one_error_or_are_shown(testdata: Path) -> None:
    for name in REAL:
        good = (testdata / f"{name}.tflite").read_bytes()
        for seed in range(40):
            inspect_everything(mutated(good, seed))


def test_damaged_pairs_give_one_error_or_are_shown() -> None:
    plain = parse_model(X, mixed())
    for seed in range(100):
        inspect_everything(damaged("compiled", seed), plain)


def one_long_name() -> bytes:
    """Many operations read one tensor with a long name."""
    make = Maker()
    make.tensor("n" * 5_000, [1, 4], "FLOAT32", scales=())
    for number in range(1, 4_000):
        _again(make, [0], make.tensor("t", [1, 4], "FLOAT32", scales=()), number == 1)
    return make.pack([0], [1])


def dense() -> bytes:
    """Each operation reads everything before it."""
    make = Maker()
    make.tensor("x", [1, 4])
    for number in range(1, 400):
        _again(make, list(range(number)), make.tensor("t", [1, 4]), number == 1)
    return make.pack([0], [399])


def many_causes() -> bytes:
    """Each operation is on the CPU for a reason of its own."""
    make = Maker()
    make.tensor("x", [1, 4])
    for number in range(1, 1_500):
        make.operator("CUSTOM", [number - 1], [make.tensor("t", [1, 4])], custom=f"Own{number}".encode())
    return make.pack([0], [1_499])


def large_constant() -> bytes:
    """Many operations look at all of a large constant."""
    make = Maker()
    zeros = make.tensor("zeros", [1, 1, 1, 4_000_000], data=bytes(4_000_000))
    source = make.tensor("s", [1, 1, 1, 4])
    for _ in range(1_500):
        make.operator("CONCATENATION", [source, zeros], [make.tensor("c", [1, 1, 1, 4_000_004])])
    return make.pack([source], [zeros + 2])


def _again(make: Maker, inputs: list[int], made: int, first: bool) -> None:
    """Another operation with the operator code of the first."""
    if first:
        make.operator("TANH", inputs, [made])
    else:
        make.graph.operators.append(schema.new("Operator", opcodeIndex=0, inputs=inputs, outputs=[made]))


@pytest.mark.parametrize("huge", [one_long_name, dense, many_causes, large_constant])
def test_small_files_that_ask_for_a_lot_take_little(huge: Callable[[], bytes]) -> None:
    data = huge()
    assert inspect_everything(data) is not None
    assert effort(lambda: inspect_everything(data)) < 1500


def test_mutations_are_the_same_for_the_same_seed() -> None:
    good = mixed()
    assert [mutated(good, seed) for seed in range(20)] == [mutated(good, seed) for seed in range(20)]
    assert sum(mutated(good, seed) != good for seed in range(100)) > 90
