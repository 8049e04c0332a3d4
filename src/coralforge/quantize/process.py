"""Runs a worker that has TensorFlow: bounded in time and memory, and gone when this process is.

Whatever a hostile file does to TensorFlow, h5py or Pillow (an endless loop, all memory, a segmentation fault) ends
the worker, and is one error here.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from coralforge.errors import CoralforgeError, ExitCode, build_error, model_invalid
from coralforge.events import Note, Output, Progress, Sink, Step
from coralforge.quantize.worker import wire
from coralforge.util.signals import stop_held_back

_POLL = 0.2  # seconds between looks at memory and time
_TAIL = 200  # lines of the worker's output that are kept for a report
_LINE = 1 << 16  # bytes of one of these lines


@dataclass(frozen=True)
class Worker:
    """A program that takes a request, and how messages speak of it."""

    program: Path
    doing: str
    """Such as ``quantizing``."""
    subject: str
    """Such as ``the process with TensorFlow``."""


QUANTIZER = Worker(Path(wire.__file__).with_name("__main__.py"), "quantizing", "the process with TensorFlow")


class Job(Protocol):
    """A request as the engine sees it: the model that errors name, a folder to work in, and its text."""

    @property
    def model(self) -> str: ...

    @property
    def staging(self) -> str: ...

    def text(self) -> str: ...


@dataclass(frozen=True)
class Limits:
    """Limits of the worker: seconds in all, and bytes of memory."""

    seconds: float
    memory: int


@dataclass
class _Run:
    """One worker while it runs."""

    worker: Worker
    model: str
    process: subprocess.Popen[bytes]
    events: int
    output: int
    sink: Sink
    step: str = "start"
    since: float = field(default_factory=time.monotonic)
    result: dict[str, Any] | None = None
    error: CoralforgeError | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))


def run_worker(python: Path, request: Job, limits: Limits, sink: Sink, worker: Worker = QUANTIZER) -> dict[str, Any]:
    """Do a job in a process of its own.

    Returns:
        What the worker's ``job.run`` returns.

    Raises:
        CoralforgeError: what the worker says; or reason ``quantize-crashed``, ``quantize-memory`` or
            ``quantize-timeout``, exit code 5.
    """
    with _started(python, request, sink, worker) as run:
        _follow(run, limits)
        run.process.wait()
        if run.error is not None:
            raise run.error
        if run.result is None or run.process.returncode != 0:
            raise _crashed(run)
        _end_step(run)
        return run.result


@contextmanager
def _started(python: Path, request: Job, sink: Sink, worker: Worker) -> Iterator[_Run]:
    place = Path(request.staging) / "request.json"
    place.write_text(request.text(), encoding="utf-8")
    events, to_events = os.pipe()
    output, to_output = os.pipe()
    process = None
    try:
        try:
            with stop_held_back():
                process = _start([python, "-I", worker.program, place], Path(request.staging), to_events, to_output)
        finally:
            os.close(to_events)
            os.close(to_output)
        yield _Run(worker, request.model, process, events, output, sink)
    finally:
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(events)
        os.close(output)


def _start(command: Sequence[str | Path], staging: Path, events: int, output: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [*command, str(events), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(events,),
            start_new_session=True,  # Ctrl-C comes here only, and the worker ends without a word
            cwd=staging,
            env={**os.environ, "TMPDIR": str(staging), "KERAS_HOME": str(staging), "PYTHONHASHSEED": "0"},
        )
    except OSError as error:
        raise build_error(
            f"{command[0]} cannot be started: {error.strerror}",
            reason="quantize-crashed",
            remedy="it has to be a Python that has TensorFlow; docs/quantize.md says how it is made",
        ) from error


def _follow(run: _Run, limits: Limits) -> None:
    """Read both pipes until they end, with an eye on time and memory."""
    deadline = time.monotonic() + limits.seconds
    waiting = {run.output: b"", run.events: b""}  # in this order: what was printed before an event is known by then
    while waiting:
        ready, _, _ = select.select(list(waiting), [], [], _POLL)
        if not ready and run.events not in waiting:
            break  # the worker is gone; something that it started still holds the other pipe
        for number in ready:
            data = os.read(number, _LINE)
            if not data:
                rest = waiting.pop(number)
                if rest and number == run.output:
                    _take(run, number, rest)
                continue
            *lines, waiting[number] = (waiting[number] + data).split(b"\n")
            _check_length(run, waiting, number)
            for line in lines:
                _take(run, number, line)
        if time.monotonic() > deadline:
            raise _too_long(run, limits)
        if (used := _memory(run.process.pid)) > limits.memory:
            raise _too_much(run, limits, used)


def _check_length(run: _Run, waiting: dict[int, bytes], number: int) -> None:
    if number == run.output:
        waiting[number] = waiting[number][-_LINE:]
    elif len(waiting[number]) > wire.MAX_LINE:
        raise _crashed(run)


def _take(run: _Run, number: int, line: bytes) -> None:
    if number == run.output:
        text = line.decode("utf-8", "replace").rstrip()
        run.tail.append(text)
        run.sink.emit(Output("quantize", text))
        return
    try:
        event = wire.decode(line)
        kind = event["event"]
        if kind == "error":
            run.error = wire.to_error(event)
    except (ValueError, RecursionError) as error:
        raise _crashed(run) from error
    if kind == "step":
        _end_step(run)
        run.step, run.since = event["name"], time.monotonic()
        run.sink.emit(Step(run.step))
    elif kind == "progress":
        run.sink.emit(Progress(event["name"], event["done"], event["total"], "samples"))
    elif kind == "note":
        run.sink.emit(Note(event["text"], event["level"]))
    elif kind == "result":
        run.result = event["result"]


def _end_step(run: _Run) -> None:
    if run.step != "start":
        run.sink.emit(Step(run.step, time.monotonic() - run.since))


def _memory(pid: int) -> int:
    """Bytes that the process has in memory now; 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _too_long(run: _Run, limits: Limits) -> CoralforgeError:
    return build_error(
        f"{run.worker.doing} took longer than {limits.seconds:.0f} s",
        reason="quantize-timeout",
        details=f"step: {run.step}",
        remedy="give it more with --timeout SECONDS, or fewer samples with --max-samples",
    )


