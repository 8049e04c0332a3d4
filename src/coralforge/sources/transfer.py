"""Transfers one address into a partial file: HTTP with resume, retries and limits, or a file of this machine."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from coralforge import __version__
from coralforge.sources.answers import check_status, length_of, target_of
from coralforge.sources.pace import Pace, PacedSession
from coralforge.sources.partial import PartialDownload
from coralforge.sources.refusals import Cancelled, Refusal, Retry, shown, why_unreachable

_CHUNK = 1 << 16
_REDIRECTS = 10
_MOVES_ON = 1 << 20


@dataclass(frozen=True)
class Policy:
    """How patient the fetcher is. Times in seconds, ``cap`` in bytes (for places that pin no size).

    Within ``read`` seconds the head of an answer has to come, and then each ``least`` bytes of the file: a server
    that drips must not hold up a run for ever.
    """

    attempts: int = 4
    backoff: float = 0.5
    longest_wait: float = 30.0
    connect: float = 10.0
    read: float = 60.0
    cap: int = 1 << 30
    least: int = 1 << 14


@dataclass
class Hosts:
    """Hosts that are dead or weak in this run, shared by its threads, so that nobody asks a dead one again."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _dead: dict[str, str] = field(default_factory=dict)
    _weak: set[str] = field(default_factory=set)

    def dead(self, host: str) -> str | None:
        """Why ``host`` is not asked any more, or None."""
        with self._lock:
            return self._dead.get(host)

    def bury(self, host: str, why: str) -> bool:
        """Ask ``host`` no more in this run; True for the first one to say so."""
        with self._lock:
            first = host not in self._dead
            self._dead.setdefault(host, why)
            return first

    def weaken(self, host: str) -> None:
        """``host`` used up its retries once: from now on it gets one attempt a file."""
        with self._lock:
            self._weak.add(host)

    def attempts(self, host: str, policy: Policy) -> int:
        """How often a file may be asked of ``host``."""
        with self._lock:
            return 1 if host in self._weak else policy.attempts


@dataclass(frozen=True)
class Transfer:
    """The state that the downloads of one run share. ``warn`` gets a sentence for the user."""

    policy: Policy
    hosts: Hosts
    cancel: threading.Event
    warn: Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One address to transfer into ``part``. ``size`` is the pinned size in bytes, where known."""

    address: str
    part: PartialDownload
    size: int | None
    progress: Callable[[int, int | None], None]


@dataclass(frozen=True)
class Transferred:
    """The content of the partial file, and whether it was put together from more than one answer."""

    sha256: str
    size: int
    resumed: bool


def open_session(policy: Policy) -> PacedSession:
    """A session with the environment's proxies and certificates; for one thread. Retries are ours."""
    session = PacedSession(Pace(policy.read, policy.least))
    # Archives must arrive as they are: a transparent gzip would change the digest.
    session.headers.update({"User-Agent": f"coralforge/{__version__}", "Accept-Encoding": "identity"})
    return session


def transfer_file(run: Transfer, path: Path, job: Job) -> Transferred:
    """Copy a file of this machine (a mirror folder, ``file://``) into the part, always from its start.

    Raises:
        Refusal: no such file, unreadable, or larger than allowed.
    """
    try:
        if not path.is_file():
            raise Refusal("missing", "no such file")
        total = path.stat().st_size
    except OSError as error:
        raise Refusal("refused", f"cannot be read: {error.strerror}") from None
    _check_size(run, job, total)
    job.part.begin(job.address, {})
    return _store(run, job, _read(path), total)


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK * 16):
                yield chunk
    except OSError as error:
        raise Refusal("refused", f"cannot be read: {error.strerror}") from None


def transfer_http(run: Transfer, session: PacedSession, job: Job) -> Transferred:
    """Download over HTTP(S); continues the part where it stopped, retries what may pass.

    Raises:
        Refusal: the place has no such file, refuses, is out of reach, or sends more than is pinned.
        Cancelled: the run was cancelled.
    """
    host = _host(job.address)
    resumed = False
    attempt = 0
    while True:
        attempt += 1
        before = job.part.size()
        try:
            transferred = _once(run, session, job)
            return Transferred(transferred.sha256, transferred.size, resumed or transferred.resumed)
        except Retry as again:
            resumed = True
            if job.part.size() >= before + _MOVES_ON:
                attempt = 1  # a long way further on it is not the same failure again
            _wait(run, host, attempt, again)


