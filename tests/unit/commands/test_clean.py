"""What can be made again goes, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.commands.clean import clean
from coralforge.errors import CoralforgeError
from coralforge.events import Note, Recorder
from coralforge.settings import Settings
from tests.support.model_project import settings_with

NAME = "coralforge-2.14.1-aarch64-linux-gnu"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A cache with something in each of its folders, and an output folder outside the project."""
    (tmp_path / "project").mkdir()
    settings = settings_with(tmp_path / "project", "{}")
    pipeline = settings.pipeline.model_copy(update={"output": str(tmp_path / "bundles")})
    for folder in (*settings.cache.remakeable, settings.cache.downloads):
        (folder / "deeper").mkdir(parents=True)
        (folder / "deeper" / "file").write_text("content")
    (tmp_path / "bundles").mkdir()
    names = (f"{NAME}.tar.gz", f"{NAME}.tar.gz.sha256", f"{NAME}.smoke.json", f".{NAME}.tar.gz.k1ll3d")
    for name in names:
        (tmp_path / "bundles" / name).write_text("content")
    return replace(settings, pipeline=pipeline)


def left(settings: Settings) -> set[str]:
    return {path.name for path in settings.cache.root.iterdir()}


def test_downloads_and_bundles_stay(settings: Settings) -> None:
    sink = Recorder()
    assert clean(settings, False, sink).startswith("removed 0 MiB from ")
    assert left(settings) == {"downloads", "lock", "CACHEDIR.TAG"}
    assert len(list(settings.output.iterdir())) == 4
    assert any("Docker does not answer" in event.text for event in sink.events if isinstance(event, Note))


def test_everything_is_everything(settings: Settings) -> None:
    clean(settings, True, Recorder())
    assert left(settings) == {"lock", "CACHEDIR.TAG"}
    assert not settings.output.exists()


def test_files_of_others_in_the_output_folder_stay(settings: Settings) -> None:
    (settings.output / "notes.txt").write_text("theirs")
    clean(settings, True, Recorder())
    assert [path.name for path in settings.output.iterdir()] == ["notes.txt"]


def test_a_folder_that_is_no_cache_is_not_emptied(settings: Settings) -> None:
    (settings.cache.root / "thesis.txt").write_text("theirs")
    with pytest.raises(CoralforgeError) as caught:
        clean(settings, True, Recorder())
    assert caught.value.reason == "cache-folder"
    assert left(settings) >= {"thesis.txt", "artifacts", "downloads"}
    assert len(list(settings.output.iterdir())) == 4


def test_without_a_cache_none_is_made(settings: Settings) -> None:
    nowhere = replace(settings, cache=replace(settings.cache, root=settings.cache.root / "gone"))
    clean(nowhere, False, Recorder())
    assert not nowhere.cache.root.exists()
