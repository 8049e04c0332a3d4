"""A file is the old one or the whole new one, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coralforge.util.atomic import replacing, write, write_all
from tests.conftest import ROOT


@pytest.fixture(params=[0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_is_replaced_and_everyone_may_read_it(tmp_path: Path, umask: None) -> None:
    write(tmp_path / "a", b"old")
    write(tmp_path / "a", b"new")
    assert content(tmp_path) == {"a": b"new"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError, MemoryError])
def test_what_is_interrupted_leaves_everything_as_it_was(tmp_path: Path, interruption: type[BaseException]) -> None:
    write(tmp_path / "a", b"old")
    with pytest.raises(interruption), replacing(tmp_path / "a", tmp_path / "b") as (first, second):
        first.write_bytes(b"half")
        second.write_bytes(b"half")
        raise interruption
    assert content(tmp_path) == {"a": b"old"}


def test_nothing_takes_its_place_before_all_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", b"old")
    flushed: list[int] = []

    def full(number: int) -> None:
        assert content(tmp_path)["a"] == b"old"
        flushed.append(number)
        if len(flushed) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_all({tmp_path / "a": b"new", tmp_path / "b": b"too"})
    assert caught.value.filename == str(tmp_path / "b")
    assert content(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("name", ["gone/b", "folder"])
def test_an_error_names_the_file_that_is_wanted(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        write(tmp_path / name, b"x")
    assert caught.value.filename == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["x" * 255, "\N{DESERT ISLAND}" * 63])
def test_the_longest_name_is_no_trouble(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, b"x")
    assert content(tmp_path) == {name: b"x"}


def test_no_other_module_writes_a_temporary_file_and_renames_it() -> None:
    """Only ``sources`` has ways of its own, since a download goes on after an interruption."""
    package = ROOT / "src" / "coralforge"
    own = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            word in path.read_text(encoding="utf-8") for word in ("mkstemp", "fsync", "os.replace", "temporary.re")
        )
    }
    assert {name for name in own if not name.startswith("sources/")} == {"util/atomic.py"}


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """As root, `--output /dev/null` once made a file of the machine's device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("pipe")
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(FileExistsError, match="no file") as caught:
            write(path, b"data")
        assert caught.value.filename == str(path)
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.parametrize("folder", ["/dev", "/dev/fd", "/proc/self/fd"])
def test_no_file_is_put_among_the_kernels(folder: str, tmp_path: Path) -> None:
    """As root, `--json /dev/stdout > FILE` once took /dev/stdout from the machine: it was a regular file then."""
    (tmp_path / "link").symlink_to(folder)
    for path in (Path(folder) / f"coralforge-{os.getpid()}", tmp_path / "link" / f"coralforge-{os.getpid()}"):
        try:
            with pytest.raises(FileExistsError, match="the kernel's"):
                write(path, b"data")
        finally:
            path.unlink(missing_ok=True)


def test_a_dash_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json -` once made a file of that name: other programs write to stdout then."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileExistsError, match="stdout"):
        write(Path("-"), b"data")
    assert list(tmp_path.iterdir()) == []
