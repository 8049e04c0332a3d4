"""Talking to Docker Engine: one that fails, dies or stops answering is one error, and in bounded time.

Each call has a limit of time. A stream (a container's output, an image that is built) may be silent for as long as
whoever writes it is at work, so silence alone is no error: then the engine is asked, and has to answer.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Any, TypeVar, cast

from coralforge.errors import CoralforgeError, build_error, first_line, missing_error, user_error

TIMEOUT_VARIABLE = "CORALFORGE_DOCKER_TIMEOUT"
_TIMEOUT = 120  # seconds
_KEPT = 1000  # items of a stream that wait to be read
_POLL = 0.2

Item = TypeVar("Item")


def timeout() -> int:
    """Seconds that one call may take, and a stream be silent until the engine is asked whether it is still there.

    Raises:
        CoralforgeError: ``docker-timeout``, exit code 2.
    """
    said = os.environ.get(TIMEOUT_VARIABLE, "")
    try:
        seconds = int(said or _TIMEOUT)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86400:
        raise user_error(
            f"{TIMEOUT_VARIABLE} is {said!r}, no number of seconds up to 86400",
            reason="docker-timeout",
            remedy=f"leave it out ({_TIMEOUT} s), or give a number",
        )
    return seconds


def connect() -> Any:
    """A docker-py client of the engine that the environment points to.

    Raises:
        CoralforgeError: ``docker-unreachable`` (exit code 3), ``docker-timeout`` (2).
    """
    from docker.errors import DockerException

    import docker

    seconds = timeout()
    try:
        client = docker.from_env(timeout=seconds)
        client.ping()
    except (DockerException, OSError) as error:  # those of requests are OSErrors, too
        raise missing_error(
            "Docker Engine does not answer",
            reason="docker-unreachable",
            details=first_line(error),
            remedy="start it (systemctl start docker), add yourself to the group docker, or install it with "
            "scripts/bootstrap --install doctor",
        ) from error
    return client


@contextlib.contextmanager
def asking(doing: str) -> Iterator[None]:
    """Turn what fails between us and the engine into one error. ``doing`` completes "Docker failed while ...".

    Only calls of docker-py belong into the block: an OSError of anything else would be taken for Docker's.

    Raises:
        CoralforgeError: ``docker-lost``, exit code 5.
    """
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (DockerException, HTTPError, OSError) as error:
        raise lost(doing, first_line(error)) from error


def lost(doing: str, details: str) -> CoralforgeError:
    """The error for an engine that failed or went away; reason ``docker-lost``, exit code 5."""
    return build_error(
        f"Docker failed while {doing}",
        reason="docker-lost",
        details=details,
        remedy="look at Docker's own log, then run the same command again; finished work is kept",
    )


def watched(stream: Iterable[Item], doing: str, still_there: Callable[[], object]) -> Iterator[Item]:
    """The items of a stream that the engine writes, for as long as ``still_there`` is content.

    It is called after each :func:`timeout` without a word, and raises when nothing more will come. The stream is read
    by a thread of its own, so that one that stalls holds back neither that question nor Ctrl-C.

    Raises:
        CoralforgeError: ``docker-lost``, and what ``still_there`` raises.
    """
    silence = timeout()
    items: Queue[tuple[str, Any]] = Queue(_KEPT)
    given_up = threading.Event()
    threading.Thread(target=_read, args=(stream, items, given_up), daemon=True).start()
    try:
        while True:
            try:
                kind, item = items.get(timeout=silence)
            except Empty:
                with asking(doing):
                    still_there()
                continue
            if kind == "end":
                return
            if kind == "error":
                with asking(doing):
                    raise item
            yield item
    finally:
        given_up.set()


def within_time(call: Callable[[], Item], client: Any, doing: str) -> Item:
    """The result of ``call``, a call of docker-py without a limit of time; the engine is asked as in :func:`watched`.

    Raises:
        CoralforgeError: ``docker-lost``; and what ``call`` raises, as it is.
    """

    def outcome() -> Iterator[tuple[Item | None, Exception | None]]:
        try:
            yield call(), None
        except Exception as error:
            yield None, error

    given, failed = next(watched(outcome(), doing, client.ping))
    if failed is not None:
        raise failed
    return cast("Item", given)


def _read(stream: Iterable[Item], items: Queue[tuple[str, Any]], given_up: threading.Event) -> None:
    def put(kind: str, item: object) -> bool:
        while not given_up.is_set():
            with contextlib.suppress(Full):
                items.put((kind, item), timeout=_POLL)
                return True
        return False

    try:
        for item in stream:
            if not put("item", item):
                return
    except BaseException as error:
        put("error", error)
    else:
        put("end", None)
