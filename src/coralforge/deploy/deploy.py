"""Puts a bundle on a board: copied, checked, unpacked beside the old one, and made the current one in one step.

On the board, below the folder for bundles::

    current -> releases/NAME-DIGEST       the bundle in use; a link that is replaced by one rename
    previous -> releases/NAME-DIGEST      the one before
    releases/                             these two; whatever is here is complete
    incoming/                             what is not
    lock                                  of one deploy at a time (lock.py)
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from coralforge.board.remote import Remote
from coralforge.deploy import scripts
from coralforge.deploy.facts import SECONDS, Facts, failed
from coralforge.deploy.package import Package
from coralforge.deploy.transfer import copy
from coralforge.errors import board_error, user_error
from coralforge.events import Note, Sink, Step

_FOLDER = "releases/"
_MARGIN = 8 << 20  # bytes that are to stay free
_LONG = 1800.0  # seconds for unpacking or reading all of a bundle, on a slow card


@dataclass(frozen=True)
class Deployed:
    """A board after :func:`deploy` or :func:`roll_back`. Names are those of folders in releases/."""

    to: str
    """The folder for bundles."""
    release: str
    """The current bundle."""
    previous: str
    """The one before; empty where there is none."""
    copied: int = 0
    """Bytes that went over."""
    unpacked: bool = False
    """Whether the bundle is new there."""
    switched: bool = False
    """Whether another one was current before."""

    @property
    def current(self) -> str:
        """The path of the current bundle."""
        return f"{self.to}/current"


def deploy(remote: Remote, facts: Facts, package: Package, sink: Sink) -> Deployed:
    """Make a package the current bundle of a board; nothing is copied that is there and undamaged.

    The caller holds the lock. Until the last step the old bundle stays the current one.

    Raises:
        CoralforgeError: ``board-space``, ``board-digest``, ``board-command``, ``board-ssh``, ``board-timeout``, exit
            code 9.
    """
    state = _ask(remote, facts.to, package)
    there = bool(scripts.first(state, "there"))
    if there and (wrong := _damage(remote, facts, package)):
        sink.emit(Note(f"{package.release} on the board is damaged and is made again: {wrong}", "warning"))
        there = False
    copied = 0
    if not there:
        arrived = scripts.number(state, "arrived") or 0
        _require_space(remote, facts, package, arrived, scripts.number(state, "free"))
        copied = _bring(remote, facts, package, arrived, sink)
        if wrong := _damage(remote, facts, package):
            raise failed(remote, f"{package.release} is damaged there right after it was unpacked: {wrong}", "")
    previous, switched = _switch(remote, facts.to, package.release, sink)
    return Deployed(facts.to, package.release, previous, copied, not there, switched)


def roll_back(remote: Remote, facts: Facts, sink: Sink) -> Deployed:
    """Make the previous bundle of a board the current one, and the other way round. The caller holds the lock.

    Raises:
        CoralforgeError: ``no-previous`` (exit code 2); ``board-command``, ``board-ssh``, ``board-timeout`` (9).
    """
    state = _ask(remote, facts.to, None)
    previous = scripts.first(state, "previous").removeprefix(_FOLDER)
    if not previous or not scripts.first(state, "previous_there"):
        raise user_error(
            f"there is no previous bundle in {facts.to} on {remote.name}",
            reason="no-previous",
            remedy="there is one after a second bundle was deployed",
        )
    before, switched = _switch(remote, facts.to, previous, sink)
    return Deployed(facts.to, previous, before, switched=switched)


def _ask(remote: Remote, to: str, package: Package | None) -> scripts.Answers:
    words = (package.release, package.digest) if package else ("", "")
    ran = remote.script(scripts.text("state"), to, *words, seconds=SECONDS)
    if ran.status != 0:
        raise failed(remote, f"it does not say what is in {to}", ran.output)
    return scripts.answers(ran.output)


def _require_space(remote: Remote, facts: Facts, package: Package, arrived: int, free: int | None) -> None:
    needed = max(0, package.size - arrived) + package.unpacked + _MARGIN
    if free is not None and free * 1024 < needed:
        raise board_error(
            f"{remote.name} has {free / 1024:.0f} MiB free in {facts.to}, and {package.name} needs "
            f"{needed / 2**20:.0f} MiB there",
            reason="board-space",
            remedy="make room there, or choose a folder of another file system with --to DIR; "
            "the current bundle is as it was",
        )


def _bring(remote: Remote, facts: Facts, package: Package, arrived: int, sink: Sink) -> int:
    """Copy and unpack; returns how many bytes went over. If they are not what was sent, all is copied once more."""
    copied = 0
    for start in (arrived, 0):
        sink.emit(Step("copy"))
        began = time.monotonic()
        copied += copy(remote, facts, package.archive, f"{facts.to}/incoming/{package.digest}", start, sink)
        sink.emit(Step("copy", time.monotonic() - began))
        sink.emit(Step("unpack"))
        began = time.monotonic()
        ran = remote.script(scripts.text("unpack"), facts.to, package.release, package.digest, seconds=_LONG)
        if ran.status == 0:
            sink.emit(Step("unpack", time.monotonic() - began))
            return copied
        if not scripts.first(scripts.answers(ran.output), "digest"):
            raise failed(remote, "the bundle cannot be unpacked", ran.output)
        sink.emit(Note("what arrived is not what was sent: it is copied again", "warning"))
    raise board_error(
        f"what arrives on {remote.name} is not what was sent",
        reason="board-digest",
        details=f"sha256 {package.digest} was sent",
        remedy="the board's disk, memory or network may be at fault; try again, or with another folder (--to DIR)",
    )


def _damage(remote: Remote, facts: Facts, package: Package) -> str:
    """The first thing that is wrong with the files of a release, for people; empty where nothing is."""
    sums = "\n".join(f"{digest}  {name}" for digest, name in package.sums)
    ran = remote.script(scripts.text("check"), facts.to, package.release, sums, seconds=_LONG)
    found = scripts.answers(ran.output)
    if ran.status == 0 and scripts.number(found, "right") == len(package.sums):
        return ""
    return next((line[:200] for line in scripts.said(ran.output) if line.strip()), "not all files could be read")


def _switch(remote: Remote, to: str, release: str, sink: Sink) -> tuple[str, bool]:
    """Make a release the current one; returns the previous one, and whether anything changed."""
    ran = remote.script(scripts.text("switch"), to, release, seconds=_LONG)
    found = scripts.answers(ran.output)
    if ran.status != 0:
        raise failed(remote, f"{release} cannot be made the current bundle", ran.output)
    if "gap" in found:
        sink.emit(Note("its mv knows no -T: for a moment there was no current bundle", "warning"))
    for old in found.get("removed", ()):
        sink.emit(Note(f"removed on the board: {old.removeprefix(_FOLDER)}"))
    return scripts.first(found, "previous").removeprefix(_FOLDER), "switched" in found
