"""Runs a bundle's own smoke.sh on an emulated board and reports what happened.

``bench.py`` says where that is. Its word is not trusted: success needs the exit status, a well-formed report, and
every step in it.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from coralforge.bundle import emulated
from coralforge.bundle.bench import BOARD, REPORT, SECONDS, TIMED_OUT, Bench, Trial
from coralforge.bundle.manifest import NAME, Manifest
from coralforge.bundle.opened import open_archive
from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.containers.spec import Finished
from coralforge.errors import CoralforgeError, missing_error, smoke_error
from coralforge.events import Note, Output, Sink, Step
from coralforge.util import atomic

_MAX_REPORT = 1 << 20
_TAIL = 20


class StepResult(BaseModel):
    """One step of smoke.sh; it may say more than these."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: str = Field(pattern=r"^[a-z0-9_.+-]{1,100}$")
    """lstpu, benchmark, model, ...; with the name of a model of pipeline.yaml in front, and a dot."""
    status: Literal["passed", "failed", "skipped"]
    said: str | None = None
    """Why it failed or was skipped; of one that passed, its last words."""
    output: str = ""
    """The output of its program."""


class BoardReport(BaseModel):
    """The report that smoke.sh wrote; it may say more than these."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    schema_: Literal[1] = Field(alias="schema")
    """The form of the report."""
    passed: bool
    """Whether no step failed."""
    variant: str
    """The libedgetpu that was used; ``unknown`` when lstpu could not tell."""
    simulated: bool
    """Whether that one drives no hardware."""
    steps: list[StepResult] = Field(min_length=1, max_length=1000)
    """In the order they ran."""
    board: dict[str, JsonValue] = Field(default_factory=dict)
    """What the board says of itself."""

    def not_run(self) -> list[str]:
        """Sentences on steps that could not be tried there, and why."""
        return [f"{step.name}: not run: {step.said}" for step in self.steps if step.status == "skipped"]


class Board(BaseModel):
    """The board image's description of itself (board.json)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    arch: Arch
    """Architecture of the programs it runs."""
    userland: str
    """Which of the C and C++ libraries in config/userlands.py it has."""
    suite: str
    """Debian suite of its libraries."""
    versions: dict[str, str]
    """The newest symbol versions that its libraries have, by family (GLIBC, GLIBCXX, CXXABI)."""
    masked: str
    """Says that newer versions were removed from its libraries, and what that does not show; else empty."""
    emulator: str
    """Name and version; empty when programs run natively."""
    kernel: str = ""
    """Its own kernel's release; empty where programs run on this machine's."""
    packages: dict[str, str]
    """Its runtime libraries, with versions."""

    def called(self) -> str:
        """Its userland, for people."""
        what = self.masked or f"glibc {self.versions.get('GLIBC', 'unknown')}"
        return f"{self.userland} ({what})"


@dataclass(frozen=True)
class Report:
    """A smoke test that passed. ``seconds`` is the container's wall time, ``data`` what the report file holds."""

    bundle: str
    digest: str
    variant: Variant
    simulated: bool
    userland: str
    steps: tuple[str, ...]
    seconds: float
    data: dict[str, JsonValue]

    def summary(self) -> str:
        """One sentence for the user."""
        what = " (SIMULATED)" if self.simulated else " (emulated device)" if "device" in self.data else ""
        board = self.data["board"]
        whole = isinstance(board, dict) and board["kernel"]
        where = "under emulation" if self.data["emulated"] else "natively"
        where = "on an emulated board with a kernel of its own," if whole else where
        return (
            f"{self.bundle}: {', '.join(self.steps)} passed in {self.seconds:.1f} s {where} on {self.userland}; "
            f"variant {self.variant.value}{what}"
        )


