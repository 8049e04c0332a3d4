"""Names may have anything in them; a terminal gets text."""

from __future__ import annotations

import io
import sys

import pytest

from coralforge.util.plain import as_bytes, plain, plain_stdout


@pytest.mark.parametrize("text", ["", "a b\tc\n", "Größe 模型", "a\xa0b", "a\u3000b"])
def test_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("text", ["\x1b", "\r", "\x07", "\x85", "\udcff", "\u202e", "\x9b", "\x1c"])
def test_what_is_no_text_is_replaced(text: str) -> None:
    assert plain(f"a{text}b") == "a\ufffdb"


def test_what_is_printed_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with plain_stdout():
        print("a\udcffb\x1b[2J ü")
    assert raw.getvalue() == b"a\\ufffdb\\ufffd[2J \\xfc\n"
    assert sys.stdout is stream


def test_a_name_that_is_no_utf8_can_be_written() -> None:
    assert as_bytes("ü\udcff") == "ü\\udcff".encode()
