"""Tries again where that has helped users, never where the model is at fault, and not for ever."""

from __future__ import annotations

import pytest

from coralforge.compile.local import Ended, Stop
from coralforge.compile.messages import Failure
from coralforge.compile.options import CompilerOptions, flags_of
from coralforge.compile.output import parse_output
from coralforge.compile.retry import REPEATS, Next, Try, deadline, next_try
from tests.support import compiler_logs as logs

OLD, NEW = flags_of("15.0.340273435", ""), flags_of("16.0.384591198", "")
WORTH = {Failure.INTERNAL, Failure.CRASH, Failure.UNEXPLAINED, Failure.ACTIVATIONS}


def tried(name: str, options: CompilerOptions | None = None, stopped: Stop | None = None, status: int = 1) -> Try:
    text = logs.FAILURES.get(name, logs.VERSION_16)
    return Try(options or CompilerOptions(), parse_output(text), Ended(status, text, 1.0, stopped))


def course(name: str, options: CompilerOptions, flags: frozenset[str], models: int = 1) -> list[Next]:
    """All that is tried after failures of one kind."""
    tries, steps = [tried(name, options)], list[Next]()
    while (following := next_try(tries, flags, models, 90)) is not None:
        steps.append(following)
        tries.append(tried(name, following.options))
        assert len(steps) < 50
    return steps


@pytest.mark.parametrize("failure", Failure)
def test_only_failures_that_may_go_away_are_tried_again(failure: Failure) -> None:
    assert bool(course(failure.name, CompilerOptions(), NEW)) == (failure in WORTH)


def test_an_internal_error_is_tried_again_as_it_is() -> None:
    steps = course("INTERNAL", CompilerOptions(), OLD)
    assert [step.options for step in steps] == [CompilerOptions()] * (REPEATS - 1)
    assert steps[-1].note == f"internal compiler error; another try ({REPEATS} of {REPEATS})"


def test_a_crash_is_tried_again_with_a_search() -> None:
    [step] = course("CRASH", CompilerOptions(segments=2), NEW)
    assert step.options == CompilerOptions(segments=2, search_delegate=True, search_step=3)
    assert "--search-delegate" in step.note


def test_a_crash_without_a_word_counts_as_one() -> None:
    assert next_try([tried("nothing", status=139)], NEW, 1, 3) is not None
    assert next_try([tried("nothing", status=1)], NEW, 1, 3) is None


def test_a_search_is_not_tried_where_it_cannot_be() -> None:
    assert course("CRASH", CompilerOptions(), OLD) == []
    assert course("CRASH", CompilerOptions(), NEW, models=2) == []
    assert course("CRASH", CompilerOptions(search_delegate=True), NEW) == []


def test_several_subgraphs_are_given_up_last() -> None:
    steps = course("ACTIVATIONS", CompilerOptions(multiple_subgraphs=True), NEW)
    assert [(step.options.multiple_subgraphs, step.options.search_delegate) for step in steps] == [
        (True, True),
        (False, False),
        (False, True),
    ]


def test_a_user_may_not_want_that() -> None:
    assert course("INTERNAL", CompilerOptions(retry=False), NEW) == []


@pytest.mark.parametrize("stop", Stop)
def test_what_was_stopped_is_not_tried_again(stop: Stop) -> None:
    assert next_try([tried("INTERNAL", stopped=stop)], NEW, 1, 90) is None


def test_the_deadline_is_later_than_the_compilers_own() -> None:
    assert deadline(CompilerOptions(timeout=100), NEW) > 100
    assert deadline(CompilerOptions(timeout=100, segments=4), NEW) > 400
    assert deadline(CompilerOptions(timeout=100, search_delegate=True), NEW) > 1000


def test_without_one_of_its_own_it_is_what_the_user_says() -> None:
    assert deadline(CompilerOptions(timeout=100), OLD) == 100
