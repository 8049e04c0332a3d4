"""Store and state: one damaged file in the cache, and a bundle that is asked for all the same."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge import store
from coralforge.bundle import model_files
from coralforge.pipeline.survey import collect, target_name
from coralforge.plan import ARTIFACTS, Stage
from coralforge.sources import trees
from coralforge.util import inventory
from coralforge.util.fingerprint import of_file
from tests.support.cache_lab import CacheLab, Ending, Room
from tests.support.faults import DAMAGES, flip, swap
from tests.support.promises import Promise, Trial, promised

pytestmark = pytest.mark.docker  # for the bundle that is damaged; none of these runs reaches an engine

WAYS = ", ".join(name.replace("_", " a ") for name in DAMAGES)
CHAPTER = "Store and state"
SMALL = ("fxdiv", "fft2d")
"""Sources whose trees and downloads are damaged in the short form, too."""


@dataclass(frozen=True)
class Case:
    """One file of the cache, below its root, and how it is damaged."""

    file: str
    damage: str

    def strike(self, room: Room, rng: random.Random, others: Sequence[str]) -> None:
        """``others`` are files of the same kind."""
        root = room.cache.root
        other = rng.choice([name for name in others if name != self.file])
        DAMAGES[self.damage](root / self.file, root / other, rng)


def drawn(trial: Trial, names: Sequence[str], each: int = 1) -> list[Case]:
    """Every file, in ``each`` of the ways."""
    return [Case(name, damage) for name in names for damage in trial.random(name).sample(list(DAMAGES), min(each, 5))]


def below(room: Room, folder: Path) -> list[str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [str(path.relative_to(room.cache.root)) for path in found]


def held(lab: CacheLab, ending: Ending) -> bool:
    """The bundle is the right one, or there is none."""
    return ending.digest in (None, lab.golden)


ARTIFACT = Promise(
    CHAPTER,
    "A damaged artifact is made again or refused, and is in no bundle",
    f"every file of libraries, prefix, programs, sample and bundle ({WAYS}), with and without the later artifacts",
    "records are not compared: another bundle, and no error",
)


@promised(ARTIFACT)
def test_a_damaged_artifact_is_in_no_bundle(lab: CacheLab, trial: Trial) -> None:
    with lab.room() as room:
        names = below(room, room.cache.artifacts)
    for case in trial.cases(drawn(trial, names), short=4):
        rng = trial.random(case)
        with lab.room() as room:
            case.strike(room, rng, names)
            room.forget(*rng.choice([(), (Stage.BUNDLE,), (Stage.BUNDLE, Stage.PREFIX)]))
            assert held(lab, room.bundle()), case


@promised(ARTIFACT, control=True)
def test_without_the_comparison_a_damaged_library_is_in_the_bundle(
    lab: CacheLab, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "damage", lambda *_: "")
    with lab.room() as room:
        header = room.artifact(Stage.LIBRARIES) / "include/edgetpu_c.h"
        flip(header, header, trial.random())
        room.forget(Stage.BUNDLE)
        assert not held(lab, room.bundle())


SWAPPED = Promise(
    CHAPTER,
    "An artifact under another one's name is not taken for it",
    "the folders of two artifacts change places",
    "records are not compared: another run's bundle, and no error",
)


def exchange(one: Path, other: Path) -> None:
    beside = one.with_name("beside")
    one.rename(beside)
    other.rename(one)
    beside.rename(other)


@promised(SWAPPED)
def test_an_artifact_under_another_name_is_in_no_bundle(lab: CacheLab, trial: Trial) -> None:
    known = [stage for stage in (*ARTIFACTS, Stage.MODEL) if stage is not Stage.DEB]
    pairs = [(one, other) for one in known for other in known if one.value < other.value]
    for one, other in trial.cases(pairs, short=1):
        with lab.room() as room:
            exchange(room.artifact(one), room.artifact(other))
            if Stage.BUNDLE not in (one, other):
                room.forget(Stage.BUNDLE)
            assert held(lab, room.bundle()), (one, other)


@promised(SWAPPED, control=True)
def test_without_the_comparison_another_runs_bundle_is_handed_out(
    lab: CacheLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "damage", lambda *_: "")
    with lab.room() as room:
        archive = room.artifact(Stage.BUNDLE) / f"{room.settings.bundle_name}.tar.gz"
        for path, text in ((archive, "of another run"), (archive.with_name(f"{archive.name}.sha256"), None)):
            path.unlink()
            path.write_text(text or f"{of_file(archive)}  {archive.name}\n")
        assert not held(lab, room.bundle())


TREE = Promise(
    CHAPTER,
    "A damaged source tree is unpacked again, and nothing is made of it",
    f"files of a tree, its licence texts and its record ({WAYS}), where the bundle is made anew",
    "trees are not compared: another licence text in the bundle, and no error",
)


@promised(TREE)
def test_a_damaged_tree_is_not_used(lab: CacheLab, trial: Trial) -> None:
    for fact in (fact for fact in lab.sources if trial.long or fact.name in SMALL):
        licences = lab.settings.release.sources[fact.name].licence_files
        with lab.room(fact) as room:
            tree = room.tree(fact).relative_to(room.cache.root)
            names = below(room, room.tree(fact))
            used = [name for name in licences if (room.tree(fact) / name).is_file()]
        chosen = [*trial.random(fact.name).sample(names, min(len(names), 6)), *(str(tree / name) for name in used)]
        for case in trial.cases(drawn(trial, [*chosen, f"{tree}.json"]), short=1):
            with lab.room(fact) as room:
                case.strike(room, trial.random(case), names)
                room.forget(Stage.BUNDLE)
                assert room.bundle().digest == lab.golden, case
                trees.ensure_trees(room.settings, room.surveyed(), room.sink, whole=True)  # as before compiling
                assert trees.damage(room.settings, fact, whole=True) == "", case


@promised(TREE, control=True)
def test_without_the_comparison_a_damaged_tree_is_in_the_bundle(
    lab: CacheLab, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "damage", lambda *_, **__: "")
    fact = lab.source("fxdiv")
    with lab.room(fact) as room:
        licence = room.tree(fact) / room.settings.release.sources["fxdiv"].licence_files[0]
        flip(licence, licence, trial.random())
        room.forget(Stage.BUNDLE)
        assert not held(lab, room.bundle())


DOWNLOAD = Promise(
    CHAPTER,
    "A damaged download is refused, not unpacked",
    f"every archive of a source ({WAYS}), where its tree has to be unpacked again",
    "the digest is not compared again: another archive's files as the pinned source, and no error",
)


@promised(DOWNLOAD)
def test_a_damaged_download_is_not_unpacked(lab: CacheLab, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "CORALFORGE_DEBIAN_ARCHIVE", "file:///nonexistent"
    )  # no network: there is nothing to mend with
    with lab.room() as room:
        facts = {str(room.download(fact).relative_to(room.cache.root)): fact for fact in lab.sources}
    names = [name for name, fact in facts.items() if trial.long or fact.name in SMALL]
    for case in trial.cases(drawn(trial, names, each=len(DAMAGES)), short=2):
        with lab.room() as room:
            case.strike(room, trial.random(case), names)
            room.forget_tree(facts[case.file])
            room.forget(Stage.BUNDLE)
            ending = room.bundle()
            assert (ending.digest, ending.reason) in [
                (None, "source-digest"),
                (None, "source-unavailable"),
                (None, "cache-unwritable"),
            ], (case, ending)


@promised(DOWNLOAD, control=True)
def test_without_the_comparison_another_archive_is_unpacked(
    lab: CacheLab, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "verified", lambda fetched: fetched.path)
    fact = lab.source("fxdiv")
    with lab.room() as room:
        swap(room.download(fact), room.download(lab.source("pthreadpool")), trial.random())
        room.forget_tree(fact)
        room.forget(Stage.BUNDLE)
        assert not held(lab, room.bundle())


NOTES = Promise(
    CHAPTER,
    "Damaged notes of earlier runs cost time, and change nothing",
    f"every file in last/ that a run reads ({WAYS})",
    "notes have no seal: the sample's model gets another key",
)


def notes_read(room: Room) -> list[str]:
    """Those that a run with nothing to do reads, and nothing else any more."""
    for path in room.cache.last.iterdir():
        path.unlink()
    collect(room.settings, Stage.BUNDLE)
    store.remember(room.cache, target_name(room.settings), room.actions)
    return below(room, room.cache.last)


def keys(room: Room) -> list[str]:
    return [action.key for action in collect(room.settings, Stage.BUNDLE).plan(Stage.BUNDLE)]


@promised(NOTES)
def test_damaged_notes_of_earlier_runs_change_nothing(lab: CacheLab, trial: Trial) -> None:
    with lab.room() as room:
        names = notes_read(room)
    for case in trial.cases(drawn(trial, names, each=len(DAMAGES)), short=3):
        with lab.room() as room:
            notes_read(room)
            case.strike(room, trial.random(case), names)
            assert keys(room) == [action.key for action in lab.actions], case
            assert room.bundle().digest == lab.golden, case


@promised(NOTES, control=True)
def test_without_seals_a_damaged_note_is_believed(
    lab: CacheLab, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_seal", lambda *_: "seal")
    with lab.room() as room:
        one, other = [room.cache.root / name for name in notes_read(room) if "digest-" in name][:2]
        swap(one, other, trial.random())
        assert keys(room) != [action.key for action in lab.actions]


LOCKS = Promise(
    CHAPTER,
    "What a killed run left behind holds up nobody",
    "its locks, its staging folder and its unfinished download are there, its process is not",
    "a lock that is there counts as held: the run ends as busy",
)


def leave_behind(room: Room) -> None:
    """What kill -9 leaves in the middle of a run."""
    room.cache.lock.write_text("4194303\n")
    (room.cache.tmp / "bundle-0-4194303" / "out").mkdir(parents=True)
    (room.cache.tmp / "bundle-0-4194303" / "out" / "half").write_bytes(b"half")
    parts = room.cache.downloads / ".parts"
    parts.mkdir(exist_ok=True)
    for fact in room.sources:
        for ending in ("lock", "part"):
            (parts / f"{(fact.digest or '').removeprefix('sha256:')}.{ending}").write_text("half")


@promised(LOCKS)
def test_what_a_killed_run_left_behind_holds_up_nobody(lab: CacheLab, trial: Trial) -> None:
    for _ in trial.times(long=3, short=1):
        with lab.room() as room:
            leave_behind(room)
            room.forget(Stage.BUNDLE)
            assert room.bundle() == Ending(lab.golden, "", ())
            assert list(room.cache.tmp.iterdir()) == []


@promised(LOCKS, control=True)
def test_a_lock_that_is_held_is_waited_for(lab: CacheLab, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import SoftFileLock

    monkeypatch.setattr("filelock.FileLock", SoftFileLock)  # it is held for as long as its file is there
    monkeypatch.setattr(store.exclusive.__wrapped__, "__defaults__", (0.1,))  # type: ignore[attr-defined]
    with lab.room() as room:
        leave_behind(room)
        room.forget(Stage.BUNDLE)
        assert room.bundle().reason == "busy"


CLOCK = Promise(
    CHAPTER,
    "A clock that went back changes nothing",
    "all files of the cache are from a year ahead, and the bundle is made anew",
    "times are believed: whole artifacts are called damaged",
)
YEAR = 400 * 24 * 3600


def age(room: Room, seconds: int) -> None:
    for path in [path for path in room.cache.root.rglob("*") if path.is_file() and not path.is_symlink()]:
        data, status = path.read_bytes(), path.stat()
        path.unlink()
        path.write_bytes(data)
        path.chmod(status.st_mode & 0o7777)
        os.utime(path, (status.st_atime + seconds, status.st_mtime + seconds))


@promised(CLOCK)
def test_a_clock_that_went_back_changes_nothing(lab: CacheLab, trial: Trial) -> None:
    for seconds in trial.cases((YEAR, -YEAR), short=1):
        with lab.room() as room:
            age(room, seconds)
            room.forget(Stage.BUNDLE)
            assert room.bundle() == Ending(lab.golden, "", ())


@promised(CLOCK, control=True)
def test_times_that_are_believed_make_damage_of_a_clock(lab: CacheLab, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = inventory._changed
    monkeypatch.setattr(
        inventory,
        "_changed",
        lambda path, entry, thorough: (
            "is younger" if path.stat().st_mtime_ns != entry.get("time") else changed(path, entry, thorough)
        ),
    )
    with lab.room() as room:
        age(room, YEAR)
        assert any(action.run for action in collect(room.settings, Stage.BUNDLE).plan(Stage.BUNDLE))


DISK = Promise(
    CHAPTER,
    "A full disk or a read-only folder is one error that says so, nothing half is left, and the next run goes on",
    "a tmpfs with so much room that it is full at one point or another of: unpacking, prefix, model, bundle, output; "
    "each folder of the cache and the output folder read-only",
    "files are written under their last names: half an archive is left in the output folder",
)
FOLDERS = ("cache", *(f"cache/{name}" for name in ("tmp", "trees", "artifacts", "last", "downloads")), "dist")
SAID = ("no-space", "bundle-write", "cache-unwritable", "file-access")
NEEDED = 40_000_000
"""Bytes that such a run writes, and a little more."""


@promised(DISK)
def test_a_full_or_read_only_disk_is_one_error_and_leaves_nothing(lab: CacheLab, trial: Trial) -> None:
    rng = trial.random("spare")
    spare = [0, *(rng.randrange(NEEDED) for _ in range(100 if trial.long else 2))]
    request = {
        "spare": spare,
        "publish": [rng.randrange(4_000_000) for _ in range(8 if trial.long else 1)],
        "read_only": FOLDERS if trial.long else rng.sample(FOLDERS, 2),
    }
    found = lab.on_small_disks(request)
    assert len(found) == sum(len(cases) for cases in request.values())
    for one in trial.ran(found):
        assert one["left"] == [], one
        assert one["again"] == lab.golden, one
        assert one["digest"] == lab.golden or (one["digest"], one["reason"] in SAID) == (None, True), one


@promised(DISK, control=True)
def test_without_temporary_names_half_an_archive_is_left(lab: CacheLab) -> None:
    [found] = lab.on_small_disks({"publish": [1_000_000], "in_place": True})
    assert found["left"] and "dist" in json.dumps(found["left"])
