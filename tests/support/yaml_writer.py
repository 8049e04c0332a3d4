"""Writes plain data as YAML, and remembers where each key and item stands: positions that no loader has computed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Loc = tuple[str | int, ...]


@dataclass
class Written:
    """The text, and by location the line and column (from 1) of a key, or of a list's item."""

    lines: list[str] = field(default_factory=list)
    at: dict[Loc, tuple[int, int]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def write(data: dict[str, Any], twice: Loc | None = None) -> Written:
    """YAML in block style. The key at ``twice`` is written a second time, which counts as its place."""
    written = Written()
    _mapping(written, data, (), 0, "", twice)
    return written


def _mapping(out: Written, data: dict[str, Any], loc: Loc, indent: int, lead: str, twice: Loc | None) -> None:
    """``lead`` is what stands before the first key on its line: a list's dash."""
    for key, value in data.items():
        here = (*loc, key)
        for _ in range(2 if here == twice else 1):
            out.at[here] = (len(out.lines) + 1, indent + 1)
            start = f"{lead or ' ' * indent}{_scalar(key)}:"
            lead = ""
            _value(out, value, here, indent, start, twice)


def _value(out: Written, value: Any, loc: Loc, indent: int, start: str, twice: Loc | None) -> None:
    if isinstance(value, dict) and value:
        out.lines.append(start)
        _mapping(out, value, loc, indent + 2, "", twice)
    elif isinstance(value, list) and value:
        out.lines.append(start)
        for number, item in enumerate(value):
            out.at[loc + (number,)] = (len(out.lines) + 1, indent + 5)
            dash = " " * (indent + 2) + "- "
            if isinstance(item, dict) and item:
                _mapping(out, item, (*loc, number), indent + 4, dash, twice)
            else:
                out.lines.append(dash + _scalar(item))
    else:
        out.lines.append(f"{start} {_scalar(value)}")


def _scalar(value: Any) -> str:
    """As JSON, which is YAML for such values."""
    return json.dumps(value)
