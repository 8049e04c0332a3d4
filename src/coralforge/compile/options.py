"""The compiler's options, checked, and as the arguments of the version at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from coralforge.compile.messages import numbers_of
from coralforge.errors import CoralforgeError, user_error

OLDEST_RUNTIME = 10
DEFAULT_TIMEOUT = 180
_LONGEST_TIMEOUT = 24 * 3600
_MOST_SEGMENTS = 64
_MOST_STEPS = 1_000

# The first version that has a flag, for a --help that lists none.
_SINCE = {
    "num_segments": (14,),
    "enable_multiple_subgraphs": (15,),
    "search_delegate": (16,),
    "delegate_search_step": (16,),
    "timeout_sec": (16,),
}
_ALWAYS = ("out_dir", "show_operations", "min_runtime_version")
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z_]{1,40})\b")


@dataclass(frozen=True)
class CompilerOptions:
    """The options for the compiler. ``timeout`` is in seconds, for one compilation.

    Raises:
        CoralforgeError: reason ``compile-option``, exit code 2.
    """

    min_runtime: int | None = None
    """The oldest runtime that has to run the model; None: the compiler's own."""
    segments: int = 1
    """Parts for a pipeline of so many Edge TPUs."""
    multiple_subgraphs: bool = False
    search_delegate: bool = False
    """Leave more and more operations to the CPU until the compiler no longer fails."""
    search_step: int | None = None
    """How many operations more each time; None: the compiler's own (1)."""
    timeout: int = DEFAULT_TIMEOUT
    retry: bool = True
    """Try again when the compiler fails without a reason that lies in the model."""

    def __post_init__(self) -> None:
        if self.min_runtime is not None:
            _check("--min-runtime", self.min_runtime, OLDEST_RUNTIME, 99)
        _check("--segments", self.segments, 1, _MOST_SEGMENTS)
        _check("--timeout", self.timeout, 1, _LONGEST_TIMEOUT)
        if self.search_step is not None:
            _check("--search-step", self.search_step, 1, _MOST_STEPS)
            if not self.search_delegate:
                raise _wrong("--search-step", "only makes sense with --search-delegate")

    def check(self, models: int, runtime: int) -> None:
        """Refuse what does not go with so many models, or with a libedgetpu that takes models up to ``runtime``.

        Raises:
            CoralforgeError: reason ``compile-option``, exit code 2.
        """
        if self.min_runtime is not None and self.min_runtime > runtime:
            raise _wrong(
                "--min-runtime", f"is {self.min_runtime}, but the release's libedgetpu takes models up to {runtime}"
            )
        if models > 1 and self.segments > 1:
            raise _wrong("--segments", "cuts one model; give the models one at a time")

    def arguments(self, flags: frozenset[str], version: str, folder: str, models: Sequence[str]) -> tuple[str, ...]:
        """The arguments for a compiler that has these ``flags``; the outputs go to ``folder``.

        Raises:
            CoralforgeError: reason ``compile-option``, exit code 2: this version of the compiler lacks a flag.
        """
        wanted: list[tuple[str, str, str]] = []
        if self.min_runtime is not None:
            wanted.append(("--min-runtime", "min_runtime_version", str(self.min_runtime)))
        if self.segments > 1:
            wanted.append(("--segments", "num_segments", str(self.segments)))
        if self.multiple_subgraphs:
            wanted.append(("--multiple-subgraphs", "enable_multiple_subgraphs", ""))
        if self.search_delegate:
            wanted.append(("--search-delegate", "search_delegate", ""))
        if self.search_step is not None:
            wanted.append(("--search-step", "delegate_search_step", str(self.search_step)))
        for ours, theirs, _ in wanted:
            if theirs not in flags:
                raise _wrong(ours, f"needs --{theirs}, which Edge TPU Compiler {version} does not have")
        if "timeout_sec" in flags:
            wanted.append(("--timeout", "timeout_sec", str(self.timeout)))
        chosen = [part for _, theirs, value in wanted for part in (f"--{theirs}", value) if part]
        return ("--show_operations", "--out_dir", folder, *chosen, *models)


def flags_of(version: str, help_text: str) -> frozenset[str]:
    """The flags of a compiler, by what its --help lists; by its version where that lists none."""
    listed = frozenset(_FLAG.findall(help_text))
    if set(_ALWAYS) & listed:
        return listed | frozenset(_ALWAYS)
    numbers = numbers_of(version)
    return frozenset(_ALWAYS) | {flag for flag, since in _SINCE.items() if numbers >= since}


def number(option: str, text: str | None) -> int | None:
    """The number that was given for an option; None if nothing was.

    Raises:
        CoralforgeError: reason ``compile-option``, exit code 2.
    """
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII) is None:
        raise _wrong(option, f"takes a whole number, not {text!r}")
    return int(text)


def _check(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise _wrong(option, f"takes a number from {low} to {high}, not {value}")


def _wrong(option: str, what: str) -> CoralforgeError:
    return user_error(f"{option} {what}", reason="compile-option", remedy="see docs/compile.md")
