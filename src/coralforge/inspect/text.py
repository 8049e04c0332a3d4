"""An inspection for a terminal: tables with rich on one, plain lines elsewhere (a pipe, CI)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from coralforge.edgetpu.evidence import Certainty
from coralforge.edgetpu.operators import Status, newest_versions
from coralforge.inspect import words
from coralforge.inspect.inspection import Inspection, Located
from coralforge.tflite.graph import CUSTOM, Tensor

REFUSALS = "Why the model would be refused"
WARNINGS = "Warnings"
DOUBTS = "What is not sure"
REMARKS = "Where the compiler decided other than the rules known here"
EDGES = "Inputs and outputs"
OPERATORS = "Operators"
_MOST = 40  # rows of a table; the JSON and the page have all
_UNBROKEN = 28  # characters of a cell that stays on one line: the longest operator that can be mapped
_NAME = 40  # characters of a tensor's name

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A titled table of texts. The last column may be long."""

    title: str
    columns: Row
    rows: Sequence[Row]


@dataclass(frozen=True)
class Report:
    """The sections of the text, in this order."""

    headline: str
    facts: words.Facts
    tables: Sequence[Table]
    notes: Sequence[str]


def show(inspection: Inspection, stream: TextIO) -> None:
    """Write the inspection to ``stream``, in the form that fits where it goes."""
    write(report_of(inspection), stream)


def write(report: Report, stream: TextIO) -> None:
    """Write a report: tables with rich on a terminal, plain lines elsewhere."""
    if stream.isatty():
        _rich(report, stream)
    else:
        stream.write(plain_text(report))


def report_of(inspection: Inspection) -> Report:
    """The parts of the text, apart from how they are set."""
    tables = [
        _refusals(inspection),
        _warnings(inspection),
        _edges(inspection),
        _operators(inspection),
        _left(inspection),
        _remarks(inspection),
        _doubts(inspection),
        _advice(inspection),
    ]
    shown = [table for table in tables if table.rows]
    return Report(words.headline(inspection), words.facts(inspection), shown, words.notes(inspection))


def plain_text(report: Report) -> str:
    """Lines of aligned columns; long last columns are not broken, so that lines can be searched."""
    lines = [report.headline, "", *_aligned(report.facts)]
    for table in report.tables:
        lines += ["", f"{table.title}:", *_aligned([table.columns, *table.rows])]
    lines += ["", *(f"note: {note}" for note in report.notes)] if report.notes else []
    return "\n".join(lines) + "\n"


def _refusals(inspection: Inspection) -> Table:
    rows = []
    for one in inspection.refusals:
        details = one.details.splitlines()
        more = [f"and {len(details) - 5} more"] if len(details) > 5 else []
        rows.append(
            (one.reason, ". ".join(["; ".join([one.brief, *details[:5], *more]), f"What to do: {one.remedy}"]))
        )
    return Table(REFUSALS, ("Reason", "What is wrong"), rows)


def _edges(inspection: Inspection) -> Table:
    tensors = inspection.graph.tensors
    edges = [("in", tensors[index]) for index in inspection.graph.inputs]
    edges += [("out", tensors[index]) for index in inspection.graph.outputs]
    rows = [_edge(way, tensor) for way, tensor in edges]
    return Table(EDGES, ("", "Name", "Type", "Shape", "Quantization"), _some(rows))


def _edge(way: str, tensor: Tensor) -> Row:
    return way, words.short(tensor.name, _NAME), tensor.kind, words.shape(tensor), words.quantization(tensor)


def _operators(inspection: Inspection) -> Table:
    """One row for each operator, version and place."""
    rows = Counter(
        (one.called, one.operation.version, words.PLACES[one.place], one.operation.name == CUSTOM)
        for one in inspection.operations
    )
    newest = newest_versions()
    listed = [
        (words.short(name, 30), str(count), where, str(version), "" if custom else str(newest.get(name, 0) or "none"))
        for (name, version, where, custom), count in sorted(rows.items())
    ]
    return Table(OPERATORS, ("Operator", "Count", "Where", "Version", "Readable up to"), _some(listed))


