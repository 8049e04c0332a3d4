"""The scripts that are sent to a board (folder board/), and the lines in which they answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_MARK = "coralforge: "
_MOST = 2_000  # lines
_LONGEST = 4_096  # characters
_KEY = re.compile(r"[a-z_]{1,30}")

Answers = Mapping[str, tuple[str, ...]]
"""All values by key, in the order they came."""


@cache
def text(name: str) -> str:
    """The script called ``name`` without its ending."""
    return files("coralforge.deploy").joinpath(f"board/{name}.sh").read_text(encoding="utf-8")


def answers(output: str) -> Answers:
    """The answers in what a script printed; other lines, of a login shell for example, are passed over."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines()[:_MOST]:
        key, _, value = line.removeprefix(_MARK)[:_LONGEST].partition(" ")
        if line.startswith(_MARK) and _KEY.fullmatch(key):
            found.setdefault(key, []).append(value.strip())
    return {key: tuple(values) for key, values in found.items()}


def said(output: str) -> list[str]:
    """The other lines."""
    return [line[:_LONGEST] for line in output.splitlines() if not line.startswith(_MARK)]


def first(found: Answers, key: str) -> str:
    """The first value of a key; empty where there is none."""
    return found.get(key, ("",))[0]


def number(found: Answers, key: str) -> int | None:
    """The first value of a key as a number that is not negative; None where it is none."""
    value = first(found, key)
    return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else None
