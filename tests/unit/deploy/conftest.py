"""A bundle of tiny files, and a board that is a folder here (a labelled double)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.board_double import BoardDouble, make
from tests.support.small_bundle import make_bundle


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BoardDouble:
    return make(tmp_path / "board", monkeypatch)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Three bundles of one name that differ."""
    top = tmp_path_factory.mktemp("archives")
    one, two, three = (
        make_bundle(top / str(number), text=f"bundle {number}\n", padding=20_000) for number in range(3)
    )
    return one, two, three