def _too_much(run: _Run, limits: Limits, used: int) -> CoralforgeError:
    return build_error(
        f"{run.worker.doing} took {used >> 20} MiB of memory, and may take {limits.memory >> 20}",
        reason="quantize-memory",
        details=f"step: {run.step}",
        remedy="give it more with --memory MIB, or fewer samples with --max-samples",
    )


def _crashed(run: _Run) -> CoralforgeError:
    """The worker ended without an error or a result: what it printed last says why, if anything does."""
    code = run.process.poll()
    if code is not None and code < 0 and run.step == wire.READ_MODEL:
        # Damaged HDF5 does both to its library, once in a few hundred files.
        how = "keeps busy for ever" if code == -signal.SIGALRM else "crashes"
        return model_invalid(run.model, f"it {how} the library that reads it ({signal.Signals(-code).name})")
    text = "\n".join(run.tail)
    if code == -signal.SIGKILL or "std::bad_alloc" in text or "MemoryError" in text:
        brief, reason = f"{run.worker.subject} ran out of memory", "quantize-memory"
    elif code is not None and code < 0:
        brief, reason = f"{run.worker.subject} crashed ({signal.Signals(-code).name})", "quantize-crashed"
    else:
        how = f"failed (exit status {code})" if code is not None else "sent something that is no event"
        brief, reason = f"{run.worker.subject} {how}", "quantize-crashed"
    return CoralforgeError(
        brief,
        reason=reason,
        code=ExitCode.BUILD,
        details="\n".join([f"step: {run.step}", f"its last lines: {_log(run)}"]),
        remedy="the model or the samples may be damaged, or beyond what TensorFlow can convert; see the last lines",
    )


def _log(run: _Run) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="coralforge-", suffix=".log", delete=False, encoding="utf-8"
    ) as stream:
        stream.write("\n".join(run.tail) + "\n")
    return Path(stream.name)
