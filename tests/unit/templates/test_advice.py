"""The table of what can be in the way of an Edge TPU: each entry is documented, what is called shown has a test."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.support.board_trees import cases

HEADER = (ROOT / "templates/consumer/advice.h").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/diagnose.md").read_text(encoding="utf-8")
CODES = {"kOk": 0, "kNoEdgeTpu": 4, "kCannotRun": 5, "kForbidden": 6, "kBusy": 7, "kLost": 8}
ENTRIES = {id: CODES[code] for id, code in re.findall(r'^    {"([a-z0-9-]+)", (k\w+),', HEADER, re.MULTILINE)}
ROWS = {row[0]: row for row in re.findall(r"^\| `([a-z0-9-]+)` \| (\d) \| .* \| ([^|]+) \|$", PAGE, re.MULTILINE)}


def test_the_page_has_the_table() -> None:
    assert {id: int(code) for id, code, _ in ROWS.values()} == ENTRIES
    assert list(ROWS) == list(ENTRIES), "in the same order, which is that of a report"


def test_what_is_in_the_way_comes_before_what_is_only_worth_knowing() -> None:
    in_the_way = [code != 0 for code in ENTRIES.values()]
    assert in_the_way == sorted(in_the_way, reverse=True)


def test_what_the_page_calls_shown_is_tested() -> None:
    trees = {id for case in cases().values() for id in (case.id, *case.also)}
    others = "".join(
        (ROOT / "tests/integration" / name).read_text(encoding="utf-8")
        for name in ("test_devices.py", "test_diagnose.py", "test_emulated_board.py")
    )
    boards = (ROOT / "tests/integration/test_emulated_board.py").read_text(encoding="utf-8")
    for id, _, shown in ROWS.values():
        if "tree" in shown:
            # The policy and who is busy need a process of the test beside the tree.
            assert id in trees or id in {"policy", "busy"} or f'"{id}"' in others, id
        if "board" in shown:
            assert f'"{id}"' in boards, id


@pytest.mark.parametrize("id", ENTRIES)
def test_an_entry_is_used(id: str) -> None:
    sources = [path for path in (ROOT / "templates/consumer").glob("*.h") if path.name != "advice.h"]
    assert any(f'"{id}"' in path.read_text(encoding="utf-8") for path in sources)
