"""`invoke inspect --against` and `--pairs`: predictions against what Google's compiler did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from coralforge.commands.inspect import Request, inspect
from coralforge.compile.output import parse_log
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.inspect.compare import Comparison, with_compiled, with_log
from coralforge.tflite import schema
from coralforge.tflite.model import Model, parse_model, read_model
from tests.support.compiled_maker import COMPILED, PLAIN, as_hardware, pair
from tests.support.model_maker import Maker, classifier, mixed

LOG = """Edge TPU Compiler version 16.0.384591198
Input: x.tflite
Output: x_edgetpu.tflite

Operator                       Count      Status

LEAKY_RELU                     2          Operation not supported
CONV_2D                        {mapped}          Mapped to Edge TPU
CONV_2D                        {left}          More than one subgraph is not supported
ADD                            1          Mapped to Edge TPU
"""


def refused(request: Request) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as raised:
        inspect(request)
    return raised.value


def turned(made: int, shown: int) -> tuple[Model, Model]:
    """A TRANSPOSE between two operations, compiled by our own compiler for pictures of ``made`` pixels a side; both
    files then tell of ``shown`` pixels, as if Google's compiler had decided so there.
    """
    make = Maker()
    source, first = (make.tensor(name, [1, made, made, 144]) for name in ("x", "first"))
    second, last = (make.tensor(name, [1, 144, made, made]) for name in ("second", "last"))
    make.operator("RELU", [source], [first])
    make.operator("TRANSPOSE", [first, make.integers("order", 0, 3, 1, 2)], [second], 2)
    make.operator("RELU", [second], [last])
    plain = make.pack([source], [last])
    return parse_model(PLAIN, of_side(plain, shown)), parse_model(COMPILED, of_side(as_hardware(plain), shown))


def of_side(model: bytes, side: int) -> bytes:
    native = schema.unpack(model)
    for tensor in native.subgraphs[0].tensors:
        if len(tensor.shape) == 4:
            tensor.shape = [size if size in (1, 144) else side for size in tensor.shape]
    return schema.pack(native)


@pytest.mark.parametrize("name", ["dense_256", "bright_128x128", "looming_128x128_3x3", "keras_lstm_mnist_ptq"])
def test_real_pairs_agree(testdata: Path, name: str) -> None:
    found = with_compiled(read_model(testdata / f"{name}.tflite"), read_model(testdata / f"{name}_edgetpu.tflite"))
    assert (found.agrees, found.differences, found.open, found.notes) == (True, (), (), ())
    assert found.mapped == found.operations


def test_what_the_compiler_left_and_was_thought_to_be_mapped_differs() -> None:
    found = with_compiled(*turned(made=40, shown=8))
    assert [(one.operations, one.operator, one.predicted, one.real) for one in found.differences] == [
        ((1,), "TRANSPOSE", "Edge TPU", "CPU"),
        ((2,), "RELU", "Edge TPU", "CPU"),
    ]


def test_what_was_not_known_is_no_difference_and_is_told() -> None:
    """26 x 26 x 144 is between what was seen mapped and what was seen left."""
    found = with_compiled(*turned(made=8, shown=26))
    assert found.agrees
    assert [(one.operations, one.rule, one.real) for one in found.open] == [
        ((1,), "transpose-size", "Edge TPU"),
        ((2,), "one-subgraph", "Edge TPU"),
    ]


def test_a_model_that_would_be_refused_and_was_compiled_differs() -> None:
    native = schema.unpack(as_hardware(mixed()))
    plain = schema.unpack(mixed())
    for one in (native, plain):
        for code in one.operatorCodes:
            code.version = 40 if code.builtinCode == 98 else code.version  # LEAKY_RELU
    found = with_compiled(parse_model(PLAIN, schema.pack(plain)), parse_model(COMPILED, schema.pack(native)))
    assert [(one.rule, one.predicted) for one in found.differences] == [("model-op-version", "refused")]


def test_two_that_are_no_pair_are_refused() -> None:
    compiled, plain = pair(mixed())
    with pytest.raises(CoralforgeError) as raised:
        with_compiled(parse_model(PLAIN, classifier()), compiled)
    assert raised.value.reason == "model-pair"
    with pytest.raises(CoralforgeError, match="not compiled") as raised:
        with_compiled(plain, plain)
    assert raised.value.reason == "model-pair"


def logged(mapped: int, left: int) -> Comparison:
    plain = parse_model(PLAIN, mixed())
    return with_log(plain, Path("x.log"), parse_log(LOG.format(mapped=mapped, left=left)))


def test_a_log_is_compared_operator_by_operator() -> None:
    assert logged(2, 1).agrees
    found = logged(1, 2)
    assert [(one.operator, one.predicted, one.real) for one in found.differences] == [
        ("CONV_2D", "2 of 3 mapped", "1 of 3 mapped")
    ]


def test_a_log_of_another_model_is_refused() -> None:
    with pytest.raises(CoralforgeError, match="CONV_2D: 4 in the log, 3 in the model") as raised:
        logged(3, 1)
    assert raised.value.reason == "model-pair"


@pytest.fixture
def folder(tmp_path: Path, testdata: Path) -> Path:
    """A pair that agrees, one that differs, and one that is none."""
    for name in ("looming_128x128_3x3.tflite", "looming_128x128_3x3_edgetpu.tflite"):
        shutil.copy(testdata / name, tmp_path / name)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "x.tflite").write_bytes(mixed())
    (inside / "x_edgetpu.log").write_text(LOG.format(mapped=1, left=2))
    (inside / "y.tflite").write_bytes(mixed())
    (inside / "y_edgetpu.tflite").write_bytes(b"damaged")
    return tmp_path


def test_a_folder_gives_a_table_and_fails_where_a_pair_differs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(Request("", pairs=str(folder)))
    assert (error.reason, error.code) == ("prediction-differs", ExitCode.GATE)
    shown = capsys.readouterr().out
    assert "Agree, op for op  1" in shown
    rows = {line.split()[0]: line for line in shown.splitlines() if ".tflite" in line}
    assert rows["looming_128x128_3x3.tflite"].endswith("agrees")
    assert "1 differ: 1, 5 CONV_2D" in rows["inside/x.tflite"]
    assert "not compared: model-format" in rows["inside/y.tflite"]
    shutil.rmtree(folder / "inside")
    inspect(Request("", pairs=str(folder)))


def test_one_pair_ends_with_the_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = folder / "looming_128x128_3x3"
    inspect(Request(f"{name}.tflite", against=f"{name}_edgetpu.tflite"))
    assert "Result     agrees" in capsys.readouterr().out
    error = refused(Request(str(folder / "inside/x.tflite"), against=str(folder / "inside/x_edgetpu.log")))
    assert error.reason == "prediction-differs"
    assert "CONV_2D" in capsys.readouterr().out


def test_options_that_make_no_sense_together(folder: Path) -> None:
    assert refused(Request("x", pairs=str(folder))).reason == "inspect-option"
    assert refused(Request("x", against="y", json=True)).reason == "inspect-option"
    assert refused(Request("", against="y")).reason == "option-missing"
    assert refused(Request("x", against="")).reason == "option-missing"
    for absent in (folder / "none", folder / "looming_128x128_3x3.tflite"):
        assert refused(Request("", pairs=str(absent))).reason == "pairs-missing"
    (folder / "empty").mkdir()
    assert refused(Request("", pairs=str(folder / "empty"))).reason == "pairs-missing"
