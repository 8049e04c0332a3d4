"""Text for a terminal: names of files and the words of other programs may have anything in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def plain(text: str) -> str:
    """The text with U+FFFD for what is none: control characters but tabs and line ends, bytes that are no UTF-8."""
    return "".join(c if c in "\n\t" or c.isprintable() or (c.isspace() and c > "\x9f") else "\ufffd" for c in text)


def as_bytes(text: str) -> bytes:
    """The text as UTF-8. Bytes of a name that is none stand in it as in Python and JSON: ``\\udcff``."""
    return text.encode("utf-8", "backslashreplace")


class PlainOutput:
    """A stream to which only plain text gets."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text`` as :func:`plain` has it; returns the length of ``text``."""
        self._stream.write(plain(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_stdout() -> Iterator[None]:
    """Print only what a terminal can show and is not told to do, whatever names are printed."""
    before = sys.stdout
    if before is None:  # the program was started with it closed
        yield
        return
    if (reconfigure := getattr(before, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # letters that the terminal has not
    sys.stdout = PlainOutput(before)
    try:
        yield
    finally:
        sys.stdout = before
