"""One source at a time: its candidates in order, each under the lock of its digest, checked before it counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from coralforge.events import Note, Progress, Sink
from coralforge.sources.failures import Failure, Failures
from coralforge.sources.pace import PacedSession
from coralforge.sources.partial import PartialDownload
from coralforge.sources.places import file_name, local_path
from coralforge.sources.records import Candidate, Fetched, Wanted
from coralforge.sources.refusals import Cancelled, Refusal, shown
from coralforge.sources.transfer import (
    Hosts,
    Job,
    Policy,
    Transfer,
    Transferred,
    open_session,
    transfer_file,
    transfer_http,
)

_REPORT_EVERY = 0.2


class Downloads:
    """The downloads of one run into one folder; used from several threads."""

    def __init__(self, folder: Path, sink: Sink, cancel: threading.Event, policy: Policy | None = None) -> None:
        self._folder = folder
        self._sink = sink
        self._run = Transfer(policy or Policy(), Hosts(), cancel, self._warn)
        self._sessions = threading.local()
        self._open: list[PacedSession] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for session in self._open:
            session.close()

    def fetch_one(self, wanted: Wanted, tries: Iterable[Candidate]) -> Fetched | Failures:
        """Each candidate in turn until one gives the pinned bytes.

        Raises:
            OSError: the download folder cannot be written.
            Cancelled: the run was cancelled.
        """
        failures = []
        for candidate in tries:
            place = candidate.place
            final = self._folder / place.sha256 / file_name(place)
            address = shown(candidate.address)
            try:
                with self._locked(wanted.name, place.sha256):
                    if not final.is_file():
                        self._transfer(wanted.name, candidate).commit(final)
            except Refusal as refusal:
                failures.append(Failure(address, refusal.kind, refusal.text))
                if refusal.kind in ("digest", "size"):
                    self._warn(f"{wanted.name}: {address}: {refusal.text}")
            else:
                return Fetched(wanted.name, place, final, address)
        return Failures(wanted, tuple(failures))

    def _transfer(self, name: str, candidate: Candidate) -> PartialDownload:
        """Download and check the digest; a resumed file that turns out wrong is tried once more from its start."""
        place = candidate.place
        part = PartialDownload(self._folder / ".parts" / f"{place.sha256}.part")
        job = Job(candidate.address, part, place.size, self._reporter(name))
        transferred = self._transfer_once(job)
        if transferred.sha256 != place.sha256 and transferred.resumed:
            part.drop()
            transferred = self._transfer_once(job)
        if transferred.sha256 != place.sha256:
            part.drop()
            found = f"sha256 {transferred.sha256} ({transferred.size:,} bytes)"
            text = f"wrong digest: {found} found, {place.sha256} expected"
            raise Refusal("digest", text)
        return part

    def _transfer_once(self, job: Job) -> Transferred:
        path = local_path(job.address)
        if path is not None:
            return transfer_file(self._run, path, job)
        if job.address.startswith("debian:"):
            text = "this machine's apt names no Debian archive; set CORALFORGE_DEBIAN_ARCHIVE to one"
            raise Refusal("unreachable", text)
        return transfer_http(self._run, self._session(), job)

    def _session(self) -> PacedSession:
        """This thread's own session (they are not made for sharing); it keeps connections open between files."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = open_session(self._run.policy)
            self._open.append(self._sessions.session)
        session: PacedSession = self._sessions.session
        return session

    def _warn(self, text: str) -> None:
        self._sink.emit(Note(text, "warning"))

    def _reporter(self, name: str) -> Callable[[int, int | None], None]:
        """A progress callback that emits a few events a second and always the last one."""
        last = [0.0]

        def report(done: int, total: int | None) -> None:
            now = time.monotonic()
            if done == total or now - last[0] >= _REPORT_EVERY:
                last[0] = now
                self._sink.emit(Progress(name, done, total, "bytes"))

        return report

    @contextmanager
    def _locked(self, name: str, sha256: str) -> Iterator[None]:
        """Hold the lock of one digest, against threads and processes; waiting ends when the run is cancelled."""
        path = self._folder / ".parts" / f"{sha256}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        waiting = False
        while not self._run.cancel.is_set():
            try:
                lock.acquire(timeout=0.3 if waiting else 0, poll_interval=0.05)
            except filelock.Timeout:
                if not waiting:
                    self._sink.emit(Note(f"{name}: waiting for another run that downloads it"))
                waiting = True
                continue
            try:
                yield
            finally:
                lock.release()
            return
        raise Cancelled
