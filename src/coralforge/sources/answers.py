"""The status and the headers of an answer, of which nothing is believed; between the modules of ``sources`` only."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import requests

from coralforge.sources.partial import PartialDownload
from coralforge.sources.refusals import Refusal, Retry

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_DIGITS = re.compile(r"^[0-9]{1,15}$")
_CONTENT_RANGE = re.compile(r"^bytes ([0-9]{1,15})-[0-9]+/(?:[0-9]+|\*)$")


def check_status(response: requests.Response, part: PartialDownload, *, resuming: bool) -> None:
    """Let only an answer pass that has the file, or with ``resuming`` the rest of it.

    Raises:
        Refusal: the place has no such file, or refuses.
        Retry: it may be otherwise soon, or from the start: then ``part`` is dropped.
    """
    status = response.status_code
    if status == 200:
        return
    if resuming and status in (206, 416):
        match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if status == 206 and match and int(match[1]) == part.size():
            return
        part.drop()
        raise Retry("the server cannot continue the download", after=0.0)
    if status in (404, 410):
        raise Refusal("missing", f"answered {status}: no such file")
    text = f"answered {status} {response.reason or ''}".rstrip()
    if status in _PASSING:
        raise Retry(text, after=_number(response.headers.get("Retry-After", "")))
    raise Refusal("refused", text)


def length_of(response: requests.Response, offset: int) -> int | None:
    """Bytes of the whole file of which the answer begins at ``offset``; None where it does not say."""
    length = _number(response.headers.get("Content-Length", ""))
    return None if length is None else offset + length


def _number(text: str) -> int | None:
    """A header's number; None for what is none. Not all digits of Unicode are, and a long one takes for ever."""
    return int(text) if _DIGITS.match(text) else None


def target_of(url: str, location: str) -> str:
    """Where a redirect leads to. Raises Refusal: nowhere."""
    try:
        target = urljoin(url, location)
        urlsplit(target)
    except ValueError as error:
        raise Refusal("refused", f"redirects to {location[:200]!r}, which is no address: {error}") from None
    return target
