"""Source trees on this machine: unpacked archives and snapshots of local checkouts, by content.

A tree's folder is named by the digest of what is in it, so a tree that is there is the right one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from coralforge.config.release import Source
from coralforge.plan import SourceFact
from coralforge.settings import XNNPACK, Cache, Settings
from coralforge.sources.fetch import cached
from coralforge.sources.git_tree import git_tree_id
from coralforge.sources.records import Fetched, Tree, Wanted
from coralforge.sources.unpack import unpack
from coralforge.store import staging

NEEDS_REAL_VARIANT = {"libedgetpu"}
NEEDS_XNNPACK = {"fp16", XNNPACK}


def wanted_sources(settings: Settings) -> tuple[Wanted, ...]:
    """The release's sources that the chosen variants and options are built from, checkouts included."""
    left_out = set() if any(variant.real for variant in settings.variants) else NEEDS_REAL_VARIANT
    left_out = left_out if settings.xnnpack else left_out | NEEDS_XNNPACK
    return tuple(
        Wanted(name, source, settings.arch)
        for name, source in settings.release.sources.items()
        if name not in left_out
    )


def to_fetch(settings: Settings) -> tuple[Wanted, ...]:
    """The sources that come from places, not from a local checkout."""
    return tuple(wanted for wanted in wanted_sources(settings) if wanted.name not in settings.checkouts)


def survey_sources(settings: Settings) -> tuple[SourceFact, ...]:
    """The facts about each source, from the disk only."""
    facts = []
    for wanted in wanted_sources(settings):
        digest: str | None
        if wanted.name in settings.checkouts:
            digest = f"git-tree:{git_tree_id(settings.checkouts[wanted.name])}"
        else:
            fetched = cached(wanted, settings.cache.root)
            digest = f"sha256:{fetched.place.sha256}" if fetched else None
        unpacked = digest is not None and tree_folder(settings.cache, wanted.name, digest).is_dir()
        facts.append(SourceFact(wanted.name, digest, unpacked))
    return tuple(facts)


def tree_folder(cache: Cache, name: str, digest: str) -> Path:
    """Where the tree of a source with this digest is, or would be."""
    return cache.trees / f"{name}-{digest.partition(':')[2][:32]}"


def make_tree(settings: Settings, fact: SourceFact) -> None:
    """Unpack the archive, or copy the local checkout, into the tree's folder with one rename."""
    assert fact.digest is not None
    place = tree_folder(settings.cache, fact.name, fact.digest)
    place.parent.mkdir(parents=True, exist_ok=True)
    with staging(settings.cache, f"tree-{fact.name}") as folder:
        inner = folder / "tree"
        if fact.name in settings.checkouts:
            shutil.copytree(
                settings.checkouts[fact.name], inner, symlinks=True, ignore=shutil.ignore_patterns(".git")
            )
        else:
            fetched = _fetched(settings, fact.name)
            unpack(fetched.path, inner, fetched.place.strip)
        inner.rename(place)


def _fetched(settings: Settings, name: str) -> Fetched:
    wanted = Wanted(name, settings.release.sources[name], settings.arch)
    fetched = cached(wanted, settings.cache.root)
    assert fetched is not None, f"{name} was fetched and is gone"
    return fetched


def trees(settings: Settings, facts: tuple[SourceFact, ...]) -> dict[str, Tree]:
    """The trees of all sources; every one must be unpacked."""
    return {fact.name: _tree(settings, fact, settings.release.sources) for fact in facts}


def _tree(settings: Settings, fact: SourceFact, sources: Mapping[str, Source]) -> Tree:
    assert fact.digest is not None
    path, source = tree_folder(settings.cache, fact.name, fact.digest), sources[fact.name]
    if fact.name in settings.checkouts:
        pinned = fact.digest == f"git-tree:{source.tree}"
        note = "a local checkout with the pinned tree" if pinned else "a local checkout, not the pinned source"
        return Tree(fact.name, path, fact.digest, "local checkout", pinned, False, note, source)
    place = _fetched(settings, fact.name).place
    return Tree(fact.name, path, fact.digest, place.address, True, place.prebuilt, place.note, source)
