"""The names of inputs and outputs fit TensorFlow, and stay apart."""

from __future__ import annotations

import pytest

from coralforge.quantize.worker.names import plain


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["/model/out:0", "0", "/", ""], ["model_out_0", "x0", "x", "x_3"]),
        (["größe", "a.b", "_a_"], ["gr__e", "a_b", "a"]),
        (["a", "a"], ["a", "a_1"]),
    ],
)
def test_names_that_a_signature_can_have(given: list[str], made: list[str]) -> None:
    assert plain(given) == made


def test_a_number_that_another_name_has_already_is_not_given_again() -> None:
    assert plain(["a_2", "a", "a", "a"]) == ["a_2", "a", "a_3", "a_4"]


def test_names_that_are_plain_stay() -> None:
    """A converted model is loaded by the names that it was saved with."""
    once = plain(["x:0", "x:0", "/y", "é", "é", "x_0_1"])
    assert plain(once) == once
