"""Trees: what is about to be compiled is what was unpacked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.config.base import Place
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError
from coralforge.events import Note, Recorder
from coralforge.plan import SourceFact
from coralforge.settings import Options, Project, Settings, resolve
from coralforge.sources.trees import damage, ensure_trees, survey_sources, tree_folder
from coralforge.util.fingerprint import of_file
from tests.conftest import ROOT

NAME = "fxdiv"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a run with a checkout of one small source."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "LICENSE").write_text("take it\n")
    (checkout / "fxdiv.h").write_text("int one;\n")
    return resolve(
        Project(ROOT), Options(sources=(f"{NAME}={checkout}",)), {"CORALFORGE_CACHE": str(tmp_path / "cache")}
    )


def fact(settings: Settings) -> SourceFact:
    return next(one for one in survey_sources(settings) if one.name == NAME)


def tree(settings: Settings) -> Path:
    digest = fact(settings).digest
    assert digest is not None
    return tree_folder(settings.cache, NAME, digest)


def ensured(settings: Settings, *, whole: bool = True) -> list[str]:
    """What a user is told while the tree is made sure of."""
    sink = Recorder()
    ensure_trees(settings, [fact(settings)], sink, whole=whole)
    return [event.text for event in sink.events if isinstance(event, Note)]


def test_a_whole_tree_is_left_as_it_is(settings: Settings) -> None:
    assert ensured(settings) == []
    before = tree(settings).stat().st_ino
    assert fact(settings).unpacked
    assert ensured(settings) == []
    assert tree(settings).stat().st_ino == before


@pytest.mark.parametrize("name", ["fxdiv.h", "LICENSE"])
def test_a_damaged_tree_is_named_and_made_again(settings: Settings, name: str) -> None:
    ensured(settings)
    (tree(settings) / name).write_text("other\n")
    [told] = ensured(settings)
    assert NAME in told
    assert name in told
    assert damage(settings, fact(settings), whole=True) == ""


def test_a_bundle_looks_at_licences_only(settings: Settings) -> None:
    ensured(settings)
    (tree(settings) / "fxdiv.h").write_text("other\n")
    assert ensured(settings, whole=False) == []
    (tree(settings) / "LICENSE").write_text("other\n")
    assert len(ensured(settings, whole=False)) == 1


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"digest": "of another", "files": {}}'])
def test_a_tree_without_a_record_of_its_own_is_made_again(settings: Settings, content: bytes | None) -> None:
    ensured(settings)
    record = tree(settings).with_name(f"{tree(settings).name}.json")
    record.unlink()
    if content is not None:
        record.write_bytes(content)
    ensured(settings)
    assert damage(settings, fact(settings), whole=True) == ""


def test_a_damaged_archive_is_refused_and_removed(settings: Settings, tmp_path: Path) -> None:
    """A whole archive, under the digest of another one."""
    digest = "0" * 64
    archive = tmp_path / "cache/downloads" / digest / "fxdiv.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"another")
    place = Place(url="https://host.example/fxdiv.tar.gz", sha256=digest)
    source = Source(version="1", licence="MIT", places=[place])
    release = settings.release.model_copy(update={"sources": {NAME: source}})
    pinned = replace(settings, release=release, checkouts={})
    assert of_file(archive) != digest
    with pytest.raises(CoralforgeError) as caught:
        ensured(pinned)
    assert caught.value.reason == "source-digest"
    assert not archive.exists()
    assert not tree(replace(pinned, checkouts=settings.checkouts)).exists()
