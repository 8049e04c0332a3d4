"""Fetching: the pinned bytes from the first place that has them, whatever servers and networks do."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from coralforge.config.arch import Arch
from coralforge.config.base import Place
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Event, Note, Progress, Recorder
from coralforge.sources import download
from coralforge.sources.answers import length_of, target_of
from coralforge.sources.fetch import cached, fetch_all, verified
from coralforge.sources.partial import PartialDownload
from coralforge.sources.records import Fetched, Wanted
from coralforge.sources.refusals import Cancelled, Refusal, why_unreachable
from coralforge.sources.transfer import Hosts, Job, Policy, Transfer, open_session, transfer_http
from coralforge.sources.workers import run_all
from tests.support.patience import NET, wait_until

DATA = bytes(range(256)) * 2000
CHUNKS = 8  # of 64 KiB; more where less came at a time
QUICK = Policy(backoff=0.01, connect=NET, read=NET)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def want(*urls: str, name: str = "thing", data: bytes = DATA, size: int | None = None) -> Wanted:
    places = [Place(url=url, sha256=digest(data), size=size) for url in urls]
    return Wanted(name, Source(version="1", licence="MIT", places=places), Arch.AARCH64)


@dataclass
class Bench:
    """A cache, a recorder of events and short words for what tests do with them."""

    cache: Path
    recorder: Recorder = field(default_factory=Recorder)

    def fetch(self, *wanted: Wanted, mirrors: tuple[str, ...] = (), policy: Policy = QUICK) -> dict[str, Fetched]:
        return fetch_all(wanted, self.cache, mirrors, self.recorder, policy=policy)

    def fail(self, *wanted: Wanted, mirrors: tuple[str, ...] = (), policy: Policy = QUICK) -> CoralforgeError:
        with pytest.raises(CoralforgeError) as caught:
            self.fetch(*wanted, mirrors=mirrors, policy=policy)
        assert [path for item in wanted if (path := cached(item, self.cache))] == []
        return caught.value

    def notes(self) -> list[str]:
        return [event.text for event in self.recorder.events if isinstance(event, Note)]

    def part(self, data: bytes = DATA) -> PartialDownload:
        return PartialDownload(self.cache / "downloads" / ".parts" / f"{digest(data)}.part")

    def half_done(self, address: str, validator: str = "", data: bytes = DATA, size: int = 1000) -> None:
        """What a killed run leaves behind."""
        self.part(data).begin(address, {"ETag": validator})
        with self.part(data).append() as out:
            out.write(data[:size])


@pytest.fixture(scope="module")
def make_httpserver() -> Iterator[HTTPServer]:
    """pytest-httpserver's server, but one that answers several requests at a time."""
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


@dataclass
class Origin:
    """A server of one file that supports ranges, and can be told to misbehave."""

    data: bytes = DATA
    etag: str = '"v1"'
    ranges: bool = True
    cut_at: list[int] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.requests.append({key: value for key, value in request.headers.items() if key in ("Range", "If-Range")})
        start, status, headers = 0, 200, {}
        condition = request.headers.get("If-Range")
        if self.ranges and request.range and condition in (None, self.etag):
            start = request.range.ranges[0][0] or 0
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        body = self.data[start:]
        headers["Content-Length"] = str(len(body))
        if self.etag:
            headers["ETag"] = self.etag
        if self.cut_at:
            body = body[: self.cut_at.pop(0)]
        return Response(iter([body]), status, headers)


@pytest.fixture
def origin(httpserver: HTTPServer) -> Origin:
    origin = Origin()
    httpserver.expect_request("/file.tar.gz").respond_with_handler(origin)
    return origin


@pytest.fixture
def address(httpserver: HTTPServer, origin: Origin) -> str:
    return str(httpserver.url_for("/file.tar.gz"))


