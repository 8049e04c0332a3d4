"""Reads what Google's compiler prints and what it writes into .log files. Pure; lines are found by what they say.

The text is hostile until read: its size is bounded by who collected it, everything that is kept of it here. What is
kept has no characters that act on a terminal. Lines that are not known are skipped; statuses that are not known are
kept as they are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from coralforge.compile import messages
from coralforge.compile.messages import Failure, numbers_of
from coralforge.edgetpu.operators import Status

_LINE = 2_000  # characters of a line that are looked at
_MODELS = 256
_ROWS = 2_000
_EVIDENCE = 20
_CONFIRMS = (16,)  # the first version that prints "Compilation succeeded!"

_TEXTS = {"Input model": "source", "Output model": "output", "Operation log": "log"}
_SIZES = {
    "Input size": "source_bytes",
    "Output size": "output_bytes",
    "On-chip memory used for caching model parameters": "cached_bytes",
    "On-chip memory remaining for caching model parameters": "remaining_bytes",
    "On-chip memory available for caching model parameters": "available_bytes",
    "Off-chip memory used for streaming uncached model parameters": "streamed_bytes",
}
_COUNTS = {
    "Number of Edge TPU subgraphs": "subgraphs",
    "Total number of operations": "operations",
    "Number of operations that will run on Edge TPU": "on_tpu",
    "Number of operations that will run on CPU": "on_cpu",
}
_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True)
class Row:
    """A row of the table: so many operations of one kind have this status. One kind may have several rows."""

    operator: str
    count: int
    status: str

    @property
    def known(self) -> Status | None:
        """The status, if it is one that coralforge knows."""
        return _STATUSES.get(self.status)


@dataclass(frozen=True)
class CompiledReport:
    """The compiler's statements on one model that it wrote. Sizes are in bytes; None where it says nothing."""

    source: str
    output: str = ""
    log: str = ""
    source_bytes: int | None = None
    output_bytes: int | None = None
    cached_bytes: int | None = None
    """Parameters that stay in the chip's memory."""
    remaining_bytes: int | None = None
    """Bytes left of that memory."""
    available_bytes: int | None = None
    """Version 2.0: all of that memory, what is used of it included."""
    streamed_bytes: int | None = None
    """Parameters that do not fit and are sent for each inference."""
    subgraphs: int | None = None
    operations: int | None = None
    on_tpu: int | None = None
    on_cpu: int | None = None
    rows: tuple[Row, ...] = ()

    @property
    def free_bytes(self) -> int | None:
        """Bytes left of the chip's memory, whichever way the version says it."""
        if self.remaining_bytes is None and self.available_bytes is not None:
            return max(0, self.available_bytes - (self.cached_bytes or 0))
        return self.remaining_bytes


@dataclass(frozen=True)
class CompilerRun:
    """The statements of one run of the compiler; whether they are true is another matter."""

    version: str | None
    """None: this is not the compiler."""
    succeeded: bool
    """It says so in the way of its version, and of nothing that failed after that."""
    reports: tuple[CompiledReport, ...]
    failure: Failure | None
    """Why it failed last; None if it succeeded, or did not say."""
    evidence: tuple[str, ...]
    """The lines that say so."""
    attempts: int
    """How often it tried, by itself: more than once with --search_delegate and with segments."""
    warnings: tuple[str, ...]
    cut: bool
    """There was more than is kept here."""

    def facts(self) -> tuple[tuple[str, ...], ...]:
        """Names in the evidence: operators with versions, for example."""
        if self.failure is None:
            return ()
        found = (messages.facts_in(self.failure, line) for line in self.evidence)
        return tuple(dict.fromkeys(fact for fact in found if fact))


@dataclass(frozen=True)
class OperationLog:
    """A .log file."""

    version: str | None
    source: str
    output: str
    rows: tuple[Row, ...]