def run_smoke(archive: Path, bench: Bench, work: Path, report: Path, sink: Sink) -> Report:
    """Unpack a bundle below ``work``, run its smoke.sh on ``bench``, and write the JSON report to ``report``.

    Nothing stays in ``work``. The report is written for a failed test too.

    Raises:
        CoralforgeError: ``bundle-digest``, ``bundle-manifest``, ``bundle-changed``, ``bundle-arch`` (exit code 2);
            ``board-image`` (3); ``smoke-failed``, ``smoke-report``, ``smoke-memory``, ``smoke-device`` (7);
            ``no-space`` (3); and as ``Bench.run``.
    """
    report.unlink(missing_ok=True)  # what an earlier run said must not stand when this one fails
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="smoke-", dir=work) as scratch:
        opened = open_archive(archive, Path(scratch, "bundle"))
        digest, manifest = opened.digest, opened.manifest
        out = Path(scratch, "report")
        out.mkdir(mode=0o777)
        out.chmod(0o777)  # whatever uid the runner uses
        lines: deque[str] = deque(maxlen=_TAIL)
        sink.emit(Step("smoke"))
        finished = _run(bench, Trial(opened, out, Path(scratch)), lines, sink)
        sink.emit(Step("smoke", finished.seconds))
        board = _read(Board, out / BOARD, lines, finished)
        _check_board(board, manifest, bench.image)
        result = _read(BoardReport, out / REPORT, lines, finished)
        compiled = len(emulated.models(opened.folder))
        stats = emulated.read_stats(out / emulated.STATS)
    caveats = [emulated.CAVEAT] if bench.device else []
    if board.masked:
        caveats.append(f"{board.userland}: {board.masked}")
    not_verified = [*manifest.not_verified, *result.not_run(), *caveats]
    data = _data(archive, digest, manifest, board, result, finished)
    data |= {"image": bench.image, "not_verified": list(not_verified)}
    if bench.device is not None:
        data["device"] = {"kind": "emulated", "models": compiled, "stats": stats}
    _write(report, data)
    _judge(archive, manifest, board, result, finished, lines)
    if bench.device is not None and compiled and not result.simulated and not emulated.inferences(stats):
        raise _failed("no inference reached the emulated device", "smoke-device", [], lines, finished)
    for problem in not_verified:
        sink.emit(Note(problem, "warning"))
    return Report(
        bundle=archive.name,
        digest=digest,
        variant=Variant(result.variant),
        simulated=result.simulated,
        userland=board.called(),
        steps=tuple(step.name for step in result.steps if step.status == "passed"),
        seconds=finished.seconds,
        data=data,
    )


def _check_board(board: Board, manifest: Manifest, image: str) -> None:
    if board.arch is not manifest.arch:
        raise missing_error(
            f"{image} emulates {board.arch.value}, the bundle is for {manifest.arch.value}",
            reason="board-image",
            remedy=f"give --arch {manifest.arch.value}: each architecture has its own image",
        )


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
            text = f"{path.name}: {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        raise _failed(
            "the smoke test ended without a report that can be read", "smoke-report", [text], lines, finished
        ) from error


def _judge(
    archive: Path, manifest: Manifest, board: Board, result: BoardReport, finished: Finished, lines: deque[str]
) -> None:
    """Every sign must say that it passed; they are not believed one by one."""
    failing = [step for step in result.steps if step.status == "failed"]
    facts = [f"step {step.name} failed{': ' * bool(step.said)}{step.said or ''}" for step in failing]
    fitting = {variant.value: not variant.real for variant in manifest.variants}
    if not failing and fitting.get(result.variant) is not result.simulated:
        facts.append(f"variant {result.variant} with simulated={result.simulated} does not fit {NAME}")
    if result.passed != (not failing):
        facts.append(f"the report says passed={result.passed}, its steps do not")
    if facts or not result.passed or finished.status != 0:
        where = f"step {failing[0].name} of " if failing else ""
        shown = deque(failing[0].output.splitlines(), _TAIL) if failing and failing[0].output else lines
        facts = [f"userland {board.called()}", *facts]
        raise _failed(f"{where}the smoke test of {archive.name} failed", "smoke-failed", facts, shown, finished)


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


def _data(
    archive: Path, digest: str, manifest: Manifest, board: Board, result: BoardReport, finished: Finished
) -> dict[str, JsonValue]:
    """The report: what smoke.sh said, then what this machine knows; the latter wins."""
    data: dict[str, JsonValue] = result.model_dump(mode="json", by_alias=True)
    failing = [step.name for step in result.steps if step.status == "failed"]
    data.update(
        format=1,
        ok=result.passed and not failing and finished.status == 0,
        status=finished.status,
        bundle=archive.name,
        bundle_sha256=digest,
        release=manifest.release,
        arch=manifest.arch.value,
        tensorflow_commit=manifest.tensorflow_commit,
        emulated=bool(board.emulator),
        board=result.board | board.model_dump(mode="json"),
        not_run=list(result.not_run()),
        host={"machine": platform.machine(), "system": platform.system(), "kernel": platform.release()},
        seconds=round(finished.seconds, 3),
    )
    return data


def _write(path: Path, data: dict[str, JsonValue]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, (json.dumps(data, indent=2, sort_keys=True) + "\n").encode())