@pytest.fixture
def closed() -> str:
    """The address of a port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def asked(httpserver: HTTPServer, path: str) -> int:
    """How often the server was asked for ``path``."""
    return [request.path for request, _ in httpserver.log].count(path)


# --- what goes well ----------------------------------------------------------------------------------------------


def test_a_file_arrives_in_its_own_folder_and_nothing_else_stays(bench: Bench, address: str) -> None:
    fetched = bench.fetch(want(address))["thing"]
    assert fetched.path == bench.cache / "downloads" / digest(DATA) / "file.tar.gz"
    assert fetched.path.read_bytes() == DATA
    assert fetched.address == address
    assert [path.suffix for path in (bench.cache / "downloads" / ".parts").iterdir()] == [".lock"]


def test_what_is_cached_needs_no_network(bench: Bench, address: str, origin: Origin) -> None:
    wanted = want(address)
    assert cached(wanted, bench.cache) is None
    bench.fetch(wanted)
    hit = cached(wanted, bench.cache)
    assert hit is not None
    assert bench.fetch(wanted) == {"thing": hit}
    assert len(origin.requests) == 1


@pytest.mark.parametrize(("interval", "told"), [(0.0, range(CHUNKS, 512)), (float("inf"), range(1, 2))])
def test_progress_is_told_in_bytes_now_and_then_and_at_the_end(
    bench: Bench, address: str, monkeypatch: pytest.MonkeyPatch, interval: float, told: range
) -> None:
    monkeypatch.setattr(download, "_REPORT_EVERY", interval)
    bench.fetch(want(address))
    progress = [event for event in bench.recorder.events if isinstance(event, Progress)]
    assert progress[-1] == Progress("thing", len(DATA), len(DATA), "bytes")
    assert len(progress) in told


def test_sources_are_fetched_at_the_same_time(bench: Bench, httpserver: HTTPServer) -> None:
    together = threading.Barrier(4, timeout=NET / 4)

    def handler(request: Request) -> Response:
        together.wait()  # fails unless four requests are under way at once
        return Response(request.path.encode())

    wanted = []
    for n in range(4):
        httpserver.expect_request(f"/{n}").respond_with_handler(handler)
        wanted.append(want(httpserver.url_for(f"/{n}"), name=f"s{n}", data=f"/{n}".encode()))
    assert list(bench.fetch(*wanted)) == ["s0", "s1", "s2", "s3"]


def test_the_bytes_are_taken_as_they_are(bench: Bench, httpserver: HTTPServer) -> None:
    """Some servers call a .tar.gz gzip-encoded; unpacking it on the way would change the digest."""
    httpserver.expect_request("/a.gz", headers={"Accept-Encoding": "identity"}).respond_with_data(
        DATA, headers={"Content-Encoding": "gzip"}
    )
    assert bench.fetch(want(httpserver.url_for("/a.gz")))["thing"].path.read_bytes() == DATA


def test_a_file_address_is_copied_and_checked(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "local.tar").write_bytes(DATA)
    fetched = bench.fetch(want((tmp_path / "local.tar").as_uri()))["thing"]
    (tmp_path / "local.tar").write_bytes(b"changed later")
    assert fetched.path.read_bytes() == DATA


# --- resuming ----------------------------------------------------------------------------------------------------


def test_a_cut_download_goes_on_where_it_stopped(bench: Bench, address: str, origin: Origin) -> None:
    origin.cut_at = [100_000, 200_000]
    assert bench.fetch(want(address))["thing"].path.read_bytes() == DATA
    assert origin.requests == [
        {},
        {"Range": "bytes=100000-", "If-Range": '"v1"'},
        {"Range": "bytes=300000-", "If-Range": '"v1"'},
    ]


def test_the_next_run_goes_on_where_a_killed_one_stopped(bench: Bench, address: str, origin: Origin) -> None:
    bench.half_done(address, '"v1"')
    assert bench.fetch(want(address))["thing"].path.read_bytes() == DATA
    assert origin.requests == [{"Range": "bytes=1000-", "If-Range": '"v1"'}]


def test_a_server_without_validators_is_resumed_too_and_the_digest_decides(
    bench: Bench, origin: Origin, address: str
) -> None:
    origin.etag, origin.cut_at = "", [100_000]
    assert bench.fetch(want(address))["thing"].path.read_bytes() == DATA
    assert origin.requests == [{}, {"Range": "bytes=100000-"}]


def test_a_server_that_ignores_ranges_starts_again(bench: Bench, address: str, origin: Origin) -> None:
    origin.ranges, origin.cut_at = False, [100_000]
    assert bench.fetch(want(address))["thing"].path.read_bytes() == DATA


def test_a_file_that_changed_meanwhile_starts_again(bench: Bench, address: str, origin: Origin) -> None:
    bench.half_done(address, '"v0"', data=DATA)
    assert bench.fetch(want(address))["thing"].path.read_bytes() == DATA
    assert origin.requests == [{"Range": "bytes=1000-", "If-Range": '"v0"'}]


def test_a_weak_etag_is_no_validator(bench: Bench, address: str, origin: Origin) -> None:
    origin.etag, origin.cut_at = 'W/"v1"', [100_000]
    bench.fetch(want(address))
    assert origin.requests[1] == {"Range": "bytes=100000-"}


def test_a_part_with_wrong_bytes_is_thrown_away_and_fetched_whole(bench: Bench, address: str, origin: Origin) -> None:
    bench.part().begin(address, {"ETag": '"v1"'})
    with bench.part().append() as out:
        out.write(b"rubbish")
    assert bench.fetch(want(address))["thing"].path.read_bytes() == DATA
    assert [list(headers) for headers in origin.requests] == [["Range", "If-Range"], []]


def test_a_part_of_another_place_is_not_continued(bench: Bench, address: str, origin: Origin) -> None:
    bench.half_done("http://elsewhere.example/file", '"v1"')
    bench.fetch(want(address))
    assert origin.requests == [{}]


def test_a_part_that_was_complete_needs_no_request(bench: Bench, address: str, origin: Origin) -> None:
    bench.half_done(address, '"v1"', size=len(DATA))
    assert bench.fetch(want(address, size=len(DATA)))["thing"].path.read_bytes() == DATA
    assert origin.requests == []


@pytest.mark.parametrize("answer", [(416, {}), (206, {"Content-Range": "bytes 0-9/10"}), (206, {})])
def test_a_wrong_answer_to_a_range_starts_again(
    bench: Bench, httpserver: HTTPServer, answer: tuple[int, dict[str, str]]
) -> None:
    def handler(request: Request) -> Response:
        return Response(b"0123456789", answer[0], answer[1]) if request.range else Response(DATA)

    httpserver.expect_request("/odd").respond_with_handler(handler)
    bench.half_done(httpserver.url_for("/odd"))
    assert bench.fetch(want(httpserver.url_for("/odd")))["thing"].path.read_bytes() == DATA


def test_damaged_notes_beside_a_part_are_ignored(bench: Bench, address: str, origin: Origin) -> None:
    bench.half_done(address)
    bench.part().origin.write_text("{ not json")
    bench.fetch(want(address))
    assert origin.requests == [{}]


# --- wrong bytes -------------------------------------------------------------------------------------------------


def test_a_wrong_digest_is_never_seen_by_anyone_and_the_next_place_is_tried(
    bench: Bench, httpserver: HTTPServer, address: str
) -> None:
    httpserver.expect_request("/wrong").respond_with_data(b"something else")
    fetched = bench.fetch(want(httpserver.url_for("/wrong"), address))["thing"]
    assert (fetched.address, fetched.path.read_bytes()) == (address, DATA)
    assert any("wrong digest" in note and digest(b"something else") in note for note in bench.notes())
    assert not list(bench.cache.rglob("*.part"))


def test_a_wrong_digest_everywhere_has_its_own_reason_and_shows_both(bench: Bench, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/wrong").respond_with_data(b"something else")
    httpserver.expect_request("/none").respond_with_data(b"", status=404)
    error = bench.fail(want(httpserver.url_for("/none"), httpserver.url_for("/wrong")))
    assert (error.reason, error.code) == ("source-digest", ExitCode.SOURCE)
    assert digest(b"something else") in error.details
    assert digest(DATA) in error.details
    assert not list(bench.cache.rglob("*.part"))


def test_more_than_the_pinned_size_is_refused_before_it_is_read(bench: Bench, address: str) -> None:
    error = bench.fail(want(address, size=1000))
    assert error.reason == "source-unavailable"
    assert "1,000 bytes are pinned, it sends 512,000 bytes" in error.details
    assert not list(bench.cache.rglob("*.part"))


def test_without_a_length_the_size_is_watched_while_reading(bench: Bench, httpserver: HTTPServer) -> None:
    sent = []

    def endless(request: Request) -> Response:
        def chunks() -> Any:
            for _ in range(1000):
                sent.append(1)
                yield bytes(65536)

        return Response(chunks())

    httpserver.expect_request("/endless").respond_with_handler(endless)
    error = bench.fail(want(httpserver.url_for("/endless")), policy=Policy(cap=1 << 20, backoff=0.01))
    assert "1,048,576 bytes are allowed without a pinned size, it sends more" in error.details
    assert len(sent) < 1000
    assert not list(bench.cache.rglob("*.part"))


# --- places that do not have it ----------------------------------------------------------------------------------


def test_the_error_names_every_place_with_its_reason_and_the_remedy(
    bench: Bench, httpserver: HTTPServer, closed: str, tmp_path: Path
) -> None:
    (tmp_path / "mirror").mkdir()
    httpserver.expect_request("/none.tar.gz").respond_with_data(b"", status=404)
    httpserver.expect_request("/secret.tar.gz").respond_with_data(b"", status=403)
    source = Source(
        version="1.2.3",
        licence="MIT",
        places=[
            Place(url=httpserver.url_for("/none.tar.gz"), sha256=digest(DATA)),
            Place(url=httpserver.url_for("/secret.tar.gz"), sha256=digest(DATA)),
            Place(url=f"{closed}/a.tar.gz", sha256=digest(DATA)),
            Place(debian="pool/main/t/thing.tar.xz", sha256=digest(DATA)),
        ],
    )
    error = bench.fail(Wanted("thing", source, Arch.AARCH64), mirrors=(str(tmp_path / "mirror"),))
    assert (error.reason, error.code) == ("source-unavailable", ExitCode.SOURCE)
    assert error.brief == "1 of 1 sources could not be had: thing"
    lines = error.details.splitlines()
    assert lines[0] == "thing 1.2.3:"
    names = f"none.tar.gz, {digest(DATA)}, secret.tar.gz, a.tar.gz, thing.tar.xz"
    assert lines[1] == f"  {tmp_path}/mirror/: no such file ({names})"
    assert "answered 404" in lines[2]
    assert "answered 403" in lines[3]
    assert "Connection refused" in lines[4]
    assert lines[5].startswith("  debian:pool/main/t/thing.tar.xz: this machine's apt names no Debian archive")
    assert "none.tar.gz" in error.remedy
    assert "--mirror DIR" in error.remedy
    assert "--source thing=DIR" in error.remedy


def test_all_sources_that_fail_are_in_one_error_and_the_others_are_kept(
    bench: Bench, httpserver: HTTPServer, address: str
) -> None:
    httpserver.expect_request("/none").respond_with_data(b"", status=404)
    none = httpserver.url_for("/none")
    good = want(address, name="good")
    with pytest.raises(CoralforgeError) as caught:
        bench.fetch(want(none, name="one", data=b"1"), good, want(none, name="two", data=b"2"))
    assert caught.value.brief == "2 of 3 sources could not be had: one, two"
    assert cached(good, bench.cache) is not None


def test_missing_files_are_not_asked_for_again(bench: Bench, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/none").respond_with_data(b"", status=404)
    bench.fail(want(httpserver.url_for("/none")), policy=Policy(backoff=60))
    assert asked(httpserver, "/none") == 1


def test_a_passing_failure_is_tried_again(bench: Bench, httpserver: HTTPServer) -> None:
    answers = [503, 429, 500, 200]
    httpserver.expect_request("/busy").respond_with_handler(lambda _: Response(DATA, answers.pop(0)))
    bench.fetch(want(httpserver.url_for("/busy")))
    assert answers == []


def test_a_lasting_failure_is_given_up_and_the_host_gets_one_attempt_from_then_on(
    bench: Bench, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/busy").respond_with_data(b"", status=503)
    busy = httpserver.url_for("/busy")
    error = bench.fail(want(busy), policy=QUICK)
    assert "answered 503 SERVICE UNAVAILABLE (4 attempts)" in error.details
    assert asked(httpserver, "/busy") == 4
    many = [want(busy, name=f"s{n}", data=str(n).encode()) for n in range(10)]
    with pytest.raises(CoralforgeError):
        fetch_all(many, bench.cache, [], bench.recorder, 1, policy=QUICK)
    # The host is known to be busy after the first source's four attempts, but only within one run.
    assert asked(httpserver, "/busy") == 4 + 4 + 9


class Patience(threading.Event):
    """Stands in for the event that cancels a run: notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def transfer(address: str, tmp_path: Path, policy: Policy) -> tuple[list[float], Refusal | None]:
    patience = Patience()
    run = Transfer(policy, Hosts(), patience, lambda text: None)
    job = Job(address, PartialDownload(tmp_path / "x.part"), None, lambda done, total: None)
    with open_session(policy) as session:
        try:
            transfer_http(run, session, job)
        except Refusal as refusal:
            return patience.waits, refusal
    return patience.waits, None


