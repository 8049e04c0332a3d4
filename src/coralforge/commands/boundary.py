"""The one boundary between engine and user: errors become documented exit codes, Ctrl-C a clean stop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coralforge.errors import CoralforgeError, ExitCode, system_error
from coralforge.util.plain import plain, plain_stdout
from coralforge.util.signals import STOPPING
from coralforge.util.streams import OutputError, lasting_output


def run(verb: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Run one verb and leave the process with its exit code unless that is 0.

    The first Ctrl-C (or SIGTERM, or SIGHUP, when a terminal is closed) stops cleanly: containers are removed, and
    staging folders too. The second one leaves at once; the next run removes what stayed. A signal that was ignored
    before stays ignored: a script that starts a run in the background does not want the Ctrl-C that is meant for the
    script to reach it. Who closes a pipe that is written to (`invoke ... | head`) wants no more words: the work is
    done all the same, and exit code 0 says that it was.
    """
    previous = {number: signal.getsignal(number) for number in STOPPING}
    _on_stopping(_first_signal)
    try:
        with lasting_output(), plain_stdout():
            code = _guarded(verb, *arguments, **options)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if code is not ExitCode.OK:
        sys.exit(int(code))


def _guarded(verb: Callable[..., None], *arguments: Any, **options: Any) -> ExitCode:
    try:
        verb(*arguments, **options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except CoralforgeError as error:
        return _told(error)
    except KeyboardInterrupt:
        _print("cancelled: stopped cleanly; finished work is kept")
        return ExitCode.CANCELLED
    except OutputError as error:
        _print(f"error: stdout cannot be written: {error}\n  [output-write, exit {int(ExitCode.MISSING)}]")
        return ExitCode.MISSING
    except Exception as error:
        known = system_error(error) if isinstance(error, OSError) else None
        if known is not None:
            return _told(known)
        _print(_internal(error))
        return ExitCode.INTERNAL
    return ExitCode.OK


def _told(error: CoralforgeError) -> ExitCode:
    _print(f"error: {plain(str(error))}\n  [{error.reason}, exit {int(error.code)}]")
    return error.code


def _internal(error: Exception) -> str:
    """A bug of ours: keep the traceback in a file, and do not show it."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="coralforge-", suffix=".traceback", delete=False) as stream:
            stream.write(traceback.format_exc().encode("utf-8", "backslashreplace").decode())
        told = f"please report it with {Path(stream.name)}"
    except OSError as unkept:
        told = f"please report it (the traceback could not be kept: {unkept.strerror})"
    first = (str(error).splitlines() or [""])[0][:200].encode("utf-8", "backslashreplace").decode()
    return (
        f"error: internal error: {type(error).__name__}: {first}\n"
        f"  what to do: this is a bug in coralforge; {told}\n"
        f"  [internal, exit {int(ExitCode.INTERNAL)}]"
    )


def _on_stopping(handler: Callable[[int, object], None]) -> None:
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _first_signal(_number: int, _frame: object) -> None:
    _on_stopping(_second_signal)
    _print_now("\nstopping; once more to leave at once\n")
    raise KeyboardInterrupt


def _second_signal(number: int, _frame: object) -> None:
    if number == signal.SIGHUP:  # nobody's wish: the kernel and the shell both send one when a terminal is closed
        return
    if os.isatty(2):
        _print_now("\x1b[?25h")  # the cursor, which the progress bars hide
    os._exit(int(ExitCode.CANCELLED))


def _print_now(text: str) -> None:
    """Past the buffer of stderr, which the signal may have found in the middle of a write."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
