"""The next try when Google's compiler fails without a reason that lies in the model; as its users do.

- "Internal compiler error": versions up to 15 fail at random, and compile the same file at another try
  (google-coral/edgetpu issues 211 and 173).
- Crashes, failures without a word and large activations of version 16: --search_delegate (601, 728, 671).
- --enable_multiple_subgraphs is experimental, and fails on models that compile without it (189, 356).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from coralforge.compile.local import Ended
from coralforge.compile.messages import Failure
from coralforge.compile.options import CompilerOptions
from coralforge.compile.output import CompilerRun

REPEATS = 5
_STEPS = 30  # of a search: each one is a compilation
_WORTH = (Failure.INTERNAL, Failure.CRASH, Failure.UNEXPLAINED, Failure.ACTIVATIONS)


@dataclass(frozen=True)
class Try:
    """One run of the compiler that failed."""

    options: CompilerOptions
    run: CompilerRun
    ended: Ended


@dataclass(frozen=True)
class Next:
    """The options of the next try, and a sentence that says so."""

    options: CompilerOptions
    note: str


def next_try(tries: Sequence[Try], flags: frozenset[str], models: int, operations: int) -> Next | None:
    """The next try after ``tries``, of which there is one at least; None to give up.

    Args:
        flags: what the compiler understands.
        models: how many are compiled together.
        operations: how many the largest of them has.
    """
    last = tries[-1]
    options, failure = last.options, last.run.failure
    crashed = failure is None and last.ended.status > 128
    if not options.retry or last.ended.stopped is not None or not (failure in _WORTH or crashed):
        return None
    failures = sum(one.run.failure is Failure.INTERNAL for one in tries)
    if failure is Failure.INTERNAL and failures < REPEATS:
        return Next(options, f"internal compiler error; another try ({failures + 1} of {REPEATS})")
    why = "large activations" if failure is Failure.ACTIVATIONS else "the compiler failed by a fault of its own"
    if "search_delegate" in flags and not options.search_delegate and models == 1:
        step = max(1, operations // _STEPS) if "delegate_search_step" in flags else None
        searching = replace(options, search_delegate=True, search_step=step)
        return Next(searching, f"{why}; another try with --search-delegate, which may leave more to the CPU")
    if options.multiple_subgraphs:
        plainer = replace(tries[0].options, multiple_subgraphs=False)
        return Next(plainer, f"{why}; another try without --multiple-subgraphs")
    return None


def deadline(options: CompilerOptions, flags: frozenset[str]) -> float:
    """How long a run may take, in seconds: more than the compiler allows itself, so that it can say why it stops."""
    once = options.timeout * options.segments
    if "timeout_sec" not in flags:
        return once
    return 60 + (once + 15) * (_STEPS if options.search_delegate else 1)
