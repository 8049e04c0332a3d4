"""Holds a prediction against what Google's compiler did: a compiled file, or its log. Pure.

A decision that was said to be not known is no difference, whichever way the compiler took it: it is listed apart,
since it says more of where a limit lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.compile.output import OperationLog
from coralforge.edgetpu.evidence import Certainty
from coralforge.edgetpu.operators import Status
from coralforge.edgetpu.partition import Decision, Partition, Side, partition
from coralforge.edgetpu.requirements import refusals
from coralforge.errors import CoralforgeError, user_error
from coralforge.inspect.inspection import Form
from coralforge.inspect.pair import edges_that_differ, moved_to_tpu, not_a_pair
from coralforge.inspect.programs import compiled_operations, form_of
from coralforge.tflite.graph import CUSTOM
from coralforge.tflite.model import Model


@dataclass(frozen=True)
class Difference:
    """Operations that the compiler put elsewhere: one of them by a compiled file, all of one kind by a log."""

    operator: str
    operations: tuple[int, ...]
    predicted: str
    real: str
    why: str
    rule: str


@dataclass(frozen=True)
class Comparison:
    """A prediction and the truth. ``mapped`` is how many operations the compiler mapped."""

    plain: Path
    other: Path
    operations: int
    mapped: int
    predicted: Partition
    differences: tuple[Difference, ...]
    open: tuple[Difference, ...]
    """Where it was not known, and the compiler did not do as was guessed."""
    notes: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs that was thought to be known."""
        return not self.differences


def with_compiled(plain: Model, compiled: Model) -> Comparison:
    """Compare operation by operation with a compiled file.

    Raises:
        CoralforgeError: reason ``model-pair`` (exit code 2): the two do not belong together, or the second is not
            compiled for hardware; ``model-package``.
    """
    if form_of(compiled) is not Form.COMPILED:
        raise not_a_pair(compiled, plain, f"{compiled.path} is not compiled for an Edge TPU")
    inside = moved_to_tpu(compiled, plain, exact=False)
    several = len(compiled_operations(compiled.graph)) > 1
    predicted = partition(plain.graph)
    found = [
        _difference(one, one.operation.index in inside)
        for one in predicted.decisions
        if _mapped(one, several) is not (one.operation.index in inside)
    ]
    notes = ["compiled with --enable_multiple_subgraphs: each operation was compared by itself"] if several else []
    if edges := edges_that_differ(compiled, plain):
        notes.append(f"the two are not from the same conversion: {edges[0]}")
    return _comparison(plain, compiled.path, len(inside), predicted, found, notes)


def with_log(plain: Model, path: Path, log: OperationLog) -> Comparison:
    """Compare, operator by operator, with the table of a compiler's log, which does not tell operations apart.

    Raises:
        CoralforgeError: reason ``model-pair``, exit code 2: the log is of another model.
    """
    predicted = partition(plain.graph)
    listed: Counter[str] = Counter()
    mapped: Counter[str] = Counter()
    for row in log.rows:
        listed[row.operator] += row.count
        mapped[row.operator] += row.count if row.known is Status.MAPPED else 0
    decisions: dict[str, list[Decision]] = {}
    for one in predicted.decisions:
        decisions.setdefault(one.operation.name, []).append(one)
    wrong = [
        f"{name}: {listed[name]} in the log, {len(decisions.get(name, ()))} in the model"
        for name in sorted(listed.keys() | decisions.keys())
        if listed[name] != len(decisions.get(name, ()))
    ]
    if wrong:
        raise user_error(
            f"the log {path} is not of {plain.path}",
            reason="model-pair",
            details="\n".join(wrong[:10]),
            remedy="give the log that the compiler wrote for this model, with its whole table",
        )
    several = Status.SECOND_SUBGRAPH.value not in {row.status for row in log.rows} and _second(predicted)
    found = [two for name, all_ in decisions.items() if (two := _counted(name, all_, mapped[name], several))]
    return _comparison(plain, path, mapped.total(), predicted, found, [])


def _comparison(
    plain: Model,
    other: Path,
    mapped: int,
    predicted: Partition,
    found: Sequence[tuple[Difference, bool]],
    notes: Sequence[str],
) -> Comparison:
    refused = [
        Difference("all", (), "refused", "compiled", error.brief, error.reason)
        for error in refusals(plain, predicted)
        if error.reason != "model-per-channel"  # the compiler takes these; what runs its output does not
    ]
    differences = [one for one, known in found if known]
    return Comparison(
        plain.path,
        other,
        len(predicted.decisions),
        mapped,
        predicted,
        (*refused, *differences),
        tuple(one for one, known in found if not known),
        tuple(notes),
    )


def _mapped(decision: Decision, several: bool) -> bool:
    """Whether it is predicted to be mapped; with several subgraphs, what only follows another operation is, too."""
    return decision.side is Side.TPU or (several and decision.status is Status.SECOND_SUBGRAPH)


def _second(predicted: Partition) -> bool:
    return any(one.status is Status.SECOND_SUBGRAPH for one in predicted.decisions)


def _difference(decision: Decision, really: bool) -> tuple[Difference, bool]:
    operation = decision.operation
    places = ("Edge TPU", "CPU") if really else ("CPU", "Edge TPU")
    one = Difference(
        operation.custom_code or operation.name,
        (operation.index,),
        places[1],
        places[0],
        decision.why,
        decision.rule,
    )
    return one, decision.certainty is not Certainty.UNKNOWN


def _counted(name: str, decisions: Sequence[Decision], mapped: int, several: bool) -> tuple[Difference, bool] | None:
    wanted = sum(_mapped(one, several) for one in decisions)
    if wanted == mapped:
        return None
    doubtful = [one for one in decisions if one.certainty is Certainty.UNKNOWN]
    sure = sum(_mapped(one, several) and one.certainty is not Certainty.UNKNOWN for one in decisions)
    known = not sure <= mapped <= sure + len(doubtful)
    told = doubtful or [one for one in decisions if _mapped(one, several) is (wanted > mapped)]
    first = next((one for one in told if one.why), told[0] if told else decisions[0])
    label = first.operation.custom_code if name == CUSTOM else name
    difference = Difference(
        label or name,
        tuple(one.operation.index for one in told),
        f"{wanted} of {len(decisions)} mapped",
        f"{mapped} of {len(decisions)} mapped",
        first.why,
        first.rule,
    )
    return difference, known


@dataclass(frozen=True)
class Row:
    """One pair of a folder: what came of it, or why it could not be compared."""

    name: str
    comparison: Comparison | None
    error: str = ""


def compare_all(pairs: Sequence[tuple[str, Callable[[], Comparison]]]) -> tuple[Row, ...]:
    """Compare pairs one after the other, so that only one is in memory; an error is a row."""
    rows = []
    for name, compare in pairs:
        try:
            rows.append(Row(name, compare()))
        except CoralforgeError as error:
            details = error.details.splitlines()
            rows.append(Row(name, None, f"{error.reason}: {details[0] if details else error.brief}"))
    return tuple(rows)
