"""Moments in which a stop has to wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_held_back() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP take effect at the end of the block, not within.

    For what must not be lost halfway: a process that was started, but that nobody can end yet. Python runs handlers
    in the main thread only, so in others there is nothing to hold back. What is ignored stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda stop, _frame: came.append(stop))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for stop in came:
            signal.raise_signal(stop)