def parse_output(text: str) -> CompilerRun:
    """Read stdout and stderr of one run, in the order in which they came. Never fails."""
    reader = _Reader()
    for line in _lines(text):
        reader.take(line)
    version = reader.version
    confirmed = reader.confirmed or version is None or numbers_of(version) < _CONFIRMS
    failure, evidence = reader.why()
    succeeded = version is not None and reader.done and confirmed and failure is None
    return CompilerRun(
        version=version,
        succeeded=succeeded,
        reports=tuple(replace(one.report, rows=tuple(one.rows)) for one in reader.models),
        failure=failure,
        evidence=evidence,
        attempts=reader.attempts,
        warnings=tuple(reader.warnings),
        cut=reader.cut,
    )


def parse_log(text: str) -> OperationLog:
    """Read a .log file. Never fails."""
    version: str | None = None
    names, in_table = {"Input": "", "Output": ""}, False
    rows: list[Row] = []
    for line in _lines(text):
        name, colon, value = line.partition(":")
        if found := messages.VERSION.match(line):
            version = found[1]
        elif messages.TABLE.match(line):
            in_table = True
        elif in_table and (row := _row(line)) is not None and len(rows) < _ROWS:
            rows.append(row)
        elif colon and name.strip() in names:
            names[name.strip()] = value.strip()
    return OperationLog(version, names["Input"], names["Output"], tuple(rows))


@dataclass
class _Open:
    """A model that is being read."""

    report: CompiledReport
    rows: list[Row] = field(default_factory=list)


@dataclass
class _Reader:
    version: str | None = None
    done: bool = False
    confirmed: bool = False
    attempts: int = 0
    cut: bool = False
    in_table: bool = False
    models: list[_Open] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    signs: dict[Failure, list[str]] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """One line: what it says, if it is one of those that say something."""
        if messages.TABLE.match(line):
            self.in_table = True
        elif self.in_table and (row := _row(line)) is not None:
            self._keep_row(row)
        else:
            self.in_table = False
            self._say(line)

    def why(self) -> tuple[Failure | None, tuple[str, ...]]:
        """The most telling sign of failure since the last success."""
        if not self.signs:
            return None, ()
        failure = min(self.signs, key=lambda sign: messages.RANKS[sign])
        return failure, tuple(self.signs[failure])

    def _say(self, line: str) -> None:
        if found := messages.VERSION.match(line):
            self.version = self.version or found[1]
        elif messages.SUCCEEDED.match(line):
            self.done, self.confirmed = True, False
            self.signs.clear()
        elif messages.CONFIRMED.match(line):
            self.confirmed = True
        elif messages.ATTEMPT.match(line):
            self.attempts += line.lstrip().startswith("Started")
            self.signs.clear()
            self.done = self.confirmed = False
        elif messages.WARNING.match(line):
            self._keep(self.warnings, line)
        elif (failure := messages.failure_in(line)) is not None:
            self.done = False
            self._keep(self.signs.setdefault(failure, []), line)
        else:
            self._field(line)

    def _field(self, line: str) -> None:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon:
            return
        if name == "Input model":
            self._open(value)
        elif self.models:
            last = self.models[-1]
            change: dict[str, Any] = {}
            if name in _TEXTS:
                change = {_TEXTS[name]: value}
            elif name in _SIZES:
                change = {_SIZES[name]: messages.bytes_of(value)}
            elif name in _COUNTS:
                change = {_COUNTS[name]: messages.count_of(value)}
            if change:
                last.report = replace(last.report, **change)

    def _open(self, source: str) -> None:
        if len(self.models) < _MODELS:
            self.models.append(_Open(CompiledReport(source)))
        else:
            self.cut = True

    def _keep_row(self, row: Row) -> None:
        if self.models and len(self.models[-1].rows) < _ROWS:
            self.models[-1].rows.append(row)
        else:
            self.cut = True

    def _keep(self, kept: list[str], line: str) -> None:
        if len(kept) < _EVIDENCE:
            kept.append(line.strip())
        else:
            self.cut = True


def _row(line: str) -> Row | None:
    found = messages.ROW.match(line)
    return Row(found[1], int(found[2]), found[3]) if found else None


def _lines(text: str) -> Iterator[str]:
    """Lines that are not empty, without what could act on a terminal; one at a time, as a list would cost memory."""
    for line in io.StringIO(text, newline=None):
        short = line[:_LINE].replace("\t", " ").rstrip()
        if short:
            yield short if short.isprintable() else "".join(c for c in short if c.isprintable())
