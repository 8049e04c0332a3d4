"""Runs a bundle's own smoke.sh on a board, emulated or not, and reports what happened.

``bench.py`` says where that is. Its word is not trusted: success needs the exit status, a well-formed report, and
every step in it.
"""

from __future__ import annotations

import json
import platform
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from coralforge.bundle import emulated
from coralforge.bundle.bench import BOARD, REPORT, TIMED_OUT, Bench, Trial
from coralforge.bundle.manifest import NAME
from coralforge.bundle.onboard import SECONDS
from coralforge.bundle.opened import Opened, open_archive
from coralforge.bundle.page import html
from coralforge.bundle.report import Board, BoardReport
from coralforge.config.base import Variant
from coralforge.containers.spec import Finished
from coralforge.errors import CoralforgeError, missing_error, smoke_error
from coralforge.events import Note, Output, Sink, Step
from coralforge.util import atomic
from coralforge.util.plain import as_bytes
from coralforge.util.scratch import scratch

_MAX_REPORT = 1 << 20
_TAIL = 20


@dataclass(frozen=True)
class Site:
    """The board that smoke.sh ran on."""

    called: str
    """For people."""
    where: str
    """The same in a sentence: "on ..."."""
    data: dict[str, JsonValue]
    """Its part of the report."""
    caveats: tuple[str, ...] = ()
    """Sentences on all that was not shown on it."""

    @classmethod
    def of_image(cls, board: Board, result: BoardReport, image: str) -> Site:
        """An emulated one, as its image says; that is believed before what smoke.sh said."""
        where = "under emulation" if board.emulator else "natively"
        where = "on an emulated board with a kernel of its own," if board.kernel else where
        said = result.board.model_dump(mode="json")
        return cls(
            called=f"userland {board.called()}",
            where=f"{where} on {board.called()}",
            data={
                "emulated": bool(board.emulator),
                "processor": _processor(board),
                "board": said | board.data(),
                "image": image,
            },
            caveats=(f"{board.userland}: {board.masked}",) if board.masked else (),
        )

    @classmethod
    def of_report(cls, result: BoardReport, target: str) -> Site:
        """The one that a user named, as smoke.sh says."""
        board = result.board
        emulator = f"emulated: {result.emulated}" if result.emulated else None
        parts = [part for part in (board.model, board.machine, board.kernel, board.libc, emulator) if part]
        called = f"{target} ({', '.join(parts) or 'a board that does not say what it is'})"
        return cls(
            called=called,
            where=f"on {called}",
            data={"emulated": result.emulated, "board": board.model_dump(mode="json"), "target": target},
        )


@dataclass(frozen=True)
class Report:
    """A smoke test that passed. ``seconds`` is its wall time, ``data`` what the report file holds."""

    bundle: str
    digest: str
    variant: Variant
    simulated: bool
    where: str
    """On which board, for people."""
    steps: tuple[str, ...]
    seconds: float
    data: dict[str, JsonValue]

    def summary(self) -> str:
        """One sentence for the user."""
        what = " (SIMULATED)" if self.simulated else " (emulated device)" if "device" in self.data else ""
        return (
            f"{self.bundle}: {', '.join(self.steps)} passed in {self.seconds:.1f} s {self.where}; "
            f"variant {self.variant.value}{what}"
        )


def run_smoke(
    archive: Path, bench: Bench, work: Path, report: Path, sink: Sink, *, page: Path | None = None
) -> Report:
    """Unpack a bundle below ``work``, run its smoke.sh on ``bench``, and write the JSON report to ``report``.

    Nothing stays in ``work``. The report is written for a failed test too; to ``page`` it is written as a page.

    Raises:
        CoralforgeError: ``bundle-digest``, ``bundle-manifest``, ``bundle-changed``, ``bundle-arch`` (exit code 2);
            ``board-image`` (3); ``smoke-failed``, ``smoke-report``, ``smoke-memory``, ``smoke-device`` (7);
            ``no-space``, ``bundle-write`` (3); and as ``Bench.run``.
    """
    for old in (report, *([page] if page else [])):
        _remove(old)  # what an earlier run said must not stand when this one fails
    with scratch(work, "smoke") as folder:
        opened = open_archive(archive, folder / "bundle")
        out = folder / "report"
        out.mkdir(mode=0o777)
        out.chmod(0o777)  # whatever uid the runner uses
        lines: deque[str] = deque(maxlen=_TAIL)
        sink.emit(Step("smoke"))
        finished = _run(bench, Trial(opened, out, folder), lines, sink)
        sink.emit(Step("smoke", finished.seconds))
        image = _image(bench, opened, out, lines, finished)
        result = _read(BoardReport, out / REPORT, lines, finished)
        compiled = len(emulated.models(opened.folder))
        stats = emulated.read_stats(out / emulated.STATS)
    site = Site.of_image(image, result, bench.name) if image else Site.of_report(result, bench.name)
    caveats = [*([emulated.CAVEAT] if bench.device else []), *site.caveats]
    not_verified = [*opened.manifest.not_verified, *result.not_run(), *caveats]
    data = _data(opened, site, result, finished)
    data["not_verified"] = list(not_verified)
    if bench.device is not None:
        data["device"] = {"kind": "emulated", "models": compiled, "stats": stats}
    _write(report, (json.dumps(data, indent=2, sort_keys=True) + "\n").encode())
    if page is not None:
        _write(page, as_bytes(html(data)))
    _judge(opened, site, result, finished, lines)
    if bench.device is not None and compiled and not result.simulated and not emulated.inferences(stats):
        raise _failed("no inference reached the emulated device", "smoke-device", [], lines, finished)
    for problem in (*not_verified, *result.warnings):
        sink.emit(Note(problem, "warning"))
    return Report(
        bundle=archive.name,
        digest=opened.digest,
        variant=Variant(result.variant),
        simulated=result.simulated,
        where=site.where,
        steps=tuple(step.name for step in result.steps if step.status == "passed"),
        seconds=finished.seconds,
        data=data,
    )


