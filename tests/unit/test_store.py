"""What is in the store is finished; what is not finished is not in the store."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from coralforge import store
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.plan import Action, Stage
from coralforge.settings import Cache
from coralforge.util.scratch import remove_tree
from tests.support.patience import NET

ACTION = Action(Stage.PREFIX, "prefix", True, "", "k" * 64, (("input", "1"),))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_commit_moves_a_finished_folder_and_records_its_inputs(cache: Cache) -> None:
    with store.staging(cache, "x") as folder:
        (folder / "file").write_text("content")
        place = store.commit(cache, ACTION, folder)
    assert (place / "file").read_text() == "content"
    assert '"input": "1"' in (place / store.RECORD).read_text()
    assert ACTION.artifact in store.present(cache)


@pytest.fixture
def stored(cache: Cache) -> Path:
    """An artifact with one file."""
    with store.staging(cache, "x") as folder:
        (folder / "file").write_text("content")
        return store.commit(cache, ACTION, folder)


def test_a_whole_artifact_has_no_damage(cache: Cache, stored: Path) -> None:
    assert store.damage(cache, ACTION, thorough=False) == ""
    assert store.damage(cache, ACTION, thorough=True) == ""


def test_a_damaged_artifact_is_known_by_the_file(cache: Cache, stored: Path) -> None:
    (stored / "file").unlink()
    assert store.damage(cache, ACTION, thorough=False) == "file is missing"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"key": "other", "files": {}}', None])
def test_an_artifact_without_a_record_of_its_own_is_damaged(cache: Cache, stored: Path, content: str | None) -> None:
    (stored / store.RECORD).unlink() if content is None else (stored / store.RECORD).write_text(content)
    assert store.RECORD in store.damage(cache, ACTION, thorough=False)


def test_a_failed_stage_leaves_nothing(cache: Cache) -> None:
    def fail() -> None:
        with store.staging(cache, "x") as folder:
            (folder / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert store.present(cache) == frozenset()
    assert list(cache.tmp.iterdir()) == []


def test_a_full_disk_is_one_error_with_a_remedy(cache: Cache) -> None:
    def fill() -> None:
        with store.staging(cache, "x"):
            raise OSError(28, "No space left on device")

    with pytest.raises(CoralforgeError) as caught:
        fill()
    assert caught.value.reason == "no-space"
    assert caught.value.code is ExitCode.MISSING
    assert "invoke clean" in caught.value.remedy


def test_leftovers_of_a_killed_run_are_removed(cache: Cache) -> None:
    (cache.tmp / "old-123").mkdir(parents=True)
    with store.exclusive(cache, Recorder()):
        assert list(cache.tmp.iterdir()) == []


def test_a_leftover_that_still_changes_is_no_error(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run's container writes to its folder until the runner has ended it; then the folder goes too."""
    (cache.tmp / "old-123").mkdir(parents=True)

    def busy(path: Path) -> None:
        raise OSError(39, "Directory not empty")

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_tree", busy)
        holding = store.exclusive(cache, Recorder())
        holding.__enter__()
    with store.staging(cache, "new") as folder:
        assert list(cache.tmp.iterdir()) == [folder]
    holding.__exit__(None, None, None)


def test_leftovers_go_though_there_is_nothing_to_do(cache: Cache) -> None:
    """A run that was killed between its last rename and its end."""
    (cache.tmp / "old-123").mkdir(parents=True)
    store.tidy(cache)
    assert list(cache.tmp.iterdir()) == []


def test_what_another_run_works_with_is_no_leftover(cache: Cache) -> None:
    with store.exclusive(cache, Recorder()), store.staging(cache, "new") as folder:
        child = multiprocessing.get_context("fork").Process(target=store.tidy, args=(cache,))
        child.start()
        child.join(NET)
        assert child.exitcode == 0
        assert folder.is_dir()


def _hold(cache: Cache, ready: object, go: object) -> None:
    with store.exclusive(cache, Recorder()):
        ready.set()  # type: ignore[attr-defined]
        go.wait(NET)  # type: ignore[attr-defined]


def test_a_second_run_waits_says_so_and_gives_up_in_the_end(cache: Cache) -> None:
    context = multiprocessing.get_context("fork")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(cache, ready, go))
    other.start()
    assert ready.wait(NET)
    recorder = Recorder()
    with pytest.raises(CoralforgeError) as caught, store.exclusive(cache, recorder, timeout=0.1):
        pass
    go.set()
    other.join(NET)
    assert caught.value.code is ExitCode.BUSY
    assert "waiting" in str(recorder.events[0])
    with store.exclusive(cache, Recorder(), timeout=NET):  # free again
        pass


def test_remove_tree_removes_read_only_folders_and_not_what_links_point_to(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").write_text("")
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").write_text("")
    (tree / "link").symlink_to(keep)
    (tree / "inner").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (keep / "file").exists()


def test_memory_of_the_last_run_survives_damage(cache: Cache) -> None:
    store.remember(cache, "t", (ACTION,))
    assert store.previous_inputs(cache, "t") == {Stage.PREFIX: {"input": "1"}}
    (cache.root / "last" / "t.json").write_text('{"prefix": 3}')
    assert store.previous_inputs(cache, "t") == {}
    (cache.root / "last" / "t.json").write_bytes(b"\xff")
    assert store.previous_inputs(cache, "t") == {}
    store.remember(cache, "t", (ACTION,))
    assert store.previous_inputs(cache, "t") == {Stage.PREFIX: {"input": "1"}}
    assert store.previous_inputs(cache, "never") == {}


def test_memory_that_cannot_be_written_stops_nobody(cache: Cache) -> None:
    cache.root.mkdir()
    cache.last.write_text("a file")
    store.remember(cache, "t", (ACTION,))
    assert store.previous_inputs(cache, "t") == {}


def test_a_folder_with_other_things_in_it_is_no_cache(tmp_path: Path) -> None:
    for name in ("tmp", "logs", "thesis.txt"):
        (tmp_path / name).mkdir()
    (tmp_path / "tmp" / "theirs").mkdir()
    with pytest.raises(CoralforgeError, match=r"thesis\.txt") as caught, store.exclusive(Cache(tmp_path), Recorder()):
        pass
    assert (caught.value.reason, caught.value.code) == ("cache-folder", ExitCode.USER)
    assert (tmp_path / "tmp" / "theirs").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "thesis.txt", "tmp"]


def test_a_cache_without_a_mark_is_taken_and_what_is_put_into_a_marked_one_stays(cache: Cache) -> None:
    cache.downloads.mkdir(parents=True)
    with store.exclusive(cache, Recorder()):
        assert (cache.root / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    (cache.root / "note.txt").write_text("ours")
    with store.exclusive(cache, Recorder()):
        assert (cache.root / "note.txt").is_file()


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CoralforgeError) as caught, store.exclusive(Cache(tmp_path / "file"), Recorder()):
        pass
    assert caught.value.reason == "cache-unwritable"
    assert "CORALFORGE_CACHE" in caught.value.remedy
