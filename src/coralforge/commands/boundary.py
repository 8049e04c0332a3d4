"""The one boundary between engine and user: errors become documented exit codes, Ctrl-C a clean stop."""

from __future__ import annotations

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


def run(verb: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Run one verb and leave the process with its exit code unless that is 0.

    The first Ctrl-C (or SIGTERM) stops cleanly: containers are removed, staging folders too. The second
    one leaves at once; the next run removes what stayed. A signal that was ignored before stays ignored: a script
    that starts a run in the background does not want the Ctrl-C that is meant for the script to reach it.
    """
    previous = {number: signal.getsignal(number) for number in STOPPING}
    _on_stopping(_first_signal)
    try:
        with plain_stdout():
            code = _guarded(verb, *arguments, **options)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if code is not ExitCode.OK:
        sys.exit(int(code))


def _guarded(verb: Callable[..., None], *arguments: Any, **options: Any) -> ExitCode:
    try:
        verb(*arguments, **options)
    except CoralforgeError as error:
        return _told(error)
    except KeyboardInterrupt:
        _print("cancelled: stopped cleanly; finished work is kept")
        return ExitCode.CANCELLED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `invoke ... | head` is fine
        return ExitCode.OK
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
    _print("\nstopping; once more to leave at once")
    raise KeyboardInterrupt


def _second_signal(_number: int, _frame: object) -> None:
    os._exit(int(ExitCode.CANCELLED))


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
