"""Artifacts, named by the key of what went in; one rename puts an artifact into place.

What is not there under its name was not done: a killed run leaves only a folder in ``tmp``, which the
next run removes. ``artifact.json`` in each artifact records the inputs, and every file with its length and digest,
so that a damaged artifact is found before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coralforge.errors import CoralforgeError, ExitCode, missing_error, user_error
from coralforge.events import Note, Sink
from coralforge.plan import Action, Inputs
from coralforge.settings import Cache
from coralforge.util import atomic, cachedir, inventory
from coralforge.util.scratch import remove_anyway, remove_tree

RECORD = "artifact.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def present(cache: Cache) -> frozenset[str]:
    """Names of all artifacts in the store."""
    try:
        return frozenset(entry.name for entry in os.scandir(cache.artifacts))
    except FileNotFoundError:
        return frozenset()


def location(cache: Cache, action: Action) -> Path:
    """The folder of an artifact, whether it is there or not."""
    return cache.artifacts / action.artifact


def previous_inputs(cache: Cache, target: str) -> dict[str, Inputs]:
    """By label of the action, the inputs of the artifact that was last made or used for ``target``."""
    try:
        data = json.loads(_reference(cache, target).read_text(encoding="utf-8"))
        return {str(label): dict(inputs) for label, inputs in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # only used for reasons; a damaged file costs nothing but a worse reason


def remember(cache: Cache, target: str, actions: tuple[Action, ...]) -> None:
    """Record what ``target`` was made of, for the reasons of the next plan."""
    data = {action.label: dict(action.inputs) for action in actions if action.inputs}
    path = _reference(cache, target)
    text = json.dumps(data, sort_keys=True, indent=1).encode()
    with contextlib.suppress(OSError):  # it is only for reasons: a run with nothing to do needs no space
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != text:
            atomic.write(path, text)


def _reference(cache: Cache, target: str) -> Path:
    return cache.last / f"{target}.json"


@contextmanager
def staging(cache: Cache, name: str) -> Iterator[Path]:
    """An empty folder beside the store, removed at the end unless it was renamed away. Only one at a time."""
    folder = cache.tmp / f"{name}-{os.getpid()}"
    try:
        _sweep(cache)  # again: a killed run's container may have written until the runner ended it
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(cache, str(error)) from error
        raise
    finally:
        remove_anyway(folder)


def commit(cache: Cache, action: Action, folder: Path) -> Path:
    """Move a finished folder into the store in one rename and return its place."""
    record = {
        "stage": action.stage.value,
        "key": action.key,
        "inputs": dict(action.inputs),
        "files": inventory.take(folder),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    place = location(cache, action)
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_tree(place)
    folder.rename(place)
    return place


def damage(cache: Cache, action: Action, thorough: bool) -> str:
    """How an artifact differs from its record, as part of a sentence; empty when it is whole.

    Args:
        thorough: read every file; otherwise lengths and times are compared, and bytes only where a time has changed.
    """
    place = location(cache, action)
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        key, files = record["key"], record["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return f"{RECORD} is missing or cannot be read"
    if key != action.key or not isinstance(files, dict):
        return f"{RECORD} belongs to another artifact"
    return inventory.difference(place, files, thorough, without=RECORD)


def discard(cache: Cache, action: Action) -> None:
    """Remove an artifact."""
    remove_tree(location(cache, action))


def no_space(cache: Cache, details: str) -> CoralforgeError:
    """The error for a full disk; reason ``no-space``, exit code 3."""
    free = shutil.disk_usage(cache.root).free // 2**20 if cache.root.exists() else 0
    return missing_error(
        f"no space left for {cache.root} ({free} MiB free)",
        reason="no-space",
        details=details,
        remedy="free some space (invoke clean removes what can be made again) or set CORALFORGE_CACHE elsewhere",
    )


def unwritable(cache: Cache, error: OSError) -> CoralforgeError:
    """The error for a cache that is not the user's; reason ``cache-unwritable``, exit code 3."""
    return missing_error(
        f"the cache {cache.root} cannot be written: {error.strerror}",
        reason="cache-unwritable",
        remedy="fix its permissions or set CORALFORGE_CACHE to a folder of yours",
    )


def _storage_error(cache: Cache, error: OSError) -> CoralforgeError:
    return no_space(cache, str(error)) if error.errno in _FULL else unwritable(cache, error)


@contextmanager
def exclusive(cache: Cache, sink: Sink, timeout: float = 7200.0) -> Iterator[None]:
    """Hold the cache's lock; waits, saying so, for at most ``timeout`` seconds.

    Raises:
        CoralforgeError: ``busy`` (exit code 8), ``no-space``, ``cache-unwritable`` (3) or ``cache-folder`` (2).
    """
    from filelock import FileLock, Timeout

    try:
        _claim(cache)
        cache.tmp.mkdir(exist_ok=True)
        lock = FileLock(cache.lock, mode=0o644)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            sink.emit(Note(f"another coralforge run uses {cache.root}; waiting for it"))
            lock.acquire(timeout=timeout)
    except Timeout as error:
        raise CoralforgeError(
            f"another coralforge run has held {cache.root} for {timeout:.0f} s",
            reason="busy",
            code=ExitCode.BUSY,
            remedy="wait for it, end it, or use another cache with CORALFORGE_CACHE",
        ) from error
    except OSError as error:
        raise _storage_error(cache, error) from error
    try:
        _sweep(cache)
        yield
    finally:
        lock.release()


def tidy(cache: Cache) -> None:
    """Remove what killed runs left, unless another run is at work: for a run that has nothing to do itself."""
    if not (cache.tmp.is_dir() and any(cache.tmp.iterdir())):
        return
    from filelock import FileLock, Timeout

    with suppress(Timeout, OSError), FileLock(cache.lock, mode=0o644, timeout=0):
        _sweep(cache)


def _sweep(cache: Cache) -> None:
    """Remove what killed runs left: whoever has the lock has one staging folder at a time, so all else is theirs."""
    with suppress(FileNotFoundError):
        for leftover in list(cache.tmp.iterdir()):
            with suppress(OSError):  # something still writes to it; then it goes later
                remove_tree(leftover)


def _claim(cache: Cache) -> None:
    """Refuse a folder with other things in it: a cache is emptied without asking."""
    known = {path.name for path in (*cache.remakeable, cache.downloads, cache.lock)}
    foreign = cachedir.claim(cache.root, known)
    if foreign:
        raise user_error(
            f"{cache.root} cannot be the cache: it has other things in it",
            reason="cache-folder",
            details=", ".join(foreign[:5] + (["..."] if len(foreign) > 5 else [])),
            remedy="choose a folder that is empty or new: 'cache' in pipeline.yaml, or CORALFORGE_CACHE",
        )
