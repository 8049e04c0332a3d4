"""Keeps samples in a file, so that memory stays the same however many there are."""

from __future__ import annotations

import errno
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from coralforge.errors import missing_error

MAX_KEPT = 4 << 30  # bytes of all samples that are kept
_IN_MEMORY = 8 << 20  # bytes, up to which no file is made


class Spool:
    """Records of ``size`` bytes each, written one after the other and read in any order."""

    def __init__(self, size: int) -> None:
        self.size, self.count = size, 0
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - as long as this object
        weakref.finalize(self, self._file.close)

    def add(self, record: bytes) -> None:
        """Keep one more.

        Raises:
            CoralforgeError: reason ``no-space``, exit code 3.
        """
        with _room():
            self._file.seek(self.count * self.size)
            self._file.write(record)
        self.count += 1

    def read(self, index: int) -> bytes:
        """The record that was added as number ``index``. Raises as ``add``."""
        with _room():
            self._file.seek(index * self.size)
            return self._file.read(self.size)


@contextmanager
def _room() -> Iterator[None]:
    """A full disk is one error. It may show late, when the file is left for another place in it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise missing_error(
            f"no space left in {tempfile.gettempdir()} for the samples",
            reason="no-space",
            remedy="free some, set TMPDIR to another folder, or use fewer samples (--max-samples)",
        ) from error
