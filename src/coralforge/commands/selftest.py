"""``invoke selftest``: the long form of the fault matrix, by pytest."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from coralforge.commands.lint import Tool, run_tools
from coralforge.commands.options import Said
from coralforge.errors import CoralforgeError, user_error
from coralforge.util.paths import typed

NO_TESTS = 5
"""pytest's exit status where no test fits --only."""


def words_for_pytest(said: Said) -> list[str]:
    """The task's options, as pytest's.

    Raises:
        CoralforgeError: ``selftest-option``, exit code 2: what pytest would refuse in its words, or at the end.
    """
    if said.seed is not None and not re.fullmatch(r"-?[0-9]{1,18}", said.seed):
        raise _wrong(f"--seed {said.seed!r} is not a whole number", "--seed 7")
    if said.minutes is not None and not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", said.minutes):
        raise _wrong(f"--minutes {said.minutes!r} is not a number of minutes", "--minutes 5")
    if said.table is not None:
        table = typed(said.table)
        if table.is_dir() or not os.access(table if table.exists() else table.parent, os.W_OK):
            raise _wrong(f"--table {said.table} cannot be written", "choose a file in a folder of yours")
    given = (("-k", said.only), ("--seed", said.seed), ("--minutes", said.minutes), ("--table", said.table))
    return [word for name, value in given if value is not None for word in (name, value)]


def selftest(root: Path, said: Said) -> None:
    """Run it in the checkout ``root``, and leave with pytest's exit status unless that is 0.

    Raises:
        CoralforgeError: as :func:`words_for_pytest`, also where --only fits no test.
    """
    status = run_tools(root, [Tool("pytest", ("tests/reliability", "--long", *words_for_pytest(said)))])
    if status == NO_TESTS:
        raise _wrong(
            f"no test of tests/reliability fits --only {said.only!r}", "give a part of a test's or file's name"
        )
    if status:
        sys.exit(status)


def _wrong(brief: str, remedy: str) -> CoralforgeError:
    return user_error(brief, reason="selftest-option", remedy=remedy)
