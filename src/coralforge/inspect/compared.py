"""Comparisons of predictions with the compiler for a terminal: of one pair, or a table of many."""

from __future__ import annotations

from collections.abc import Sequence

from coralforge.inspect import words
from coralforge.inspect.compare import Comparison, Difference, Row
from coralforge.inspect.text import Report, Table
from coralforge.tflite.graph import text

_MOST = 200  # differing operations of one pair
_FEW = 3  # of one row


def report_of_one(comparison: Comparison) -> Report:
    """Which operations differ, and which were not known."""
    facts = [
        ("Predicted", _predicted(comparison)),
        ("Compiler", f"{comparison.mapped} of {words.counted(comparison.operations)} mapped"),
        ("Result", _result(comparison)),
    ]
    tables = [
        _table("Operators that differ", comparison.differences),
        _table("Not known before: the compiler shows where a limit lies", comparison.open),
    ]
    headline = f"{text(comparison.plain.name)} against {text(comparison.other.name)}"
    return Report(headline, facts, [table for table in tables if table.rows], comparison.notes)


def report_of_all(folder: str, rows: Sequence[Row]) -> Report:
    """One row for each pair, and how many agree."""
    found = [one.comparison for one in rows if one.comparison is not None]
    agree = sum(one.agrees for one in found)
    facts = [
        ("Pairs", str(len(rows))),
        ("Agree, op for op", str(agree)),
        ("Differ", str(len(found) - agree)),
        ("Not compared", str(len(rows) - len(found))),
        ("Operations", f"{sum(one.operations for one in found)}, of which {_differing(found)} differ"),
    ]
    columns = ("Pair", "Operations", "Mapped", "Predicted", "Result")
    return Report(f"Pairs in {text(folder)}", facts, [Table("Pairs", columns, [_row(one) for one in rows])], [])


def _row(row: Row) -> tuple[str, ...]:
    one = row.comparison
    if one is None:
        return words.short(text(row.name), 80), "", "", "", f"not compared: {row.error}"
    return (
        words.short(text(row.name), 80),
        str(one.operations),
        str(one.mapped),
        _span(one),
        _result(one),
    )


def _differing(found: Sequence[Comparison]) -> int:
    return sum(max(1, len(difference.operations)) for one in found for difference in one.differences)


def _predicted(one: Comparison) -> str:
    return f"{_span(one)} of {words.counted(one.operations)} mapped"


def _span(one: Comparison) -> str:
    known = one.predicted
    return str(known.mapped) if known.least == known.most else f"{known.mapped} ({known.least} to {known.most})"


def _result(one: Comparison) -> str:
    open_ = f"; {len(one.open)} that were not known" if one.open else ""
    if one.agrees:
        return f"agrees{open_}"
    shown = [f"{words.numbers(d.operations)} {d.operator}".strip() for d in one.differences]
    return f"{len(one.differences)} differ: {', '.join(words.some(shown, _FEW))}{open_}"


def _table(title: str, differences: Sequence[Difference]) -> Table:
    rows = [
        (
            words.numbers(one.operations),
            words.short(one.operator, 30),
            one.predicted,
            one.real,
            ": ".join(part for part in (one.rule, words.short(one.why, 200)) if part),
        )
        for one in differences[:_MOST]
    ]
    if len(differences) > _MOST:
        rows.append(("", "", "", "", f"and {len(differences) - _MOST} more"))
    return Table(title, ("No.", "Operator", "Predicted", "Compiler", "By the rule"), rows)
