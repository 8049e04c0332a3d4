"""Where Google's compiler comes from, and what it is: its version and its flags."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from coralforge.compile.container import PROGRAM
from coralforge.compile.local import Ended, LocalProgram
from coralforge.compile.options import flags_of
from coralforge.compile.output import parse_output
from coralforge.errors import CoralforgeError, missing_error, user_error
from coralforge.util.paths import typed

_ANSWER_SECONDS = 60.0
_REMEDY = (
    "give --compiler PATH, or install Google's package edgetpu-compiler so that it is on PATH (see docs/compile.md), "
    "or compile with --target simulator"
)
_SHOWN = 12
_GIST = 5


class Program(Protocol):
    """Something that runs the compiler: a program of this machine, or a container."""

    @property
    def name(self) -> str:
        """The name in messages."""

    def run(self, arguments: Sequence[str], folder: Path, seconds: float) -> Ended:
        """Run it in ``folder`` for at most ``seconds``."""


@dataclass(frozen=True)
class Compiler:
    """A compiler that answered."""

    program: Program
    version: str
    flags: frozenset[str]

    @property
    def name(self) -> str:
        """For people."""
        return f"Edge TPU Compiler {self.version} ({self.program.name})"


def find_program(wanted: str | None, image: Callable[[], Program]) -> Program:
    """The program that was asked for; else the one on PATH; else the one in the container image.

    Raises:
        CoralforgeError: ``compiler-path`` (exit code 2): what was asked for is no program. ``compiler-missing`` (3):
            there is none, and the image cannot be made.
    """
    if wanted is not None:
        return LocalProgram(_executable(wanted))
    found = shutil.which(PROGRAM)
    if found is not None:
        return LocalProgram(Path(found).absolute())
    try:
        return image()
    except CoralforgeError as error:
        tried = ["no --compiler was given", f"no {PROGRAM} is on PATH", f"image: {error.brief}", *_gist(error)]
        raise missing_error(
            "Google's Edge TPU compiler is not here, and the image with it cannot be made",
            reason="compiler-missing",
            details="\n".join(tried),
            remedy=_REMEDY,
        ) from error


def _gist(error: CoralforgeError) -> list[str]:
    """The last lines of a build that say something; not the steps and commands of the recipe."""
    noise = ("Step ", "The command ", "Removing ", "--->")
    lines = [line.strip()[:200] for line in error.details.splitlines()]
    said = [line for line in lines if line and not line.startswith(noise)]
    return list(dict.fromkeys(said))[-_GIST:]


def ask(program: Program, folder: Path) -> Compiler:
    """Ask the program what it is; ``folder`` is for whatever it writes.

    Raises:
        CoralforgeError: reason ``compiler-unusable``, exit code 3: it does not say that it is the compiler.
    """
    ended = program.run(("--help",), folder, _ANSWER_SECONDS)
    version = parse_output(ended.output).version
    if version is None:
        said = "\n".join(tail(ended.output)) or "it printed nothing"
        raise missing_error(
            f"{program.name} does not answer as the Edge TPU compiler does (exit status {ended.status})",
            reason="compiler-unusable",
            details=said,
            remedy=_REMEDY,
        )
    return Compiler(program, version, flags_of(version, ended.output))


def tail(output: str, lines: int = _SHOWN) -> list[str]:
    """The last lines of an output, fit for a terminal."""
    clean = (
        "".join(c if c.isprintable() else " " for c in line[:300]).rstrip() for line in output[-16_384:].splitlines()
    )
    return [line for line in clean if line][-lines:]


def _executable(wanted: str) -> Path:
    path = typed(wanted).absolute()
    try:
        if path.is_file() and os.access(path, os.X_OK):
            return path
        what = "is not a program that can be run" if path.exists() else "does not exist"
    except OSError as error:
        what = f"is no program: {error.strerror}"
    raise user_error(
        f"--compiler {wanted}: {path} {what}",
        reason="compiler-path",
        remedy="give the path of Google's edgetpu_compiler",
    )
