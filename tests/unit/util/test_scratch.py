"""What a killed process left is removed by the next one, and what a living one works with is not."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coralforge.util import atomic
from coralforge.util.scratch import remove_tree, scratch
from tests.conftest import ROOT
from tests.support.patience import NET

HOLDER = """
import sys, time
from pathlib import Path
from coralforge.util import atomic, scratch
here = Path(sys.argv[1])
with scratch.scratch(here, "job") as folder, atomic.replacing(here / "file") as (half,):
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text("half")
    (folder / "inner").chmod(0o500)
    half.write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that works with a folder and a file in ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def use(folder: Path) -> None:
    """As the next command does."""
    with scratch(folder, "other"):
        pass
    atomic.write(folder / "file", b"whole")


def test_nothing_stays(tmp_path: Path) -> None:
    with scratch(tmp_path / "new", "job") as folder:
        assert (folder.parent, folder.stat().st_mode & 0o777) == (tmp_path / "new", 0o700)
        (folder / "file").touch()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_living_process_keeps_what_it_works_with(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    before = sorted(tmp_path.iterdir())
    use(tmp_path)
    after = sorted(tmp_path.iterdir())
    assert after == sorted([*before, tmp_path / "file"])
    holder.kill()
    holder.communicate(timeout=NET)


def test_what_a_killed_process_left_goes(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=NET)
    assert len(list(tmp_path.iterdir())) == 2
    use(tmp_path)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("how", ["folder", "file"])
def test_a_stop_while_it_is_removed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Found by trying: Ctrl-C at the end of a step left its folder."""
    came = iter([signal.SIGINT])

    def stopped(path: Path) -> None:
        for number in came:
            signal.raise_signal(number)
        remove_tree(path)

    monkeypatch.setattr("coralforge.util.scratch.remove_tree", stopped)
    with pytest.raises(KeyboardInterrupt):
        if how == "folder":
            with scratch(tmp_path, "job") as folder:
                (folder / "file").touch()
        else:
            with atomic.replacing(tmp_path / "file"):
                pass
    assert [path.name for path in tmp_path.iterdir()] == ([] if how == "folder" else ["file"])


def test_files_of_others_stay(tmp_path: Path) -> None:
    """An editor's swap file of the same name, for example."""
    others = [".file.swp", ".file.abcdefgh", "job", ".other.coralforge-abcdefgh"]
    for name in others:
        (tmp_path / name).touch()
    atomic.write(tmp_path / "file", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "file"])


def test_leftovers_are_no_way_out(tmp_path: Path) -> None:
    """A link under the name of one goes nowhere."""
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").touch()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "job.coralforge-abcdefgh").symlink_to(keep)
    with scratch(tmp_path / "work", "job"):
        pass
    assert (keep / "file").exists()


def test_a_folder_that_may_be_written_but_not_read_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so what the kernel says to others is a double here."""
    opened = os.open

    def refuse(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, *rest, **options)

    def unread(path: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "scandir", unread)
    atomic.write(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_remove_tree_removes_read_only_folders(tmp_path: Path) -> None:
    (tmp_path / "tree" / "inner").mkdir(parents=True)
    (tmp_path / "tree" / "inner").chmod(0o500)
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []
