"""How tests wait, and how they measure work, so that they hold on a slow or busy machine.

What has to happen is waited for; a limit is a net for a test that would never end, and proves nothing. What must not
take long is measured in work, not in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

NET = 600  # seconds, after which something that has to happen counts as not happening
_POLL = 0.02
_LAPS = 200_000


def wait_until(happened: Callable[[], bool]) -> None:
    """Return as soon as it has happened."""
    end = time.monotonic() + NET
    while not happened():
        assert time.monotonic() < end, f"did not happen within {NET} s"
        time.sleep(_POLL)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; a dead one that nobody waited for is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def growing_limits() -> Iterator[float]:
    """Seconds, from short to long, for what must come so far before a limit ends it. Fails after the last one."""
    limit = 0.5
    while limit < NET:
        yield limit
        limit *= 4
    raise AssertionError(f"did not come that far within {limit / 4:.0f} s")


def yardstick() -> float:
    """Processor seconds that a fixed piece of work takes on this machine now: the shortest of five tries."""
    return min(_processor_seconds(lambda: sum(number * number for number in range(_LAPS))) for _ in range(5))


def effort(work: Callable[[], object]) -> float:
    """The processor time of ``work`` in yardsticks: about the same on a fast, a slow and a busy machine."""
    before = yardstick()
    taken = _processor_seconds(work)
    return taken / min(before, yardstick())


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
