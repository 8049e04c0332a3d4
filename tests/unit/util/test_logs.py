"""Logs are kept, but not for ever."""

from __future__ import annotations

import os
from pathlib import Path

from coralforge.util.logs import KEPT, new_log


def test_the_newest_stay_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        (tmp_path / f"old-{number}.log").write_text("x")
        os.utime(tmp_path / f"old-{number}.log", (number, number))
    (tmp_path / "notes.txt").write_text("theirs")
    assert new_log(tmp_path, "new").read_text() == ""
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"new.log", "notes.txt", *(f"old-{number}.log" for number in range(6, KEPT + 5))}


def test_a_log_of_the_same_name_begins_anew(tmp_path: Path) -> None:
    new_log(tmp_path / "logs", "build").write_text("earlier")
    assert new_log(tmp_path / "logs", "build").read_text() == ""
