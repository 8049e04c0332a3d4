"""An engine that fails, dies or stalls is one error, in bounded time; one that only works long is none."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
from docker.errors import APIError, DockerException
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ProtocolError

from coralforge.containers.engine import TIMEOUT_VARIABLE, asking, connect, timeout, watched, within_time
from coralforge.errors import CoralforgeError, ExitCode
from tests.support.patience import NET


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, "1")


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(
    "error", [DockerException("a\nb"), APIError("a"), ConnectionError("a"), ReadTimeout("a"), ProtocolError("a")]
)
def test_whatever_fails_on_the_way_is_one_error(error: Exception) -> None:
    with pytest.raises(CoralforgeError) as caught, asking("this was done"):
        raise error
    assert (caught.value.reason, caught.value.code) == ("docker-lost", ExitCode.BUILD)
    assert caught.value.brief == "Docker failed while this was done"
    assert caught.value.details == "a"


def test_a_bug_is_not_dockers() -> None:
    with pytest.raises(ZeroDivisionError), asking("this was done"):
        raise ZeroDivisionError


def test_all_items_come_in_order() -> None:
    assert list(watched(iter(range(5000)), "", lambda: None)) == list(range(5000))


def test_an_error_of_the_stream_comes_after_its_items() -> None:
    def stream() -> Iterator[int]:
        yield 1
        raise ProtocolError("cut")

    got = list[int]()
    with pytest.raises(CoralforgeError) as caught:
        got.extend(item for item in watched(stream(), "it ran", lambda: None))
    assert caught.value.reason == "docker-lost"


@pytest.mark.usefixtures("short")
def test_a_silent_stream_of_an_engine_that_answers_is_waited_for() -> None:
    asked, go_on = list[int](), threading.Event()

    def still_there() -> None:
        asked.append(1)
        if len(asked) == 2:
            go_on.set()

    def stream() -> Iterator[str]:
        assert go_on.wait(NET)
        yield "at last"

    assert list(watched(stream(), "", still_there)) == ["at last"]


@pytest.mark.usefixtures("short")
def test_a_stream_of_an_engine_that_does_not_answer_ends(never: threading.Event) -> None:
    def stream() -> Iterator[str]:
        never.wait(NET)
        yield "too late"

    def still_there() -> None:
        raise ReadTimeout("no answer within 1 s")

    with pytest.raises(CoralforgeError) as caught:
        list(watched(stream(), "it ran", still_there))
    assert caught.value.reason == "docker-lost"


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_heard_while_a_stream_stalls(never: threading.Event) -> None:
    def stream() -> Iterator[str]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        never.wait(NET)
        yield "too late"

    with pytest.raises(KeyboardInterrupt):
        list(watched(stream(), "", lambda: None))


def test_a_reader_that_is_given_up_ends(never: threading.Event) -> None:
    before = set(threading.enumerate())
    stream = watched(iter(range(10**9)), "", lambda: None)
    assert next(stream) == 0
    [reader] = set(threading.enumerate()) - before
    stream.close()  # type: ignore[attr-defined]
    reader.join(NET)
    assert not reader.is_alive()


def test_a_call_gives_what_it_gives_and_raises_what_it_raises() -> None:
    class Client:
        def ping(self) -> None: ...

    assert within_time(lambda: 7, Client(), "") == 7

    def refuse() -> None:
        raise APIError("denied")

    with pytest.raises(APIError):
        within_time(refuse, Client(), "")


@pytest.mark.parametrize("said", ["x", "0", "-1", "1e3", "99999999", "nan"])
def test_a_limit_that_is_none_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, said)
    with pytest.raises(CoralforgeError) as caught:
        connect()
    assert (caught.value.reason, caught.value.code) == ("docker-timeout", ExitCode.USER)


def test_without_a_limit_there_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, "")
    assert timeout() == 120
