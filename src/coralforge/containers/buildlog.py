"""What the classic builder says while it builds: pieces of lines, in colour, become lines of text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class BuildProblem(Exception):
    """The builder gave up; the text is its reason."""


def lines(messages: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Whole lines without control characters; what a program prints byte by byte comes in as many messages.

    Raises:
        BuildProblem: at the message that says so.
    """
    rest = ""
    for message in messages:
        if "error" in message:
            yield from _texts(rest)
            raise BuildProblem(_plain(str(message["error"])))
        whole = rest + _COLOUR.sub("", str(message.get("stream", ""))).replace("\r", "\n")
        text, newline, rest = whole.rpartition("\n")
        yield from _texts(text + newline)
    yield from _texts(rest)


def _texts(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if plain := _plain(line):
            yield plain


def _plain(text: str) -> str:
    return "".join(letter for letter in _COLOUR.sub("", text) if letter.isprintable()).rstrip()
