"""Sources: servers that do what they should not, in each position of the places that are asked."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Place
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.sources.debian import OVERRIDE, SNAPSHOT
from coralforge.sources.fetch import fetch_all
from coralforge.sources.pace import Pace
from coralforge.sources.partial import PartialDownload
from coralforge.sources.records import Wanted
from coralforge.sources.transfer import Policy
from tests.support import bad_server as bad
from tests.support.bad_server import DRIPPING, DRIPS, FAULTS, BadServer, Drip, Fault
from tests.support.patience import NET, growing_limits
from tests.support.promises import Promise, Trial, promised

CHAPTER = "Sources"
GITHUB = bytes(range(256)) * 700
DEBIAN = bytes(range(255, -1, -1)) * 600
POSITIONS = ("mirror", "github", "debian", "snapshot")
"""In the order in which they are asked; the mirror and the snapshot have the files of the others."""
QUICK = Policy(attempts=2, backoff=0.001, connect=NET, read=NET, cap=1 << 20)
STAMP = "20261128T000000Z"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Bench:
    """A cache, a server, and a source that can be had from four places."""

    cache: Path
    server: BadServer
    sized: bool
    sink: Recorder = field(default_factory=Recorder)

    def wanted(self) -> Wanted:
        size = (len(GITHUB), len(DEBIAN)) if self.sized else (None, None)
        url = self.server.url("github/owner/repo/archive/v1.2.tar.gz")
        pool = "pool/main/r/repo/repo_1.2.orig.tar.gz"
        places = [
            Place(url=url, sha256=digest(GITHUB), size=size[0]),
            Place(debian=pool, snapshot=STAMP, sha256=digest(DEBIAN), size=size[1]),
        ]
        return Wanted("thing", Source(version="1", licence="MIT", places=places), Arch.AARCH64)

    def fetch(self, policy: Policy = QUICK) -> bytes | CoralforgeError:
        """The bytes that were admitted, or the error."""
        try:
            fetched = fetch_all([self.wanted()], self.cache, [self.server.url("mirror")], self.sink, policy=policy)
        except CoralforgeError as error:
            return error
        return fetched["thing"].path.read_bytes()

    def admitted(self) -> list[bytes]:
        """All that has a name in the download cache that others look at."""
        found = (self.cache / "downloads").glob("[!.]*/*")
        return [path.read_bytes() for path in found]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with bad.bad_server() as server:
        monkeypatch.setenv(OVERRIDE, server.url("debian"))
        monkeypatch.setenv(SNAPSHOT, server.url("snapshot"))
        server.bodies = {"github": GITHUB, "debian": DEBIAN, "snapshot": DEBIAN, "mirror": GITHUB}
        yield server


@dataclass(frozen=True)
class Case:
    """One fault in one position, and what the other places do."""

    fault: str
    position: str
    others: str
    """``fine``, ``missing``, or ``same``: all have the fault."""
    sized: bool

    def arrange(self, server: BadServer, fault: Fault) -> None:
        others = {"fine": bad.fine, "missing": bad.missing, "same": fault}[self.others]
        server.faults = dict.fromkeys(POSITIONS, others) | {self.position: fault}
        server.seed = self
        server.asked.clear()


def cases(faults: tuple[str, ...]) -> list[Case]:
    product = itertools.product(faults, POSITIONS, ("fine", "missing", "same"), (True, False))
    return [Case(*one) for one in product]


def right(case: Case, bench: Bench, found: bytes | CoralforgeError) -> None:
    """No wrong byte was admitted; where nothing was, the error names the place, and says why."""
    assert set(bench.admitted()) <= {GITHUB, DEBIAN}, case
    if not isinstance(found, CoralforgeError):
        assert found in (GITHUB, DEBIAN), case
        return
    assert case.others != "fine", (case, str(found))
    assert found.code is ExitCode.SOURCE, case
    assert bench.server.url(case.position) in found.details, (case, str(found))
    assert bench.admitted() == [], case


FAULT = Promise(
    CHAPTER,
    "No wrong byte is admitted; another place is taken, or the error names each place and why",
    f"a real server on loopback with {len(FAULTS)} faults ({', '.join(FAULTS)}) in each position of the places "
    f"({', '.join(POSITIONS)}), the others fine, without the file or faulty, size pinned or not",
    "the digest is not compared: a flipped bit is admitted",
)


@promised(FAULT)
def test_no_wrong_byte_is_admitted_from_any_place(server: BadServer, tmp_path: Path, trial: Trial) -> None:
    for number, case in enumerate(trial.cases(cases(tuple(FAULTS)), short=100)):
        case.arrange(server, FAULTS[case.fault])
        bench = Bench(tmp_path / str(number), server, case.sized)
        right(case, bench, bench.fetch())


@promised(FAULT, control=True)
def test_without_its_digest_a_flipped_bit_is_admitted(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coralforge.sources import download, transfer

    def believing(*arguments: Any) -> transfer.Transferred:
        return replace(believed(*arguments), sha256=digest(GITHUB))

    believed = transfer.transfer_http
    monkeypatch.setattr(download, "transfer_http", believing)
    case = Case("flip", "github", "missing", sized=True)
    case.arrange(server, bad.flip)
    bench = Bench(tmp_path, server, case.sized)
    with pytest.raises(AssertionError):
        right(case, bench, bench.fetch())


SLOW = Promise(
    CHAPTER,
    "A server that drips, stalls or says nothing is left for the next place",
    f"a word every 20 ms, for ever, as {', '.join(DRIPPING)}; half a file and then nothing, nothing at all; in each "
    "position",
    "no clock for a whole answer, only for each read: the client takes all drips",
)


@promised(SLOW)
def test_a_server_that_drips_or_stalls_is_left(server: BadServer, tmp_path: Path, trial: Trial) -> None:
    number = itertools.count()
    for case in trial.cases(cases((*DRIPPING, "stalled", "silent")), short=6):
        for limit in growing_limits():  # a busy machine may be too slow for the places that are fine, too
            stops: dict[str, Fault] = {"stalled": bad.stalled, "silent": bad.silent}
            fault = stops.get(case.fault) or Drip(case.fault)
            case.arrange(server, fault)
            bench = Bench(tmp_path / str(next(number)), server, case.sized)
            found = bench.fetch(Policy(attempts=1, connect=NET, read=limit, cap=1 << 20))
            if case.others == "fine" and isinstance(found, CoralforgeError):
                continue
            right(case, bench, found)
            break


@promised(SLOW, control=True)
@pytest.mark.parametrize("what", DRIPPING)
def test_without_a_clock_for_all_of_it_all_drips_are_taken(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(Pace, "left", lambda self: NET)
    drip = Drip(what, most=DRIPS)
    Case(what, "github", "missing", sized=True).arrange(server, drip)
    Bench(tmp_path, server, sized=True).fetch(Policy(attempts=1, connect=NET, read=0.01, cap=1 << 20))
    assert drip.taken == DRIPS


RESUMED = Promise(
    CHAPTER,
    "A download that goes on is the pinned file, or begins again",
    "a part of an earlier run, its file changed on the server meanwhile: another ETag, the same, none, a weak one; "
    "ranges that are honoured, ignored, wrong or refused; and all faults above",
    "a part is believed to go on with any answer: its digest is wrong, and it is thrown away",
)


@dataclass
class Changed:
    """A server whose file is another one than when the part was begun."""

    etag: str
    ranges: str
    now: bytes

    def __call__(self, asked: bad.Asked) -> None:
        wanted = asked.handler.headers.get("Range", "")
        if not wanted or self.ranges == "ignored":
            headers = {"ETag": self.etag} if self.etag else {}
            asked.answer(200, self.now, None, **headers)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if self.ranges == "refused":
            asked.answer(416, Content_Range=f"bytes */{len(self.now)}")
            return
        shift = {"honoured": 0, "wrong": 7, "shifted": 0}[self.ranges]
        body = self.now[start + (5 if self.ranges == "shifted" else 0) :]
        last = len(self.now) - 1
        asked.answer(206, body, Content_Range=f"bytes {start + shift}-{last}/{len(self.now)}")


@promised(RESUMED)
def test_a_download_that_goes_on_is_the_pinned_file(server: BadServer, tmp_path: Path, trial: Trial) -> None:
    etags = ("", '"old"', '"new"', 'W/"old"')
    ranges = ("honoured", "ignored", "refused", "wrong", "shifted")
    bodies = (GITHUB, GITHUB[::-1])
    changed = [Changed(*one) for one in itertools.product(etags, ranges, bodies)]
    faults: list[tuple[str, Fault]] = [*((str(one), one) for one in changed), *FAULTS.items()]
    for number, (name, fault) in enumerate(trial.cases(faults, short=25)):
        case = Case(name, "github", "missing", sized=bool(number % 2))
        case.arrange(server, fault)
        bench = Bench(tmp_path / str(number), server, case.sized)
        part = PartialDownload(bench.cache / "downloads/.parts" / f"{digest(GITHUB)}.part")
        part.begin(server.url("github/owner/repo/archive/v1.2.tar.gz"), {"ETag": '"old"'})
        earlier = trial.random(name).choice((GITHUB, DEBIAN))
        with part.append() as out:
            out.write(earlier[: trial.random(name).choice((1, 1000, len(GITHUB) - 1, len(GITHUB)))])
        found = bench.fetch()
        right(case, bench, found)
        if isinstance(fault, Changed) and fault.now == GITHUB and fault.ranges not in ("wrong", "shifted"):
            assert found == GITHUB, (case, found)


@promised(RESUMED, control=True)
def test_without_its_digest_a_part_of_another_file_is_admitted(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coralforge.sources import download

    monkeypatch.setattr(download.Downloads, "_transfer", lambda self, name, candidate: self_part(self, candidate))

    def self_part(downloads: download.Downloads, candidate: object) -> PartialDownload:
        part = PartialDownload(tmp_path / "downloads/.parts" / f"{digest(GITHUB)}.part")
        job = download.Job(candidate.address, part, None, lambda *_: None)  # type: ignore[attr-defined]
        downloads._transfer_once(job)
        return part

    case = Case("changed", "github", "missing", sized=False)
    case.arrange(server, Changed("", "honoured", GITHUB[::-1]))
    bench = Bench(tmp_path, server, case.sized)
    part = PartialDownload(tmp_path / "downloads/.parts" / f"{digest(GITHUB)}.part")
    part.begin(server.url("github/owner/repo/archive/v1.2.tar.gz"), {})
    with part.append() as out:
        out.write(GITHUB[:1000])
    server.faults["mirror"] = server.faults["github"]
    with pytest.raises(AssertionError):
        right(case, bench, bench.fetch())
