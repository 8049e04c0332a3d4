"""Failures of sources, as one error for the user."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge.errors import CoralforgeError, missing_error, source_error
from coralforge.sources.debian import SNAPSHOT, snapshot_uri
from coralforge.sources.places import applicable, file_name
from coralforge.sources.records import Wanted

if TYPE_CHECKING:
    from coralforge.sources.refusals import Kind


_SHOWN = 8


@dataclass(frozen=True)
class Failure:
    """One address that did not give the file."""

    address: str
    kind: Kind
    text: str


@dataclass(frozen=True)
class Failures:
    """A source that no place gave."""

    wanted: Wanted
    failures: tuple[Failure, ...]


def unavailable(failed: Sequence[Failures], total: int) -> CoralforgeError:
    """One error for all sources that failed: every place with its reason, and what to do.

    The reason is ``source-digest`` when some source was only answered with wrong bytes, else ``source-unavailable``.
    """
    names = ", ".join(item.wanted.name for item in failed)
    wrong = any(_only_wrong(item) for item in failed)
    lines = [line for item in failed for line in _lines(item)]
    files = sorted({_wish(item) for item in failed})
    shown = ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
    remedy = f"put {shown} into a folder and pass it with --mirror DIR"
    if failed[0].wanted.replaceable:
        remedy += f", or pass a checkout with --source {failed[0].wanted.name}=DIR"
    dated = {place.snapshot for item in failed for place in applicable(item.wanted) if place.snapshot}
    if dated and snapshot_uri() is None:
        remedy += f", or set {SNAPSHOT} to an archive that has Debian of {', '.join(sorted(dated))}"
    if wrong:
        remedy += "; wrong bytes mean a damaged mirror, a page in between (proxy, login) or a wrong pin"
    return source_error(
        f"{len(failed)} of {total} sources could not be had: {names}",
        reason="source-digest" if wrong else "source-unavailable",
        details="\n".join(lines),
        remedy=remedy,
    )


def disk_error(error: OSError, cache: Path) -> CoralforgeError:
    """An error for the download cache that cannot be written: ``no-space`` or ``cache-unwritable``, exit code 3."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return missing_error(
            f"no space left for downloads in {cache}",
            reason="no-space",
            details=str(error),
            remedy="free some space, or choose another folder with CORALFORGE_CACHE or 'cache' in pipeline.yaml",
        )
    return missing_error(
        f"the download cache in {cache} cannot be written",
        reason="cache-unwritable",
        details=str(error),
        remedy="correct its owner and mode, or choose another folder with CORALFORGE_CACHE",
    )


def _only_wrong(item: Failures) -> bool:
    """Whether someone answered, and everyone who did sent wrong bytes."""
    answered = {failure.kind for failure in item.failures} - {"missing", "unreachable"}
    return answered == {"digest"}


def _wish(item: Failures) -> str:
    """The file that would help: the one of the source's preferred place."""
    places = applicable(item.wanted)
    return file_name(places[0]) if places else item.wanted.name


def _lines(item: Failures) -> list[str]:
    lines = [f"{item.wanted.name} {item.wanted.source.version}:"]
    if not item.failures:
        lines.append(f"  no place for {item.wanted.arch.value}")
    for (folder, kind, text), group in groupby(item.failures, key=_group):
        same = list(group)
        if len(same) > 1 and kind == "missing":
            names = ", ".join(failure.address.rpartition("/")[2] for failure in same)
            lines.append(f"  {folder}/: {text} ({names})")
        else:
            lines += [f"  {failure.address}: {failure.text}" for failure in same]
    return lines


def _group(failure: Failure) -> tuple[str, Kind, str]:
    return failure.address.rpartition("/")[0], failure.kind, failure.text
