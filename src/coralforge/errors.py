"""The one kind of failure a user sees, and the exit codes that go with it.

Every expected failure is a :class:`CoralforgeError`: a brief sentence, the details, the remedy, a
machine-readable reason that tests assert on, and a documented exit code (docs/errors.md). Anything
else that escapes is a bug in coralforge and is reported as such by the boundary in ``commands.boundary``.
"""

from __future__ import annotations

import errno
from enum import IntEnum

_LONGEST = 300  # characters of a line that is not ours


class ExitCode(IntEnum):
    """Process exit codes; documented in docs/errors.md."""

    OK = 0
    INTERNAL = 1
    USER = 2
    MISSING = 3
    SOURCE = 4
    BUILD = 5
    GATE = 6
    SMOKE = 7
    BUSY = 8
    BOARD = 9
    CANCELLED = 130


class CoralforgeError(Exception):
    """A failure that the user can act on.

    Args:
        brief: one sentence that names the file, URL, symbol or option at fault.
        reason: kebab-case identifier, stable across releases; asserted on by tests.
        code: the exit code of the process.
        details: what was found, one fact per line; may be empty.
        remedy: what the user should do about it.
    """

    def __init__(self, brief: str, *, reason: str, code: ExitCode, details: str = "", remedy: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.reason = reason
        self.code = code
        self.details = details
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.brief]
        if self.details:
            parts.append("\n".join("  " + line for line in self.details.splitlines()))
        if self.remedy:
            parts.append(f"  what to do: {self.remedy}")
        return "\n".join(parts)


def user_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """A wrong argument, name or file given by the user (exit code 2)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.USER, details=details, remedy=remedy)


def missing_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """Something this machine lacks: Docker, a program, space (exit code 3)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.MISSING, details=details, remedy=remedy)


def source_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """A source that could not be had, verified or unpacked (exit code 4)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.SOURCE, details=details, remedy=remedy)


def build_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """A build in a container that failed (exit code 5)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.BUILD, details=details, remedy=remedy)


def gate_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """An artifact that the gate refuses (exit code 6)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.GATE, details=details, remedy=remedy)


def smoke_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """A smoke test that failed (exit code 7)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.SMOKE, details=details, remedy=remedy)


def board_error(brief: str, *, reason: str, remedy: str, details: str = "") -> CoralforgeError:
    """A board that cannot be reached, does not fit, or has no room (exit code 9)."""
    return CoralforgeError(brief, reason=reason, code=ExitCode.BOARD, details=details, remedy=remedy)


def model_missing(path: object) -> CoralforgeError:
    """A model that is not there: reason ``model-missing``, exit code 2."""
    return user_error(f"the model {path} does not exist", reason="model-missing", remedy="correct its path")


def model_unreadable(path: object, error: OSError) -> CoralforgeError:
    """A model that the system does not let us read: reason ``model-unreadable``, exit code 2."""
    return user_error(
        f"the model {path} cannot be read: {error.strerror}",
        reason="model-unreadable",
        remedy="correct its owner and mode",
    )


def model_too_large(brief: str) -> CoralforgeError:
    """A model that takes more memory than any should: reason ``model-too-large``, exit code 2."""
    return user_error(brief, reason="model-too-large", remedy="take a smaller model: an Edge TPU holds 8 MiB")


def model_invalid(path: object, what: str, kind: str = "model") -> CoralforgeError:
    """A file that is not what it says: reason ``model-invalid``, exit code 2; ``what`` ends a sentence."""
    return user_error(
        f"{path} is not a valid {kind}: {what}",
        reason="model-invalid",
        remedy="save it again with the program that made it, or get the file again",
    )


def lines_of(error: BaseException, most: int = 6) -> list[str]:
    """The words of an exception of a library: ``most`` lines at most, each of at most 300 characters.

    Where it says nothing, its class.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return [line[:_LONGEST] for line in lines[:most]]


def first_line(error: BaseException) -> str:
    """The first of :func:`lines_of`."""
    return lines_of(error, 1)[0]


def system_error(error: OSError) -> CoralforgeError | None:
    """The error for a file or folder that the system does not let us use; None for one that is a bug of ours.

    Whoever knows more than the system says (which option it was, what it was for) raises an error of its own.

    Returns:
        One with the reason ``no-space`` or ``file-access``, exit code 3, or ``path-unusable``, exit code 2.
    """
    name = f"{error.filename}: " if error.filename else ""
    text = f"{name}{error.strerror or error}"
    if error.errno in _FULL:
        return missing_error(text, reason="no-space", remedy="free some space; what was done is kept")
    if error.errno in _REFUSED:
        return missing_error(text, reason="file-access", remedy="correct its owner and mode, or choose another place")
    if error.errno in _UNUSABLE and error.filename:
        return user_error(text, reason="path-unusable", remedy="give another path")
    return None


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EXDEV)
_UNUSABLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EILSEQ, errno.EEXIST)
