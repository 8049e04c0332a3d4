"""A bundle on a board that is reached by SSH, emulated or not: which one fits, putting it there, its smoke test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.board.remote import Remote
from coralforge.bundle.opened import CHECK, Opened, check_digest
from coralforge.bundle.peek import packed_file, packed_manifest
from coralforge.config.arch import Arch
from coralforge.containers.spec import Finished
from coralforge.deploy import scripts
from coralforge.deploy.deploy import Deployed, deploy
from coralforge.deploy.facts import Facts, ask, require_place
from coralforge.deploy.lock import WAIT_SECONDS, held
from coralforge.errors import CoralforgeError, board_error, user_error
from coralforge.events import Sink

SECONDS = 1800  # boards are slow, but a program that hangs must not hold a CI job for hours
_MAX_CHECK = 1 << 17  # bytes
_STEP = 300.0  # seconds for what takes one or two
_CONTENT = "coralforge: content\n"  # fetch.sh
_OTHER = ": take coralforge-"  # how check-board.sh says that another bundle fits


@dataclass(frozen=True)
class Candidate:
    """A bundle that may fit a board; its archive need not be there yet."""

    arch: Arch
    archive: Path
    check: str
    """Its check-board.sh."""

    @classmethod
    def of(cls, archive: Path) -> Candidate:
        """The bundle in an archive; it is checked when it is unpacked.

        Raises:
            CoralforgeError: ``bundle-digest``, ``bundle-manifest``, exit code 2.
        """
        check_digest(archive)
        check, manifest = packed_file(archive, CHECK, _MAX_CHECK), packed_manifest(archive)
        if check is None or manifest is None:
            raise user_error(
                f"{archive} is no bundle that this coralforge can read, or has no {CHECK}",
                reason="bundle-manifest",
                remedy="give the .tar.gz that `invoke bundle` made",
            )
        return cls(manifest.arch, archive, check.decode(errors="replace"))


def ask_fitting(remote: Remote, to: str, opened: Opened) -> Facts:
    """The facts of a board, if the bundle fits it and the folder ``to`` can be had there.

    Raises:
        CoralforgeError: ``board-unfit``, ``board-tools``, ``board-write``, and as ``facts.ask``: exit code 9.
    """
    return ask_choosing(remote, to, [Candidate.of(opened.archive)])[0]


def ask_choosing(remote: Remote, to: str, candidates: Sequence[Candidate]) -> tuple[Facts, Candidate]:
    """The facts of a board, and the first candidate that fits it: one of its programs' word size first.

    Raises:
        CoralforgeError: ``bundle-missing`` (exit code 2): the one that fits is not there; and as :func:`ask_fitting`.
    """
    facts = ask(remote, to, {one.arch.value: one.check for one in candidates})
    fitting = [one for one in candidates if not facts.verdicts[one.arch.value]]
    if not fitting:
        raise _unfit(remote, facts, candidates)
    require_place(remote, facts)
    chosen = next((one for one in fitting if one.arch.row.bits == facts.bits), fitting[0])
    if not chosen.archive.is_file():
        raise user_error(
            f"{remote.name} ({facts.summary()}) needs {chosen.archive.name}, which does not exist",
            reason="bundle-missing",
            remedy=f"run invoke bundle --arch {chosen.arch.value}, or give --bundle FILE",
        )
    return facts, chosen


def _unfit(remote: Remote, facts: Facts, candidates: Sequence[Candidate]) -> CoralforgeError:
    """The reason that says most: not that another bundle fits, where that one was asked too."""
    reasons = [facts.verdicts[one.arch.value] for one in candidates]
    told = next((why for why in reasons if _OTHER not in why), reasons[0])
    return board_error(
        f"{remote.name} cannot run programs for {told}",
        reason="board-unfit",
        details=facts.summary(),
        remedy="give the bundle that fits with --bundle FILE or --arch NAME; docs/boards.md lists boards",
    )


@contextlib.contextmanager
def deployed(
    remote: Remote, facts: Facts, opened: Opened, sink: Sink, wait: int = WAIT_SECONDS
) -> Iterator[Deployed]:
    """The bundle as the current one of a board; nobody else deploys there in the block.

    ``wait`` is how many seconds another one is waited for.

    Raises:
        CoralforgeError: as ``lock.held`` and ``deploy.deploy``.
    """
    with held(remote, facts.to, sink, wait):
        yield deploy(remote, facts, opened.package(), sink)


def smoke(remote: Remote, there: Deployed, report: Path, on_line: Callable[[str], None]) -> Finished:
    """Run the current bundle's smoke.sh, and bring its report back; one that it did not write makes no file.

    Raises:
        CoralforgeError: as ``Remote.run``.
    """
    path = f"{there.to}/smoke-report.json"
    started = time.monotonic()
    ran = remote.script(
        scripts.text("smoke"), there.current, path, str(SECONDS), seconds=SECONDS + _STEP, on_line=on_line
    )
    finished = Finished(ran.status, False, time.monotonic() - started)
    fetch(remote, path, report)
    return finished


def fetch(remote: Remote, path: str, to: Path) -> None:
    """A small text file of a board. One that is not there makes no file."""
    ran = remote.script(scripts.text("fetch"), path, seconds=_STEP)
    _, mark, content = ran.output.partition(_CONTENT)
    if ran.status == 0 and mark:
        to.write_text(content, encoding="utf-8")
