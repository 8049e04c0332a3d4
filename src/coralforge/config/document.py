"""A strict YAML reader: plain data plus the position of every node.

YAML is composed, not constructed, so that duplicates, aliases and tags are refused and each value
keeps its line and column (the idea of BuildStream's node provenance). Only strings, integers,
floats, booleans, null, lists and mappings with string keys exist afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from coralforge.errors import CoralforgeError, user_error

Loc = tuple[str | int, ...]
Mark = tuple[int, int]
MAX_BYTES = 1 << 18
_SYNTAX = "correct it there; docs/configuration.md says what the files look like"
MAX_DEPTH = 32
MAX_EVENTS = 10_000
"""Beginnings and ends of values: 15 times those of the longest release file."""
_SCALARS = {
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null",
}


@dataclass(frozen=True)
class Document:
    """The data of one YAML file and where each node stands (line and column, both from 1)."""

    path: Path
    data: Any
    marks: dict[Loc, Mark]

    def where(self, loc: Loc) -> str:
        """``file:line:column`` of the node at ``loc``, or of its nearest ancestor."""
        while loc and loc not in self.marks:
            loc = loc[:-1]
        line, column = self.marks.get(loc, (1, 1))
        return f"{self.path}:{line}:{column}"


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        CoralforgeError: reason ``config-missing``, ``config-unreadable``, ``yaml-syntax``,
            ``yaml-duplicate-key``, ``yaml-alias``, ``yaml-tag`` or ``yaml-key``; all exit code 2.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise user_error(
            f"{path} does not exist", reason="config-missing", remedy="run invoke in the project's folder"
        ) from error
    except OSError as error:
        raise user_error(
            f"{path} cannot be read: {error.strerror}",
            reason="config-unreadable",
            remedy="correct its owner and mode",
        ) from error
    if len(raw) > MAX_BYTES:
        raise user_error(
            f"{path} is larger than {MAX_BYTES} bytes", reason="config-unreadable", remedy="make it smaller"
        )
    return parse_document(path, raw)


def parse_document(path: Path, raw: bytes) -> Document:
    """Parse YAML bytes; ``path`` is only named in errors. Raises as :func:`read_document`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise user_error(
            f"{path} is not UTF-8 (byte {error.start})", reason="config-unreadable", remedy="save it as UTF-8"
        ) from error
    try:
        _refuse_tricks(path, text)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise user_error(
            f"{where}: not valid YAML: {error.problem or error.context}", reason="yaml-syntax", remedy=_SYNTAX
        ) from error
    except yaml.reader.ReaderError as error:
        raise user_error(f"{path}: not valid YAML: {error.reason}", reason="yaml-syntax", remedy=_SYNTAX) from error
    marks: dict[Loc, Mark] = {}
    data = None if node is None else _value(path, loader, node, (), marks)
    return Document(path, data, marks)


def _refuse_tricks(path: Path, text: str) -> None:
    """Refuse anchors, aliases, written tags, and what is absurdly deep or long, before anything recursive sees it."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if count > MAX_EVENTS:
            raise _at(path, event.start_mark, f"more than {MAX_EVENTS:,} keys and values", "yaml-syntax")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _at(path, event.start_mark, "anchors and aliases are not used here", "yaml-alias", "write it out")
        tag = getattr(event, "tag", None)  # an implicit tag is only known to the composer
        if tag is not None:
            raise _at(path, event.start_mark, f"a tag ({tag}) is not allowed here", "yaml-tag", "remove it")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _at(path, event.start_mark, f"nested deeper than {MAX_DEPTH} levels", "yaml-syntax")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _at(path: Path, mark: Any, text: str, reason: str, remedy: str = _SYNTAX) -> CoralforgeError:
    return user_error(f"{path}:{mark.line + 1}:{mark.column + 1}: {text}", reason=reason, remedy=remedy)


def _value(path: Path, loader: Any, node: yaml.Node, loc: Loc, marks: dict[Loc, Mark]) -> Any:
    marks[loc] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(path, loader, node, loc, marks)
    if isinstance(node, yaml.SequenceNode):
        return [_value(path, loader, item, (*loc, i), marks) for i, item in enumerate(node.value)]
    if node.tag not in _SCALARS:
        kind = node.tag.rsplit(":", 1)[-1]  # timestamp, merge or value: what YAML makes of some plain words
        raise _at(path, node.start_mark, f"a {kind} is not allowed here", "yaml-tag", "put it in quotes")
    if ":" in node.value and not node.tag.endswith(":str"):  # YAML 1.1: 22:22 is a number of base 60, and slow
        raise _at(path, node.start_mark, f"{node.value[:40]!r} is not a plain number", "yaml-tag", "put it in quotes")
    try:
        return loader.construct_object(node)
    except ValueError as error:
        raise _at(path, node.start_mark, f"not a valid value: {error}", "yaml-syntax") from error


def _mapping(path: Path, loader: Any, node: yaml.MappingNode, loc: Loc, marks: dict[Loc, Mark]) -> Any:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not (isinstance(key_node, yaml.ScalarNode) and key_node.tag == "tag:yaml.org,2002:str"):
            text = "a key must be a string"
            raise _at(path, key_node.start_mark, text, "yaml-key", "put the key in quotes")
        key = str(key_node.value)
        if key in result:
            line, _ = marks[loc + (key,)]
            text = f"duplicate key {key!r} (first on line {line})"
            raise _at(path, key_node.start_mark, text, "yaml-duplicate-key", "remove one of the two")
        result[key] = _value(path, loader, value_node, (*loc, key), marks)
        # An error about a key is best shown at the key, not at its value.
        marks[loc + (key,)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
    return result
