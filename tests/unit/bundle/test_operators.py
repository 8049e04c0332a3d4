"""The operators of a bundle's models, and the refusal of a model that needs another."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.bundle.operators import operators_in, require_selected
from coralforge.compile.simulator import compile_for_simulator
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.tflite.model import parse_model, read_model
from tests.conftest import TESTDATA
from tests.support.model_maker import classifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.tflite").write_bytes(classifier())
    return tmp_path


def test_operators_are_named_as_tensorflow_lites_own_list_does() -> None:
    found = operators_in(TESTDATA / "mobilenet_v2_1.0_224_quant.tflite")
    assert found == {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "SOFTMAX"}


def test_the_edge_tpus_operator_is_no_matter_of_tensorflow_lite(folder: Path) -> None:
    compiled = compile_for_simulator(read_model(folder / "model.tflite")).data
    assert "CUSTOM:edgetpu-custom-op" in parse_model(folder, compiled).operators
    (folder / "compiled.tflite").write_bytes(compiled)
    assert operators_in(folder / "compiled.tflite") == set()


def test_a_model_that_needs_another_operator_is_refused_by_name(folder: Path) -> None:
    needed = operators_in(folder / "model.tflite")
    require_selected([("net", folder)], needed)
    left_out = sorted(needed)[0]
    with pytest.raises(CoralforgeError, match=rf"the model net needs {left_out}") as caught:
        require_selected([("net", folder)], needed - {left_out})
    assert (caught.value.reason, caught.value.code) == ("ops-missing", ExitCode.GATE)
