"""A few threads that work through a list and stop at once when told to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_GRACE = 0.5


def run_all(items: Sequence[T], work: Callable[[T], R], jobs: int, cancel: threading.Event) -> list[R]:
    """``work`` on every item in at most ``jobs`` threads; results in the order of the items.

    The first exception (or Ctrl-C) sets ``cancel``, gives the threads half a second to notice, and is raised. The
    threads are daemons: one that hangs in a dead connection must not hold up the end of the program.
    """
    todo: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, R | None, BaseException | None]] = queue.SimpleQueue()
    for pair in enumerate(items):
        todo.put(pair)
    count = max(1, min(jobs, len(items)))
    threads = [
        threading.Thread(target=_worker, args=(todo, done, work, cancel), daemon=True, name=f"fetch-{n}")
        for n in range(count)
    ]
    results: dict[int, R] = {}
    try:
        for thread in threads:
            thread.start()
        while len(results) < len(items):
            index, result, error = done.get()
            if error is not None:
                raise error
            results[index] = result  # type: ignore[assignment]  # None only beside an error
    except BaseException:
        cancel.set()
        for thread in threads:
            if thread.is_alive():  # Ctrl-C may come before all are started
                thread.join(_GRACE / count)
        raise
    return [results[index] for index in range(len(items))]


def _worker(
    todo: queue.SimpleQueue[tuple[int, T]],
    done: queue.SimpleQueue[tuple[int, R | None, BaseException | None]],
    work: Callable[[T], R],
    cancel: threading.Event,
) -> None:
    while not cancel.is_set():
        try:
            index, item = todo.get_nowait()
        except queue.Empty:
            return
        try:
            done.put((index, work(item), None))
        except BaseException as error:  # a thread that dies silently would hang the run
            done.put((index, None, error))
