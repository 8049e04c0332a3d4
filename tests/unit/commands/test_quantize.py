"""The options of ``invoke quantize`` as they were typed: what says nothing is refused, not passed over."""

from __future__ import annotations

import pytest

from coralforge.commands.models import quantize_model
from coralforge.commands.options import Said
from coralforge.errors import CoralforgeError, ExitCode


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"random": "0"}, "--random 0 is no number of samples"),
        ({"random": "ten"}, "--random 'ten' is not a whole number"),
        ({"random": "4", "outputs": " , "}, "--outputs ' , ' names no tensor"),
        ({"random": "4", "outputs": ""}, "--outputs '' names no tensor"),
    ],
)
def test_what_says_nothing_is_refused(given: dict[str, str], wanted: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        quantize_model(Said(model="net.onnx", **given))
    assert (caught.value.brief, caught.value.code) == (wanted, ExitCode.USER)
