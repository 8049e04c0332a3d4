"""Fetches sources: in parallel, from the first place that has the pinned bytes, into the download cache.

``<cache>/downloads/<sha256>/<file name>`` exists only once its digest was checked; unfinished files and locks live in
``<cache>/downloads/.parts``. What works on the network is imported only when something is missing.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge.errors import source_error
from coralforge.events import Sink
from coralforge.sources.debian import archive_uri, snapshot_uri
from coralforge.sources.failures import Failures, disk_error, unavailable
from coralforge.sources.places import applicable, candidates, file_name
from coralforge.sources.records import Fetched, Wanted
from coralforge.sources.workers import run_all
from coralforge.util import fingerprint

if TYPE_CHECKING:
    from coralforge.sources.transfer import Policy


def cached(wanted: Wanted, cache: Path) -> Fetched | None:
    """The source's archive if the download cache has it: the first place in order whose file is there, or None.

    No network and no hashing: a file is put there by one rename after its digest was checked.
    """
    for place in applicable(wanted):
        path = cache / "downloads" / place.sha256 / file_name(place)
        if path.is_file():
            return Fetched(wanted.name, place, path, place.address)
    return None


def verified(fetched: Fetched) -> Path:
    """The path of an archive that is used as it is, after its bytes were checked once more. A damaged one is removed.

    Raises:
        CoralforgeError: reason ``source-digest``, exit code 4.
    """
    if fingerprint.of_file(fetched.path) != fetched.place.sha256:
        fetched.path.unlink()
        raise source_error(
            f"{fetched.path.name} in the download cache was damaged",
            reason="source-digest",
            details=f"{fetched.path} is not what its sha256 says; it is removed",
            remedy="run the same command again: it is fetched anew",
        )
    return fetched.path


def fetch_all(
    wanted: Sequence[Wanted],
    cache: Path,
    mirrors: Sequence[str],
    sink: Sink,
    jobs: int = 4,
    *,
    policy: Policy | None = None,
) -> dict[str, Fetched]:
    """Have every source in the download cache; ``jobs`` downloads at a time. Safe against other processes.

    Emits :class:`Progress` in bytes for each download and a :class:`Note` for each host that is out of reach and each
    wrong digest. Ctrl-C stops at once and keeps what was downloaded for the next run.

    Raises:
        CoralforgeError: ``source-unavailable`` or ``source-digest`` (exit code 4) with every place of every source
            that failed and why; ``no-space`` or ``cache-unwritable`` (3); ``mirror-missing``, ``mirror-invalid`` (2).
    """
    done = {item.name: hit for item in wanted if (hit := cached(item, cache))}
    missing = [item for item in wanted if item.name not in done]
    if not missing:
        return done
    from coralforge.sources.download import Downloads

    archive = _asked_once(archive_uri)
    plans = [(item, candidates(item, mirrors, archive, snapshot_uri())) for item in missing]
    cancel = threading.Event()
    downloads = Downloads(cache / "downloads", sink, cancel, policy)
    try:
        results = run_all(plans, lambda plan: downloads.fetch_one(*plan), jobs, cancel)
    except OSError as error:
        raise disk_error(error, cache) from error
    finally:
        downloads.close()
    failed = [result for result in results if isinstance(result, Failures)]
    if failed:
        raise unavailable(failed, len(wanted))
    done.update({result.name: result for result in results if isinstance(result, Fetched)})
    return {item.name: done[item.name] for item in wanted}


def _asked_once(ask: Callable[[], str | None]) -> Callable[[], str | None]:
    """The same for several threads. apt takes half a second of the processor: it is not asked where mirrors do."""
    lock, known = threading.Lock(), functools.cache(ask)

    def answer() -> str | None:
        with lock:
            return known()

    return answer