def test_waits_double_with_jitter(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/busy").respond_with_data(b"", status=503)
    waits, _ = transfer(httpserver.url_for("/busy"), tmp_path, Policy(attempts=4, backoff=1.0))
    assert [least <= wait <= 1.5 * least for wait, least in zip(waits, (1, 2, 4), strict=True)] == [True] * 3


def test_the_server_may_ask_for_a_longer_wait(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/busy").respond_with_data(b"", status=429, headers={"Retry-After": "17"})
    waits, _ = transfer(httpserver.url_for("/busy"), tmp_path, Policy(attempts=2, backoff=0.1))
    assert waits == [17.0]


def test_a_wait_of_an_hour_is_not_waited(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/busy").respond_with_data(b"", status=429, headers={"Retry-After": "3600"})
    waits, refusal = transfer(httpserver.url_for("/busy"), tmp_path, Policy())
    assert (waits, refusal and refusal.kind) == ([], "refused")


def test_a_dead_host_is_asked_once_for_all_sources(
    bench: Bench, closed: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    get = requests.Session.get

    def counting(self: requests.Session, url: str, **options: Any) -> requests.Response:
        tried.append(url)
        return get(self, url, **options)

    monkeypatch.setattr(requests.Session, "get", counting)
    wanted = []
    for n in range(16):
        httpserver.expect_request(f"/{n}").respond_with_data(str(n))
        wanted.append(want(f"{closed}/{n}", httpserver.url_for(f"/{n}"), name=f"s{n}", data=str(n).encode()))
    assert len(fetch_all(wanted, bench.cache, [], bench.recorder, 1, policy=Policy(backoff=60))) == 16
    assert [url for url in tried if url.startswith(closed)] == [f"{closed}/0"]
    assert [note for note in bench.notes() if "out of reach" in note] == [
        f"{closed.removeprefix('http://')} is out of reach (Connection refused); other places are used"
    ]


def test_only_the_first_of_many_threads_tells_that_a_host_is_dead() -> None:
    hosts = Hosts()
    assert [hosts.bury("h", "why"), hosts.bury("h", "why"), hosts.dead("h")] == [True, False, "why"]


def test_a_proxy_that_is_not_there_is_told(bench: Bench, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", closed)
    monkeypatch.delenv("no_proxy", raising=False)
    error = bench.fail(want("http://upstream.example/a"), policy=Policy(backoff=5.0))
    assert (
        "upstream.example is out of reach: the proxy refuses or does not answer (Connection refused)" in error.details
    )


def test_a_server_that_never_answers_is_left(bench: Bench, httpserver: HTTPServer, tmp_path: Path) -> None:
    leave = threading.Event()

    def silent(request: Request) -> Response:
        leave.wait(NET)
        return Response(DATA)

    httpserver.expect_request("/silent").respond_with_handler(silent)
    (tmp_path / "local.tar").write_bytes(DATA)
    local = (tmp_path / "local.tar").as_uri()
    try:
        policy = Policy(attempts=2, backoff=0.01, connect=NET, read=0.1)
        fetched = bench.fetch(want(httpserver.url_for("/silent"), local), policy=policy)["thing"]
        assert fetched.address == local
    finally:
        leave.set()


def exception(reason: BaseException, kind: type[requests.RequestException]) -> requests.RequestException:
    from urllib3.exceptions import MaxRetryError

    return kind(MaxRetryError(None, "/", reason))  # type: ignore[arg-type]


def test_why_a_host_is_out_of_reach_is_said_plainly() -> None:
    from urllib3.exceptions import NameResolutionError, ProtocolError

    unknown = NameResolutionError("nowhere.example", None, socket.gaierror(-2, "Name or service not known"))  # type: ignore[arg-type]
    assert why_unreachable(exception(unknown, requests.ConnectionError), 10) == "its name cannot be resolved"
    late = requests.ConnectTimeout()
    assert why_unreachable(late, 10) == "no connection within 10 s"
    untrusted = exception(OSError("certificate verify failed"), requests.exceptions.SSLError)
    assert "certificate" in (why_unreachable(untrusted, 10) or "")
    reset = requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")))
    assert why_unreachable(reset, 10) is None


# --- redirects ---------------------------------------------------------------------------------------------------


def test_redirects_are_followed(bench: Bench, httpserver: HTTPServer, address: str) -> None:
    httpserver.expect_request("/moved").respond_with_data(b"", 302, {"Location": "/file.tar.gz"})
    assert bench.fetch(want(httpserver.url_for("/moved")))["thing"].path.read_bytes() == DATA


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host.example/x", "javascript:alert(1)"])
def test_redirects_to_other_schemes_are_refused(bench: Bench, httpserver: HTTPServer, target: str) -> None:
    httpserver.expect_request("/moved").respond_with_data(b"", 302, {"Location": target})
    assert "which is not http(s)" in bench.fail(want(httpserver.url_for("/moved"))).details


def test_redirects_in_a_circle_end(bench: Bench, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/round").respond_with_data(b"", 302, {"Location": "/round"})
    assert "redirects more than 10 times" in bench.fail(want(httpserver.url_for("/round"))).details


class Redirecting(requests.adapters.BaseAdapter):
    """Answers every https request with a redirect, without a network."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 302
        response.headers["Location"] = self.target
        response.request = request
        response.raw = io.BytesIO()
        return response

    def close(self) -> None:
        pass


def test_a_redirect_from_https_down_to_http_is_refused(tmp_path: Path) -> None:
    run = Transfer(QUICK, Hosts(), threading.Event(), lambda text: None)
    job = Job("https://safe.example/a", PartialDownload(tmp_path / "x.part"), None, lambda done, total: None)
    with open_session(QUICK) as session, pytest.raises(Refusal, match="redirects from https to http://plain"):
        session.mount("https://", Redirecting("http://user:secret@plain.example/a"))
        transfer_http(run, session, job)


# --- mirrors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["repo-1.2.tar.gz", "v1.2.tar.gz", digest(DATA)])
def test_a_mirror_folder_comes_before_the_network(bench: Bench, tmp_path: Path, closed: str, name: str) -> None:
    (tmp_path / name).write_bytes(DATA)
    fetched = bench.fetch(want(f"{closed}/o/repo/archive/v1.2.tar.gz"), mirrors=(str(tmp_path),))["thing"]
    assert fetched.address == str(tmp_path / name)
    assert fetched.path.name == "repo-1.2.tar.gz"
    assert bench.notes() == []


def test_a_mirror_with_wrong_bytes_does_not_matter(bench: Bench, tmp_path: Path, address: str) -> None:
    (tmp_path / "file.tar.gz").write_bytes(b"old")
    assert bench.fetch(want(address), mirrors=(str(tmp_path),))["thing"].address == address


def test_a_mirror_folder_with_strange_things_in_it_does_not_matter(
    bench: Bench, tmp_path: Path, address: str
) -> None:
    (tmp_path / "file.tar.gz").mkdir()
    os.mkfifo(tmp_path / digest(DATA))
    assert bench.fetch(want(address), mirrors=(str(tmp_path),))["thing"].address == address


def test_an_http_mirror_is_asked_for_each_name_once(bench: Bench, httpserver: HTTPServer, closed: str) -> None:
    httpserver.expect_request(f"/m/{digest(DATA)}").respond_with_data(DATA)
    httpserver.expect_request("/m/v1.2.tar.gz").respond_with_data(b"", status=404)
    httpserver.expect_request("/m/repo-1.2.tar.gz").respond_with_data(b"", status=404)
    wanted = want(f"{closed}/o/repo/archive/v1.2.tar.gz")
    bench.fetch(wanted, mirrors=(httpserver.url_for("/m/"),), policy=Policy(backoff=60))
    paths = [request.path for request, _ in httpserver.log if request.path.startswith("/m/")]
    assert paths == ["/m/repo-1.2.tar.gz", "/m/v1.2.tar.gz", f"/m/{digest(DATA)}"]


def test_a_mirrors_password_is_not_shown(bench: Bench, httpserver: HTTPServer) -> None:
    mirror = httpserver.url_for("/m").replace("http://", "http://user:secret@")
    error = bench.fail(want("file:///nonexistent/a"), mirrors=(mirror,))
    assert "secret" not in str(error)
    assert "/m/a" in str(error)


def test_the_debian_place_goes_through_the_machines_own_archive(
    bench: Bench, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/debian/pool/main/t/t_1+dfsg~2.tar.xz").respond_with_data(DATA)
    monkeypatch.setenv("CORALFORGE_DEBIAN_ARCHIVE", httpserver.url_for("/debian/"))
    place = Place(debian="pool/main/t/t_1+dfsg~2.tar.xz", sha256=digest(DATA))
    wanted = Wanted("thing", Source(version="1", licence="MIT", places=[place]), Arch.X86_64)
    assert bench.fetch(wanted)["thing"].path.name == "t_1+dfsg~2.tar.xz"


# --- two at a time, interrupts, full disks -----------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from coralforge.config.arch import Arch
from coralforge.config.base import Place
from coralforge.config.release import Source
from coralforge.events import Recorder
from coralforge.sources.fetch import fetch_all
from coralforge.sources.records import Wanted
from coralforge.sources.transfer import Policy
cache, address, sha256 = sys.argv[1:]
source = Source(version="1", licence="MIT", places=[Place(url=address, sha256=sha256)])
print("ready", flush=True)
policy = Policy(connect=6000, read=6000)
print(fetch_all([Wanted("thing", source, Arch.AARCH64)], Path(cache), [], Recorder(), policy=policy)["thing"].path)
"""


def other_run(bench: Bench, address: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(bench.cache), address, digest(DATA)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_package_that_left_its_archive_comes_from_a_snapshot_of_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(debian="pool/c/clang.deb", sha256=digest(DATA), size=len(DATA), snapshot="20261128T000000Z")
    source = Source(version="19", licence="NOASSERTION", places=[place])
    wanted = Wanted("clang (amd64)", source, Arch.X86_64, replaceable=False)
    monkeypatch.setenv("CORALFORGE_DEBIAN_ARCHIVE", f"file://{tmp_path}/archive")
    monkeypatch.delenv("CORALFORGE_DEBIAN_SNAPSHOT", raising=False)
    error = bench.fail(wanted)
    assert "set CORALFORGE_DEBIAN_SNAPSHOT to an archive that has Debian of 20261128T000000Z" in error.remedy
    assert "--source" not in error.remedy
    kept = tmp_path / "snapshot/20261128T000000Z/pool/c/clang.deb"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(DATA)
    monkeypatch.setenv("CORALFORGE_DEBIAN_SNAPSHOT", f"file://{tmp_path}/snapshot/")
    assert bench.fetch(wanted)["clang (amd64)"].path.read_bytes() == DATA


def test_a_damaged_archive_is_not_used_as_it_is_and_fetched_anew(bench: Bench, address: str) -> None:
    fetched = bench.fetch(want(address))["thing"]
    assert verified(fetched) == fetched.path
    fetched.path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(CoralforgeError) as caught:
        verified(fetched)
    assert (caught.value.reason, caught.value.code) == ("source-digest", ExitCode.SOURCE)
    assert verified(bench.fetch(want(address))["thing"]).read_bytes() == DATA


def test_two_runs_share_one_download(bench: Bench, httpserver: HTTPServer) -> None:
    arrived, go = threading.Event(), threading.Event()

    def handler(request: Request) -> Response:
        arrived.set()
        go.wait(NET)
        return Response(DATA)

    httpserver.expect_request("/slow.tar").respond_with_handler(handler)
    address = httpserver.url_for("/slow.tar")
    with other_run(bench, address) as process:
        assert arrived.wait(NET)
        done: list[dict[str, Fetched]] = []
        here = threading.Thread(target=lambda: done.append(bench.fetch(want(address))))
        here.start()
        wait_until(lambda: any("waiting for another run" in note for note in bench.notes()))
        go.set()
        out, errors = process.communicate(timeout=NET)
        here.join(NET)
    assert (process.returncode, errors) == (0, "")
    assert out.split()[-1] == str(done[0]["thing"].path)
    assert asked(httpserver, "/slow.tar") == 1


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_stops_at_once_and_keeps_the_part(bench: Bench, httpserver: HTTPServer) -> None:
    arrived, leave = threading.Event(), threading.Event()

    def stalling(request: Request) -> Response:
        def chunks() -> Any:
            yield DATA[:200_000]
            arrived.set()
            leave.wait(2 * NET)

        return Response(chunks(), headers={"Content-Length": str(len(DATA))})

    httpserver.expect_request("/stall").respond_with_handler(stalling)
    with other_run(bench, httpserver.url_for("/stall")) as process:
        try:
            assert arrived.wait(NET)
            wait_until(lambda: bench.part().size() >= 196_608)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=NET)  # while the server stalls
        finally:
            leave.set()
    assert "KeyboardInterrupt" in errors
    assert bench.part().size() >= 196_608
    assert not (bench.cache / "downloads" / digest(DATA)).exists()


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "no-space"), (errno.EDQUOT, "no-space"), (errno.EROFS, "cache-unwritable")]
)
def test_a_disk_that_does_not_take_it_is_an_error_of_the_machine(
    bench: Bench, address: str, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def refuse(self: PartialDownload) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(PartialDownload, "append", refuse)
    error = bench.fail(want(address), policy=Policy(backoff=60))
    assert (error.reason, error.code) == (reason, ExitCode.MISSING)
    assert str(bench.cache) in error.brief


def test_a_cancelled_download_stops_between_two_chunks_and_keeps_its_part(address: str, tmp_path: Path) -> None:
    cancel = threading.Event()
    part = PartialDownload(tmp_path / "x.part")
    run = Transfer(QUICK, Hosts(), cancel, lambda text: None)
    with open_session(QUICK) as session, pytest.raises(Cancelled):
        transfer_http(run, session, Job(address, part, None, lambda done, total: cancel.set()))
    assert 0 < part.size() < len(DATA)


def test_the_first_failure_cancels_the_other_threads() -> None:
    cancel = threading.Event()
    stopped = threading.Event()

    def work(item: str) -> None:
        if item == "bad":
            raise OSError(errno.EIO, "bad disk")
        if cancel.wait(NET):
            stopped.set()

    with pytest.raises(OSError, match="bad disk"):
        run_all(["good", "bad", "never begun"], work, 2, cancel)
    assert stopped.wait(NET)


def test_ctrl_c_before_all_threads_are_started_is_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by trying: it was an internal error."""
    started: list[str] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        started.append(thread.name)
        if len(started) == 2:
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_all(["a", "b", "c"], lambda item: item, 3, threading.Event())


def test_a_bug_in_a_thread_reaches_the_caller(bench: Bench, address: str) -> None:
    class Broken(Recorder):
        def emit(self, event: Event) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fetch_all([want(address)], bench.cache, [], Broken(), policy=QUICK)


@pytest.mark.parametrize("text", ["\xb2", "-5", "many", "9" * 5000, ""])
def test_a_header_that_is_no_number_says_nothing(text: str) -> None:
    """A superscript two is a digit to Python, and no number."""
    response = requests.Response()
    response.headers["Content-Length"] = text
    assert length_of(response, 100) is None
    response.headers["Content-Length"] = "23"
    assert length_of(response, 100) == 123


@pytest.mark.parametrize("location", ["http://[", "http://[::1", "//["])
def test_a_redirect_to_no_address_is_refused(location: str) -> None:
    with pytest.raises(Refusal, match="which is no address"):
        target_of("http://host.example/x", location)
