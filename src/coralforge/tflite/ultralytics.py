"""The file that Ultralytics appends to its exports: names of classes, task and size of a YOLO model."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coralforge.tflite.graph import text as printable

FILES = ("metadata.json", "temp_meta.txt")
"""Names of that file, of newer and older versions. The older one is written as Python's own literals."""

LARGEST = 256 << 10
"""Bytes of that file; Python's parser would take a hundred times as much memory."""

_CLASSES = 10_000
_DEEP = 16  # brackets inside brackets; Python's parser is not to be tried further
_SHORT = 200  # characters of a text


@dataclass(frozen=True)
class Ultralytics:
    """The content of such a file. Texts are cut and empty where it says nothing."""

    description: str
    author: str
    licence: str
    version: str
    task: str
    """``detect``, ``segment``, ``classify``, ``pose`` or ``obb``."""
    names: tuple[str, ...]
    """Of the classes, by their numbers; empty for a number that has none."""


def parse(data: bytes) -> Ultralytics | None:
    """Read the file; None if it is not Ultralytics', or damaged. Nothing in it is run."""
    found = _value(data.decode("utf-8", "replace"))
    if not isinstance(found, Mapping) or not isinstance(found.get("names"), (Mapping, list)):
        return None

    def said(key: str) -> str:
        value = found.get(key, "")
        return printable(value[:_SHORT]) if isinstance(value, str) else ""

    return Ultralytics(
        said("description"), said("author"), said("license"), said("version"), said("task"), _names(found["names"])
    )


def _value(text: str) -> Any:
    if _too_deep(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _too_deep(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth > _DEEP:
            return True
    return False


def _names(names: Mapping[Any, Any] | list[Any]) -> tuple[str, ...]:
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
    numbered = {int(key): name for key, name in pairs if str(key).isdecimal() and len(str(key)) < 6}
    by_number = {number: printable(str(name)[:_SHORT]) for number, name in numbered.items()}
    count = max(by_number, default=-1) + 1
    return tuple(by_number.get(number, "") for number in range(min(count, _CLASSES)))