def _image(bench: Bench, opened: Opened, out: Path, lines: deque[str], finished: Finished) -> Board | None:
    """The words of an emulated board's image on itself; None for a board of the user's."""
    if bench.real:
        return None
    board: Board = _read(Board, out / BOARD, lines, finished)
    if board.arch is not opened.manifest.arch:
        raise missing_error(
            f"{bench.name} emulates {board.arch.value}, the bundle is for {opened.manifest.arch.value}",
            reason="board-image",
            remedy=f"give --arch {opened.manifest.arch.value}: each architecture has its own image",
        )
    return board


def _run(bench: Bench, trial: Trial, lines: deque[str], sink: Sink) -> Finished:
    def on_line(line: str) -> None:
        lines.append(line)
        sink.emit(Output("smoke", line))

    return bench.run(trial, on_line)


def _read(model: Any, path: Path, lines: deque[str], finished: Finished) -> Any:
    """A JSON file that the container wrote: no link, not too big, of the right form."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_REPORT:
            raise ValueError(f"{path.name} is missing, no regular file, or larger than {_MAX_REPORT} bytes")
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        text = str(error)
        if isinstance(error, ValidationError):
            item = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in item["loc"])
            text = ": ".join(part for part in (path.name, where, item["msg"]) if part)
        raise _failed(
            "the smoke test ended without a report that can be read", "smoke-report", [text], lines, finished
        ) from error


def _judge(opened: Opened, site: Site, result: BoardReport, finished: Finished, lines: deque[str]) -> None:
    """Every sign must say that it passed; they are not believed one by one."""
    failing = result.failing()
    facts = [f"step {step.name} failed{': ' * bool(step.said)}{step.said or ''}" for step in failing]
    fitting = {variant.value: not variant.real for variant in opened.manifest.variants}
    if not failing and fitting.get(result.variant) is not result.simulated:
        facts.append(f"variant {result.variant} with simulated={result.simulated} does not fit {NAME}")
    if result.passed != (not failing):
        facts.append(f"the report says passed={result.passed}, its steps do not")
    if facts or not result.passed or finished.status != 0:
        where = f"step {failing[0].name} of " if failing else ""
        shown = deque(failing[0].output.splitlines(), _TAIL) if failing and failing[0].output else lines
        facts = [site.called, *facts, *(f"{one.cause}: {one.action}" for one in result.diagnosis)]
        raise _failed(
            f"{where}the smoke test of {opened.archive.name} failed", "smoke-failed", facts, shown, finished
        )


def _failed(brief: str, reason: str, facts: list[str], lines: deque[str], finished: Finished) -> CoralforgeError:
    if finished.out_of_memory:
        reason = "smoke-memory"
        facts = ["the container was killed for memory", *facts]
    if finished.status == TIMED_OUT:
        facts = [f"it was stopped after {SECONDS} s", *facts]
    shown = [f"exit status {finished.status}", *facts, "last lines of its output:", *(f"| {line}" for line in lines)]
    return smoke_error(
        brief, reason=reason, details="\n".join(shown), remedy="see docs/bundle.md, section 'The smoke test'"
    )


def _data(opened: Opened, site: Site, result: BoardReport, finished: Finished) -> dict[str, JsonValue]:
    """The report: what smoke.sh said, then what this machine knows; the latter wins."""
    data: dict[str, JsonValue] = result.model_dump(mode="json", by_alias=True)
    data.update(
        format=1,
        ok=result.passed and not result.failing() and finished.status == 0,
        status=finished.status,
        bundle=opened.archive.name,
        bundle_sha256=opened.digest,
        release=opened.manifest.release,
        arch=opened.manifest.arch.value,
        tensorflow_commit=opened.manifest.tensorflow_commit,
        not_run=list(result.not_run()),
        host={"machine": platform.machine(), "system": platform.system(), "kernel": platform.release()},
        seconds=round(finished.seconds, 3),
    )
    return data | site.data


def _processor(board: Board) -> str:
    """QEMU's name of the processor that programs ran on; empty where they ran natively."""
    row = board.arch.row
    if not board.emulator:
        return ""
    return row.virtual.processor if board.kernel and row.virtual else row.processor


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _not_written(path, error) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, data)
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> CoralforgeError:
    return missing_error(
        f"{path} cannot be written: {error.strerror or error}",
        reason="bundle-write",
        remedy="make room, or choose another place with --report and --html",
    )
