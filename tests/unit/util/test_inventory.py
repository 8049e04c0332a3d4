"""An inventory finds what was lost or changed in a folder, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coralforge.util import inventory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    (place / "lib").mkdir(parents=True)
    (place / "lib/a.so").write_bytes(b"aaaa")
    (place / "lib/b.so").write_bytes(b"bbbb")
    (place / "lib/link.so").symlink_to("a.so")
    (place / "lib/all").symlink_to("../lib")
    return place


def flip(folder: Path) -> None:
    (folder / "lib/a.so").write_bytes(b"aaab")


def cut(folder: Path) -> None:
    (folder / "lib/a.so").write_bytes(b"aaa")


def swap(folder: Path) -> None:
    (folder / "lib/a.so").rename(folder / "other")
    (folder / "lib/b.so").rename(folder / "lib/a.so")
    (folder / "other").rename(folder / "lib/b.so")


def delete(folder: Path) -> None:
    (folder / "lib/a.so").unlink()


def add(folder: Path) -> None:
    (folder / "lib/c.so").write_bytes(b"")


def relink(folder: Path) -> None:
    (folder / "lib/link.so").unlink()
    (folder / "lib/link.so").symlink_to("b.so")


def unlink_to_file(folder: Path) -> None:
    (folder / "lib/link.so").unlink()
    (folder / "lib/link.so").write_bytes(b"aaaa")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip, "lib/a.so has other bytes"),
        (cut, "lib/a.so has 3 bytes, not 4"),
        (swap, "lib/a.so has other bytes"),
        (delete, "lib/a.so is missing"),
        (add, "lib/c.so is not recorded"),
        (relink, "lib/link.so is another kind of file, or leads elsewhere"),
        (unlink_to_file, "lib/link.so is another kind of file, or leads elsewhere"),
    ],
)
@pytest.mark.parametrize("thorough", [False, True])
def test_damage_is_found_and_named(folder: Path, damage: Callable[[Path], None], said: str, thorough: bool) -> None:
    taken = inventory.take(folder)
    damage(folder)
    for name in ("a.so", "b.so"):  # a change in the same clock tick as the inventory must be seen too
        if (folder / "lib" / name).exists():
            os.utime(folder / "lib" / name, ns=(0, 0))
    assert inventory.difference(folder, taken, thorough).startswith(said)


def test_a_change_that_keeps_length_and_time_is_found_by_reading(folder: Path) -> None:
    taken = inventory.take(folder)
    time = taken["lib/a.so"]["time"]
    flip(folder)
    os.utime(folder / "lib/a.so", ns=(time, time))
    assert inventory.difference(folder, taken, thorough=False) == ""
    assert "lib/a.so has other bytes" in inventory.difference(folder, taken, thorough=True)


def test_a_copy_with_other_times_is_whole(folder: Path, tmp_path: Path) -> None:
    taken = inventory.take(folder)
    copy = shutil.copytree(folder, tmp_path / "copy", symlinks=True, copy_function=shutil.copyfile)
    assert inventory.difference(copy, taken, thorough=False) == ""
    assert inventory.difference(copy, taken, thorough=True) == ""


def test_an_inventory_of_another_form_is_a_difference(folder: Path) -> None:
    taken = inventory.take(folder)
    assert "cannot be read" in inventory.difference(folder, {**taken, "lib/a.so": {}}, thorough=False)