def _left(inspection: Inspection) -> Table:
    """One row for each rule that is broken, in the order in which they are first met."""
    groups: dict[tuple[Status, str, Certainty], list[Located]] = {}
    for one in inspection.on_cpu:
        groups.setdefault((one.status, one.decision.rule, one.decision.certainty), []).append(one)
    rows = [
        _group(group, words.reason(group[0], _distinct([one.decision.why for one in group], "; ")))
        for group in groups.values()
    ]
    what = "What would stay on the CPU, and why" if inspection.predicted else "What is left on the CPU, and why"
    return Table(what, ("No.", "Operator", "Why"), _some(rows))


def _remarks(inspection: Inspection) -> Table:
    groups: dict[str, list[Located]] = {}
    for one in inspection.operations:
        if one.remark:
            groups.setdefault(one.remark, []).append(one)
    return Table(REMARKS, ("No.", "Operator", "Remark"), _some([_group(g, text) for text, g in groups.items()]))


def _doubts(inspection: Inspection) -> Table:
    """Operations of which it is not sure where they run, and where their limits are known from."""
    groups: dict[tuple[Certainty, str], list[Located]] = {}
    for one in inspection.operations:
        decision = one.decision
        if decision.certainty is not Certainty.SURE and decision.rule not in ("", "one-subgraph"):
            groups.setdefault((decision.certainty, decision.rule), []).append(one)
    rows = [
        _group(group, f"{certainty.value}: {_distinct([one.decision.why for one in group], '; ')}{_sources(rule)}")
        for (certainty, rule), group in groups.items()
    ]
    return Table(DOUBTS, ("No.", "Operator", "What is known"), _some(rows))


def _sources(rule: str) -> str:
    sources = words.sources(rule)
    return f" ({sources})" if sources else ""


def _group(group: Sequence[Located], text: str) -> Row:
    return (
        words.numbers([one.operation.index for one in group]),
        _distinct([words.short(one.called, 30) for one in group], ", "),
        text,
    )


def _warnings(inspection: Inspection) -> Table:
    rows = [(one.name, words.numbers(one.operations), one.text) for one in inspection.warnings]
    return Table(WARNINGS, ("Warning", "No.", "What may go wrong"), rows)


def _distinct(texts: Sequence[str], between: str) -> str:
    return between.join(words.some(list(dict.fromkeys(texts))))


def _advice(inspection: Inspection) -> Table:
    rows = [(words.gain(one), words.numbers(one.operations), one.text) for one in inspection.advice]
    return Table("What to change, by what it wins", ("Wins", "No.", "Advice"), rows)


def _some(rows: Sequence[Row]) -> Sequence[Row]:
    if len(rows) <= _MOST:
        return rows
    rest = f"and {len(rows) - _MOST} more; --json and --html have all"
    return [*rows[:_MOST], (*[""] * (len(rows[0]) - 1), rest)]


def _aligned(rows: Sequence[Row]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rich(report: Report, stream: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    colours = {"Edge TPU": "green", "CPU": "yellow", "SIMULATED": "magenta"}
    console.print(Text(report.headline, style="bold"))
    facts = RichTable(box=None, show_header=False, padding=(0, 2, 0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in report.facts:
        facts.add_row(Text(name), Text(value))
    console.print(facts)
    for table in report.tables:
        shown = RichTable(box=SIMPLE_HEAD, title=table.title, title_justify="left", title_style="bold", expand=False)
        for number, column in enumerate(table.columns):
            widest = max(len(row[number]) for row in table.rows)
            whole = widest <= _UNBROKEN and number + 1 < len(table.columns)
            shown.add_column(column, overflow="fold", min_width=widest if whole else None)
        for row in table.rows:
            shown.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in row))
        console.print(shown)
    for note in report.notes:
        console.print(Text(f"note: {note}", style="dim"))
