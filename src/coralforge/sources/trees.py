"""Source trees on this machine: unpacked archives and snapshots of local checkouts, by content.

A tree's folder is named by the digest of what it was made from, and beside it stands its record: every file with its
length and digest. A tree without a record of its own was not finished; one that differs from it is made again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from coralforge.config.release import Source
from coralforge.events import Note, Sink
from coralforge.plan import SourceFact
from coralforge.settings import XNNPACK, Cache, Settings
from coralforge.sources.fetch import cached, verified
from coralforge.sources.git_tree import git_tree_id
from coralforge.sources.records import Fetched, Tree, Wanted
from coralforge.sources.unpack import unpack
from coralforge.store import staging
from coralforge.util import atomic, inventory
from coralforge.util.scratch import remove_tree

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
        unpacked = digest is not None and record_of(tree_folder(settings.cache, wanted.name, digest)).is_file()
        facts.append(SourceFact(wanted.name, digest, unpacked))
    return tuple(facts)


def tree_folder(cache: Cache, name: str, digest: str) -> Path:
    """Where the tree of a source with this digest is, or would be."""
    return cache.trees / f"{name}-{digest.partition(':')[2][:32]}"


def record_of(tree: Path) -> Path:
    """The file that says what is in a tree. It is not in the tree, which is mounted as it is."""
    return tree.with_name(f"{tree.name}.json")


def damage(settings: Settings, fact: SourceFact, *, whole: bool) -> str:
    """How a tree differs from its record, as part of a sentence; empty when what is looked at is the same.

    Args:
        whole: look at all of it, as what is compiled from it may; otherwise at the licence texts, as a bundle does.
    """
    assert fact.digest is not None
    place = tree_folder(settings.cache, fact.name, fact.digest)
    try:
        record = json.loads(record_of(place).read_text(encoding="utf-8"))
        digest, files = record["digest"], record["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return f"{record_of(place).name} is missing or cannot be read"
    if digest != fact.digest or not isinstance(files, dict):
        return f"{record_of(place).name} belongs to another tree"
    if whole or _tree(settings, fact, settings.release.sources).prebuilt:
        return inventory.difference(place, files, thorough=True)
    licences = settings.release.sources[fact.name].licence_files
    return inventory.first_changed(place, {name: files[name] for name in licences if name in files})


def ensure_trees(settings: Settings, facts: Iterable[SourceFact], sink: Sink, *, whole: bool) -> None:
    """Have these trees as they were made; a damaged one is named and made again. ``whole`` as in ``damage``.

    Raises:
        CoralforgeError: as ``unpack``, ``verified`` and ``staging``.
    """
    for fact in facts:
        problem = damage(settings, fact, whole=whole) if fact.unpacked else ""
        if problem:
            sink.emit(
                Note(f"the source {fact.name} is damaged in the cache and is unpacked again: {problem}", "warning")
            )
        if problem or not fact.unpacked:
            make_tree(settings, fact)


def make_tree(settings: Settings, fact: SourceFact) -> None:
    """Unpack the archive, or copy the local checkout, into the tree's folder with one rename; then it has a record.

    Raises:
        CoralforgeError: as ``unpack``, ``verified`` and ``staging``.
    """
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
            unpack(verified(fetched), inner, fetched.place.strip)
        record = {"digest": fact.digest, "files": inventory.take(inner)}
        record_of(place).unlink(missing_ok=True)
        remove_tree(place)
        inner.rename(place)
        atomic.write(record_of(place), json.dumps(record, sort_keys=True).encode())


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
