"""`invoke selftest`: every promise of docs/reliability.md, tried by pytest."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from coralforge.commands.lint import Tool, run_tools
from coralforge.errors import user_error
from coralforge.util import atomic
from coralforge.util.paths import typed

_NOT_UNDERSTOOD, _NONE_CHOSEN = 4, 5  # exit statuses of pytest


def selftest(root: Path, only: str | None, seed: str | None, table: str | None) -> None:
    """Run the promises whose names match ``only``; ends the process with pytest's exit status.

    Raises:
        CoralforgeError: exit code 2, ``selftest-option``, before hours of tests.
    """
    if seed is not None and not re.fullmatch("[0-9]{1,18}", seed):
        raise user_error(
            f"--seed {seed!r} is not a whole number", reason="selftest-option", remedy="such as --seed 7"
        )
    place = typed(table).absolute() if table is not None else None
    if place is not None:
        _require_table(place)
    given = (("-k", only), ("--seed", seed), ("--table", place))
    words = [word for name, value in given if value is not None for word in (name, str(value))]
    status = run_tools(root, [Tool("pytest", ("tests/reliability", "--long", *words))])
    if only is not None and status in (_NOT_UNDERSTOOD, _NONE_CHOSEN):
        raise user_error(
            f"no test has a name that matches --only {only!r}",
            reason="selftest-option",
            remedy="give a part of a name, as pytest's -k; the files in tests/reliability have them",
        )
    sys.exit(status)


def _require_table(place: Path) -> None:
    remedy = "for example --table docs/reliability.md"
    if place.suffix != ".md":
        raise user_error(f"--table {place} is no Markdown file", reason="selftest-option", remedy=remedy)
    try:
        atomic.require_place(place)
    except OSError as error:
        brief = f"--table {place} cannot be written: {error.strerror}"
        raise user_error(brief, reason="selftest-option", remedy=remedy) from error
