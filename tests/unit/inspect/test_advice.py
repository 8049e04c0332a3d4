"""What to change in a model: an advice for each cause, and the best one first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from coralforge.edgetpu.cost import VALUE
from coralforge.edgetpu.estimate import CACHE, HOST, USB3
from coralforge.edgetpu.operators import LIMITS, RULES
from coralforge.edgetpu.partition import partition
from coralforge.inspect import remedies
from coralforge.inspect.advice import advise
from coralforge.inspect.inspection import Advice
from coralforge.tflite import schema
from coralforge.tflite.model import Model, parse_model
from tests.conftest import ROOT
from tests.support.model_maker import Maker, X, classifier, mixed

ANY_OPERATOR = {"complete", "constant-parameters", "own-state", "readable-version", "some-input", "static-size"}
ANY_OPERATOR |= {"three-dimensions"}
BY_OPERATOR = {"known-operator", "eight-bits", "one-subgraph"}  # these take more than a text for each rule


def advice(model: Model) -> tuple[Advice, ...]:
    return advise(model.graph, partition(model.graph))


def one(
    name: str, kinds: tuple[str, str] = ("INT8", "INT8"), custom: bytes = b"", scales: Sequence[float] = (1,)
) -> str:
    """The advice for an operator alone in a model; types are those of its input and its output."""
    make = Maker()
    source, made = (
        make.tensor("x", [1, 4], kinds[0], scales=scales),
        make.tensor("y", [1, 4], kinds[1], scales=scales),
    )
    make.operator(name, [source], [made], 1, custom=custom)
    found = advice(make.model([source], [made]))
    assert [item.operations for item in found] == [(0,)]
    return found[0].text


def test_there_is_nothing_to_say_of_a_model_that_fits() -> None:
    assert advice(parse_model(X, classifier())) == ()


def test_each_cause_is_named_once_with_what_it_would_win() -> None:
    found = advice(parse_model(X, mixed()))
    assert [(item.operations, item.wins) for item in found] == [((0, 3), 3)]
    assert "RELU instead of LEAKY_RELU" in found[0].text


def test_the_advice_that_wins_most_comes_first() -> None:
    make = Maker()
    image = make.tensor("image", [1, 4, 4, 3])
    start = make.conv(image, "start", 4, 3)
    elu, gelu, last = (make.tensor(name, [1, 4, 4, 3]) for name in ("elu", "gelu", "last"))
    make.operator("ELU", [start], [elu])
    make.operator("GELU", [start], [gelu])
    a = make.conv(make.conv(gelu, "a", 4, 3), "b", 4, 3)
    make.operator("ELU", [a], [last])
    found = advice(make.model([image], [elu, last]))
    assert [(item.operations, item.wins) for item in found] == [((2,), 3), ((1, 5), 1)]


def test_what_is_in_the_way_together_with_others_wins_none_by_itself() -> None:
    make = Maker()
    image = make.tensor("image", [1, 4, 4, 3])
    start = make.conv(image, "start", 4, 3)
    elu, gelu = make.tensor("elu", [1, 4, 4, 3]), make.tensor("gelu", [1, 4, 4, 3])
    make.operator("ELU", [start], [elu])
    make.operator("GELU", [elu], [gelu])
    assert [item.wins for item in advice(make.model([image], [gelu]))] == [1, 0]


def two_causes() -> Model:
    """A large ELU with nothing after it, and a small GELU that keeps three operations from the Edge TPU."""
    make = Maker()
    large, small = make.tensor("large", [1, 400, 400, 4]), make.tensor("small", [1, 4, 4, 3])
    elu, gelu = make.tensor("elu", [1, 400, 400, 4]), make.tensor("gelu", [1, 4, 4, 4])
    relu = make.tensor("relu", [1, 400, 400, 4])
    make.operator("RELU", [large], [relu])
    make.operator("ELU", [relu], [elu])
    make.operator("GELU", [make.conv(small, "start", 4, 3)], [gelu])
    return make.model([large, small], [elu, make.conv(make.conv(gelu, "a", 4, 3), "b", 4, 3)])


def test_the_one_that_wins_most_time_comes_before_those_that_win_more_operations() -> None:
    found = {item.operations: item for item in advice(two_causes())}
    elu, gelu = found[(1,)], found[(3,)]
    assert elu.wins < gelu.wins
    assert [item.operations for item in advice(two_causes())] == [(1,), (3,)]
    assert elu.seconds == pytest.approx(400 * 400 * 4 * VALUE, rel=0.01)
    assert (elu.seconds or 0) > (gelu.seconds or 0) >= 0


def test_without_times_operations_decide() -> None:
    model = two_causes()
    found = advise(model.graph, partition(model.graph), timed=False)
    assert [(item.wins, item.seconds) for item in found] == [(3, None), (1, None)]


def test_what_does_not_fit_onto_the_chip_is_an_advice() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 5000]), make.tensor("y", [1, 3000])
    make.operator("FULLY_CONNECTED", [source, make.weights("w", [3000, 5000])], [made], 4)
    [found] = advice(make.model([source], [made]))
    assert found.text.startswith("Fit all parameters onto the chip, where 8.2 MB too many are streamed")
    assert found.seconds == pytest.approx((3000 * 5000 + 8 * 3008 - CACHE) / USB3, rel=0.01)
    assert (found.operations, found.wins) == ((), 0)


def test_a_smaller_picture_is_an_advice_where_computing_takes_long() -> None:
    make = Maker()
    image = make.tensor("image", [1, 160, 160, 32])
    [found] = advice(make.model([image], [make.conv(image, "made", 256, 32)]))
    assert "of 120x120 instead of 160x160" in found.text
    assert found.seconds is not None
    assert found.seconds > 0.5e-3


def test_several_parts_take_several_ways_to_the_chip() -> None:
    model = parse_model(X, classifier())
    [found] = advise(model.graph, partition(model.graph), parts=3)
    assert "one part on the Edge TPU instead of 3" in found.text
    assert found.seconds == pytest.approx(2 * HOST)


def test_a_step_that_is_meant_for_the_cpu_wins_no_time() -> None:
    make = Maker()
    boxes, made = make.tensor("x", [1, 4000]), make.tensor("y", [1, 4000])
    start = make.tensor("start", [1, 4000])
    make.operator("RELU", [boxes], [start])
    make.operator("CUSTOM", [start], [made], custom=b"TFLite_Detection_PostProcess")
    assert [item.seconds for item in advice(make.model([boxes], [made]))] == [0.0]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: one("DEQUANTIZE", ("INT8", "FLOAT32")), remedies.FLOAT_OUTPUT),
        (lambda: one("QUANTIZE", ("FLOAT32", "INT8")), remedies.FLOAT_INPUT),
        (lambda: one("TANH", ("FLOAT32", "FLOAT32")), remedies.FLOAT_INSIDE),
        (lambda: one("TANH", ("INT16", "INT16")), remedies.WIDE_INSIDE),
        (lambda: one("TANH", scales=()), remedies.UNSCALED),
        (lambda: one("ADD", ("INT32", "INT32"), scales=()), remedies.INTEGER_INSIDE),
        (lambda: one("ARG_MAX", ("INT8", "INT64")), remedies.OPERATORS["ARG_MAX"]),
        (lambda: one("CUSTOM", custom=b"TFLite_Detection_PostProcess"), remedies.DETECTION_STAYS),
        (lambda: one("CUSTOM", ("INT8", "FLOAT32"), b"TFLite_Detection_PostProcess"), remedies.DETECTION_STAYS),
        (lambda: one("CUSTOM", custom=b"Mine{x}"), remedies.LEAVE_OUT.format(name="Mine{x}")),
        (lambda: one("COS"), remedies.LEAVE_OUT.format(name="COS")),
    ],
)
def test_the_advice_for_a_cause(found: Callable[[], str], expected: str) -> None:
    assert found() == expected


def test_a_version_that_is_too_new_names_the_one_that_is_read() -> None:
    make = Maker()
    image = make.tensor("x", [1, 4, 4, 3])
    model = make.model([image], [make.conv(image, "y", 4, 3, version=6)])
    assert "reads CONV_2D up to version 5" in advice(model)[0].text


def test_there_is_an_advice_for_every_rule() -> None:
    assert set(remedies.RULES) == set(LIMITS) | ANY_OPERATOR
    assert not set(remedies.RULES) & BY_OPERATOR


def test_every_rule_is_documented() -> None:
    page = (ROOT / "docs" / "inspect.md").read_text().partition("`rule` names")[2]
    rows = "".join(line for line in page.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`([a-z-]+)`", rows)) == set(remedies.RULES) | BY_OPERATOR


def test_advice_by_operator_is_for_operators_that_exist_and_are_not_mapped() -> None:
    assert set(remedies.OPERATORS) <= set(schema.names("BuiltinOperator").values()) - set(RULES)
