"""Who gets how much of the chip's memory, before a compile and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.compile.caching import estimated_plan, plan_text, real_plan
from coralforge.edgetpu.estimate import CACHE
from coralforge.edgetpu.package import Package, read_package
from coralforge.tflite.model import Model, read_model
from tests.support.model_maker import Maker

SMALL, LARGE = "mobilenet_v1_0.25_128_quant", "mobilenet_v1_0.5_160_quant"


def dense(inputs: int, outputs: int) -> Model:
    make = Maker()
    source, made = make.tensor("x", [1, inputs]), make.tensor("y", [1, outputs])
    make.operator("FULLY_CONNECTED", [source, make.weights("w", [outputs, inputs])], [made], 4)
    return make.model([source], [made])


def packages(path: Path) -> list[Package]:
    return [read_package(one.payload) for one in read_model(path).graph.operations if one.payload]


def test_the_first_takes_what_it_needs_and_the_next_what_is_left() -> None:
    first, second, third = dense(1000, 4000), dense(1000, 4000), dense(100, 100)
    plan = estimated_plan([first, second, third])
    needed = 4000 * 1000 + 8 * 4000
    assert [share.cached for share in plan.shares] == [needed, CACHE - needed, 0]
    assert [share.streamed for share in plan.shares][:2] == [0, 2 * needed - CACHE]
    assert plan.shares[2].streamed > 0
    text = plan_text(plan)
    assert "expected (estimated: the compiler decides)" in text
    assert "streamed for each inference (" in text


def test_a_model_that_stays_on_the_cpu_takes_none() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 4]), make.tensor("y", [1, 4])
    make.operator("ELU", [source], [made])
    plan = estimated_plan([make.model([source], [made])])
    assert [(share.cached, share.streamed) for share in plan.shares] == [(0, 0)]
    assert ": none\n" in plan_text(plan)


class TestCompiled:
    """Files that Google's compiler made."""

    def both(self, testdata: Path) -> list[tuple[str, list[Package]]]:
        names = ((SMALL, LARGE), (LARGE, SMALL))
        files = {one: testdata / f"{one}_cocompiled_with_{other}_edgetpu.tflite" for one, other in names}
        return [(name, packages(path)) for name, path in files.items()]

    def test_compiled_together(self, testdata: Path) -> None:
        plan = real_plan(self.both(testdata))
        assert [(share.cached, share.streamed) for share in plan.shares] == [(566_912, 0), (1_473_280, 0)]
        assert plan.together
        text = plan_text(plan)
        assert "  1. mobilenet_v1_0.25_128_quant: 553.62KiB on the chip, all of it\n" in text
        assert "together 4.7 ms on USB 3, 53.7 ms on USB 2" in text

    def test_the_estimate_is_near_it(self, testdata: Path) -> None:
        expected = estimated_plan([read_model(testdata / f"{name}.tflite") for name in (SMALL, LARGE)])
        real = real_plan(self.both(testdata))
        for one, other in zip(expected.shares, real.shares, strict=True):
            assert one.cached == pytest.approx(other.cached, rel=0.06)
            assert one.streamed == other.streamed == 0

    def test_compiled_apart_they_take_the_memory_from_each_other(self, testdata: Path) -> None:
        apart = [("a", packages(testdata / f"{SMALL}_edgetpu.tflite")), self.both(testdata)[1]]
        plan = real_plan(apart)
        assert not plan.together
        assert "warning: their tokens differ" in plan_text(plan)
        assert len({token for one in plan.data for token in one["tokens"]}) == 2
