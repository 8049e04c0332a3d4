"""Output that outlasts its reader: a pipe that was closed, or a terminal that is gone, ends words and not work."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

_NOBODY_THERE = (errno.EPIPE, errno.EIO)  # a pipe without a reader; a terminal that was closed


class OutputError(Exception):
    """Stdout cannot be written though somebody may read it. No OSError: that might be taken for another file's."""


class _Lasting:
    """A text stream that is silent from the moment on when it cannot be written."""

    def __init__(self, stream: TextIO, needed: bool) -> None:
        self._stream = stream
        self._needed = needed

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # for what is buffered, too
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if self._needed and error.errno not in _NOBODY_THERE:
            raise OutputError(error.strerror or str(error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Let ``print``, and all that writes to stdout and stderr, go on when nobody reads them any more.

    A program that dies of a closed pipe leaves its work where it stood; one that takes it for success says that it is
    done, and is not. Where stdout cannot be written for another reason, OutputError is raised.
    """
    before = sys.stdout, sys.stderr
    streams = tuple(stream and cast("TextIO", _Lasting(stream, stream is sys.stdout)) for stream in before)
    sys.stdout, sys.stderr = streams  # each is None where the program was started with it closed
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in filter(None, streams):
            with suppress(OutputError):  # said before, or the verb has failed for another reason
                stream.flush()
