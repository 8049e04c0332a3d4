"""YAML without its traps: plain data, the position of every node, and one clear error for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from coralforge.config.document import MAX_BYTES, MAX_DEPTH, MAX_EVENTS, parse_document, read_document
from coralforge.errors import CoralforgeError, ExitCode

FILE = Path("pipeline.yaml")
PIECES = ("a: ", "- ", "{", "}", "[", "]", "!!int ", "&x ", "*x", "\n", "  ", "'", "|", "1")


class NoAliases(yaml.SafeDumper):
    """PyYAML writes an anchor for an object that is used twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def parse(text: str | bytes) -> Any:
    return parse_document(FILE, text if isinstance(text, bytes) else text.encode()).data


def refused_text(text: str | bytes) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        parse(text)
    assert caught.value.code is ExitCode.USER
    return caught.value


def test_plain_data_with_the_position_of_every_node() -> None:
    document = parse_document(FILE, b"a: 1\nlist:\n  - x\n  - key: 2.5\nnone: ~\nflag: true\n")
    assert document.data == {"a": 1, "list": ["x", {"key": 2.5}], "none": None, "flag": True}
    assert document.where(("a",)) == "pipeline.yaml:1:1"
    assert document.where(("list", 1, "key")) == "pipeline.yaml:4:5"
    assert document.where(("list", 0)) == "pipeline.yaml:3:5"


def test_the_position_of_something_absent_is_its_parents() -> None:
    document = parse_document(FILE, b"a: 1\nb:\n  c: 2\n")
    assert document.where(("b", "missing", 0)) == "pipeline.yaml:2:1"


def test_an_empty_file_is_no_data() -> None:
    assert parse("# only a comment\n") is None


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "yaml-duplicate-key", "3:1: duplicate key 'a' (first on line 1)"),
        ("x:\n  a: 1\n  a: 1\n", "yaml-duplicate-key", "3:3: duplicate key 'a' (first on line 2)"),
        ("a: &x 1\nb: *x\n", "yaml-alias", "1:4: anchors and aliases are not used here"),
        ("a: &x [1]\n", "yaml-alias", "1:4"),
        ("a: !!python/object/apply:os.system [ls]\n", "yaml-tag", "1:4"),
        ("a: !custom 1\n", "yaml-tag", "1:4"),
        ("a: !custom {b: 1}\n", "yaml-tag", "1:4"),
        ("day: 2024-03-14\n", "yaml-tag", "1:6: a timestamp is not allowed here"),
        ("port: 22:22\n", "yaml-tag", "1:7: '22:22' is not a plain number"),
        ("a: 1:59.5\n", "yaml-tag", "1:4"),
        ("- a\n" * MAX_EVENTS, "yaml-syntax", "more than 10,000 keys and values"),
        ("<<: {a: 1}\n", "yaml-key", "1:1: a key must be a string"),
        ("1: x\n", "yaml-key", "1:1: a key must be a string"),
        ("? [a]\n: x\n", "yaml-key", "1:3"),
        ("a: [1, 2\nb: 3\n", "yaml-syntax", "2:2: not valid YAML"),
        ("a:\n\tb: 1\n", "yaml-syntax", "2:1: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "yaml-syntax", "2:1"),
        ("a: " + "[" * (MAX_DEPTH + 1), "yaml-syntax", f"nested deeper than {MAX_DEPTH} levels"),
        ("a: *nowhere\n", "yaml-alias", "1:4"),
        ("a: '\0'\n", "yaml-syntax", "not valid YAML"),
    ],
)
def test_a_trap_is_refused_where_it_stands(text: str, reason: str, where: str) -> None:
    error = refused_text(text)
    assert error.reason == reason
    assert where in str(error)
    assert str(error).startswith("pipeline.yaml:")


def test_another_encoding_is_named() -> None:
    error = refused_text("a: é\n".encode("latin-1"))
    assert (error.reason, error.brief) == ("config-unreadable", "pipeline.yaml is not UTF-8 (byte 3)")


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(CoralforgeError, match="larger than") as caught:
        read_document(path)
    assert caught.value.reason == "config-unreadable"


def test_of_a_file_without_an_end_only_the_beginning_is_read() -> None:
    with pytest.raises(CoralforgeError, match="larger than"):
        read_document(Path("/dev/zero"))


@pytest.mark.parametrize(("name", "reason"), [("absent.yaml", "config-missing"), (".", "config-unreadable")])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        read_document(tmp_path / name)
    assert caught.value.reason == reason
    assert str(tmp_path) in caught.value.brief


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"!!int x")
@example(b"!!float ''")
@example(b"a: 0o9\nb: 1:99\nc: 0b\nd: +_")
@example(b"!!bool maybe")
@example(b"\xff\xfea\x00")
@example(b"- " * 3000)
@example(b"{" * 3000)
@example(b"1" * 5000)
def test_any_bytes_are_data_or_one_clear_error(raw: bytes) -> None:
    parsed_or_refused(raw)


@given(st.lists(st.sampled_from(PIECES)))
def test_any_pieces_of_yaml_are_data_or_one_clear_error(pieces: list[str]) -> None:
    parsed_or_refused("".join(pieces).encode())


def parsed_or_refused(raw: bytes) -> None:
    try:
        parse(raw)
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        assert "pipeline.yaml" in error.brief


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)
def test_plain_data_survives(data: Any) -> None:
    assert parse(yaml.dump(data, Dumper=NoAliases)) == data