def _wait(run: Transfer, host: str, attempt: int, again: Retry) -> None:
    """Sleep before the next attempt, or give up with the last reason."""
    policy = run.policy
    if attempt >= run.hosts.attempts(host, policy) or (again.after or 0) > policy.longest_wait:
        run.hosts.weaken(host)
        tries = f" ({attempt} attempts)" if attempt > 1 else ""
        raise Refusal("refused", f"{again.text}{tries}")
    seconds = policy.backoff * 2 ** (attempt - 1) * (1 + random.random() / 2)  # noqa: S311 - jitter, not a secret
    if run.cancel.wait(min(max(seconds, again.after or 0.0), policy.longest_wait)):
        raise Cancelled


def _once(run: Transfer, session: PacedSession, job: Job) -> Transferred:
    have = job.part.size()
    headers = job.part.resume_headers(job.address)
    if headers and have == job.size:
        return Transferred(job.part.digest().hexdigest(), have, resumed=True)
    with _follow(run, session, job.address, headers) as response:
        check_status(response, job.part, resuming=bool(headers))
        offset = have if response.status_code == 206 else 0
        total = length_of(response, offset)
        _check_size(run, job, total)
        if offset == 0:
            job.part.begin(job.address, response.headers)
        return _store(run, job, _chunks(session.pace, response), total)


def _chunks(pace: Pace, response: requests.Response) -> Iterator[bytes]:
    """The bytes of a response as they come; a cut, slow or stalled one is a reason to retry."""
    pace.begin()
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
            pace.count(len(chunk))
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if not isinstance(error, urllib3.exceptions.TimeoutError):
            raise Retry("the connection was cut before the end of the file") from None
        if not pace.came:
            raise Retry("the connection stopped sending before the end of the file") from None
        raise Retry(f"the connection brought {pace.came:,} bytes in {pace.seconds:g} s") from None


def _store(run: Transfer, job: Job, chunks: Iterator[bytes], total: int | None) -> Transferred:
    """Append the chunks to the part, hashing; stops at the size limit and when cancelled."""
    digest = job.part.digest()
    start = done = job.part.size()
    with job.part.append() as out:
        for chunk in chunks:
            if run.cancel.is_set():
                raise Cancelled
            done += len(chunk)
            if done > _limit(run, job):
                job.part.drop()
                raise Refusal("size", _too_large(run, job, "more"))
            digest.update(chunk)
            view = memoryview(chunk)
            while view:  # a raw write may be short, e.g. at the edge of a full disk
                view = view[out.write(view) :]
            job.progress(done, total)
    return Transferred(digest.hexdigest(), done, resumed=start > 0)


def _follow(run: Transfer, session: PacedSession, url: str, headers: dict[str, str]) -> requests.Response:
    """GET, following redirects by hand: only to http(s), and never from https down to http."""
    for _ in range(_REDIRECTS):
        response = _get(run, session, url, headers)
        if not response.is_redirect:
            return response
        response.close()
        target = target_of(url, response.headers["Location"])
        scheme = urlsplit(target).scheme
        if scheme not in ("http", "https"):
            raise Refusal("refused", f"redirects to {shown(target)}, which is not http(s)")
        if urlsplit(url).scheme == "https" and scheme == "http":
            raise Refusal("refused", f"redirects from https to {shown(target)}")
        url = target
    raise Refusal("refused", f"redirects more than {_REDIRECTS} times")


def _get(run: Transfer, session: PacedSession, url: str, headers: dict[str, str]) -> requests.Response:
    host = _host(url)
    why = run.hosts.dead(host)
    if why is None:
        session.pace.begin()
        try:
            return session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(run.policy.connect, run.policy.read),
            )
        except requests.RequestException as error:
            why = why_unreachable(error, run.policy.connect)
            if why is None:
                late = isinstance(error, requests.exceptions.ReadTimeout)
                within = f" within {run.policy.read:g} s" if late else ""
                raise Retry(f"{host} does not answer{within}") from None
            if run.hosts.bury(host, why):
                run.warn(f"{host} is out of reach ({why}); other places are used")
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            raise Refusal("refused", f"is not a usable address: {error}") from None
    raise Refusal("unreachable", f"{host} is out of reach: {why}")


def _limit(run: Transfer, job: Job) -> int:
    return run.policy.cap if job.size is None else job.size


def _check_size(run: Transfer, job: Job, total: int | None) -> None:
    if total is not None and total > _limit(run, job):
        job.part.drop()
        raise Refusal("size", _too_large(run, job, f"{total:,} bytes"))


def _too_large(run: Transfer, job: Job, found: str) -> str:
    kind = "allowed without a pinned size" if job.size is None else "pinned"
    return f"is too large: {_limit(run, job):,} bytes are {kind}, it sends {found}"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url
