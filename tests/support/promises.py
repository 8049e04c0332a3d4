"""The fault matrix: what coralforge promises when something breaks, tried many times, as rows of one table.

A test names its promise by `@promised(Promise(...))` and asks for the fixture ``trial``, which says how many cases to
try: a few, drawn by a seed, in the suite, and all of them under `invoke selftest`. A promise's negative control is a
test of its own that turns the protection off and must see the fault: `@promised(..., control=True)`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import pytest

SEED = 20261128
MARKER = "promise"
RESULTS = "<!-- Results: written by invoke selftest --table FILE, chapter by chapter. -->"
Case = TypeVar("Case")
Test = Callable[..., Any]


@dataclass(frozen=True)
class Promise:
    """One row of docs/reliability.md."""

    chapter: str
    """The part that breaks: "Sources", "Store", ..."""
    text: str
    """A sentence: this holds nevertheless."""
    tried: str
    """How it is tried, and in which ways."""
    control: str
    """Which protection the negative control turns off, and what is seen then."""


def promised(promise: Promise, *, control: bool = False) -> Callable[[Test], Test]:
    """The test tries ``promise``, or is its negative control."""
    return pytest.mark.promise(promise, control)


@dataclass(frozen=True)
class Form:
    """How much every test tries."""

    seed: int = SEED
    long: bool = False
    minutes: float | None = None
    """After so long a test begins no further case; the cases are in an order that the seed draws."""

    def __str__(self) -> str:
        if not self.long:
            return f"Seed {self.seed}, short form, as in the suite."
        limit = "" if self.minutes is None else f" --minutes {self.minutes:g}"
        return f"Seed {self.seed}, long form (`invoke selftest{limit}`)."


@dataclass
class Trial:
    """How much one test tries, and how much it tried."""

    form: Form
    count: int = 0
    """Cases that were begun."""
    total: int = 0
    """Cases that there would have been without a limit of time."""
    began: float = field(default_factory=time.monotonic)

    @property
    def long(self) -> bool:
        return self.form.long

    def random(self, *salt: object) -> random.Random:
        """Random numbers that are the same for the same seed and salt."""
        return random.Random(f"{self.form.seed} {salt}")

    def cases(self, every: Iterable[Case], short: int) -> Iterable[Case]:
        """All of ``every`` in the long form, else ``short`` of them drawn by the seed; each counts when it begins."""
        chosen: Sequence[Case] = tuple(every)
        if not self.long and len(chosen) > short:
            chosen = self.random("cases").sample(chosen, short)
        elif self.form.minutes is not None:
            chosen = self.random("order").sample(chosen, len(chosen))
        yield from self._counted(chosen)

    def times(self, long: int, short: int) -> Iterable[int]:
        """Numbers from 0: ``long`` of them in the long form, else ``short``; each counts when it begins."""
        yield from self._counted(range(long if self.long else short))

    def ran(self, found: Sequence[Case]) -> Iterable[Case]:
        """All of ``found``, which were tried in one go, whatever the limit of time; each counts."""
        self.total += len(found)
        for case in found:
            self.count += 1
            yield case

    def _counted(self, chosen: Sequence[Case]) -> Iterable[Case]:
        self.total += len(chosen)
        limit = inf if self.form.minutes is None else self.form.minutes * 60
        for case in chosen:
            if self.count and time.monotonic() - self.began > limit:
                return
            self.count += 1
            yield case


@dataclass
class Row:
    """The findings of all tests of one promise."""

    promise: Promise
    tried: int = 0
    controls: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    total: int = 0
    """Cases that there would have been without a limit of time."""


def collect(rows: dict[Promise, Row], item: pytest.Item, report: pytest.TestReport) -> None:
    """Add what one phase of a test found to the row of its promise."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return
    promise, control = marker.args
    row = rows.setdefault(promise, Row(promise))
    if report.failed:
        row.failed.append(item.name)
    elif report.skipped:
        row.skipped.append(item.name)
    elif report.when == "call":
        trial = getattr(item, "funcargs", {}).get("trial")
        count = trial.count if isinstance(trial, Trial) and trial.count else 1
        if control:
            row.controls += count
        else:
            row.tried += count
            row.total += max(count, trial.total if isinstance(trial, Trial) else 0)


def table(rows: Iterable[Row], form: Form) -> str:
    """The rows as Markdown, by chapter, each with the seed and the form in which it was tried."""
    return "\n".join(_chapters(rows, form).values())


def write_table(path: Path, rows: Iterable[Row], form: Form) -> None:
    """Put the chapters that were tried into a Markdown file, behind ``RESULTS``; all other text stays as it is.

    So the table can be made in several runs. A file that is not there, or has no such line, gets one.
    """
    before, _, after = (path.read_text(encoding="utf-8") if path.exists() else "").partition(RESULTS)
    known = {part.partition("\n")[0].removeprefix("### "): part for part in _split(after)}
    chapters = known | _chapters(rows, form)
    path.write_text("\n".join((before.rstrip() + "\n", RESULTS, "", *chapters.values())).lstrip(), encoding="utf-8")


def _split(text: str) -> list[str]:
    return [f"### {part}" for part in text.split("\n### ")[1:]]


def _chapters(rows: Iterable[Row], form: Form) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for row in rows:
        head = [f"### {row.promise.chapter}", "", str(form), ""]
        head += ["| promise | how tried | N | result | negative control |", "|---|---|---|---|---|"]
        found.setdefault(row.promise.chapter, head).append(_line(row))
    return {chapter: "\n".join((*lines, "")) for chapter, lines in found.items()}


def _line(row: Row) -> str:
    control = f"{row.promise.control} ({row.controls} tried)" if row.controls else f"not run: {row.promise.control}"
    tried = f"{row.tried} of {row.total}" if row.tried < row.total else str(row.tried)
    cells = (row.promise.text, row.promise.tried, tried, _result(row), control)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _result(row: Row) -> str:
    if row.failed:
        return f"**failed**: {', '.join(sorted(set(row.failed)))}"
    if row.skipped:
        return f"not run: {', '.join(sorted(set(row.skipped)))}"
    return "held" if row.tried else "not run"
