"""Hostile archives: whatever is in one, nothing outside of the folder it is unpacked into changes."""

from __future__ import annotations

import itertools
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.errors import CoralforgeError, ExitCode
from tests.support.hostile_archives import (
    HOSTILE,
    PACKERS,
    STRANGE,
    VALID,
    Room,
    below_top,
    entry,
    file,
    resum,
    tar,
)
from tests.support.promises import Promise, Trial, promised

CHAPTER = "Hostile archives"
FORMS = {"pax": tarfile.PAX_FORMAT, "GNU": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}
REASONS = ("archive-unsafe", "archive-layout", "archive-corrupt", "archive-too-big", "archive-unknown")


@dataclass(frozen=True)
class Case:
    """One hostile idea, in one form of tar, packed in one way."""

    idea: str
    form: str
    packer: str
    strip: int

    def archive(self) -> bytes | None:
        """None where this form of tar cannot say it."""
        members = [file("ok"), *(HOSTILE | STRANGE)[self.idea]]
        if self.form != "pax" and any(info.pax_headers for info, _ in members):
            return None
        try:
            made = tar(*(below_top(members) if self.strip else members), form=FORMS[self.form])
        except (ValueError, UnicodeError):
            return None
        return PACKERS[self.packer](made)


def cases() -> list[Case]:
    product = itertools.product((*HOSTILE, *STRANGE), FORMS, PACKERS, (0, 1))
    return [case for case in itertools.starmap(Case, product) if case.packer == "tar" and case.archive()] + [
        case
        for case in itertools.starmap(Case, itertools.product((*HOSTILE, *STRANGE), ["pax"], PACKERS, (0, 1)))
        if case.packer != "tar"
    ]


def try_unpacking(room: Room, data: bytes, strip: int) -> str:
    """Unpack it, and look at what is inside and outside; returns the error's reason, or an empty text."""
    try:
        room.unpack(data, strip)
    except CoralforgeError as error:
        reason = error.reason
        assert error.code is ExitCode.SOURCE
        assert reason in REASONS
        assert "it.tar" in error.brief
        assert not room.into.exists()
    else:
        reason = ""
        room.check_inside()
    room.check_outside()
    return reason


INSIDE = Promise(
    CHAPTER,
    "Nothing outside of the target changes; what is refused leaves nothing",
    f"{len(HOSTILE)} ideas that are refused (.., absolute, through links, links to links, devices, NUL, ...) and "
    f"{len(STRANGE)} that may be taken (case clash, setuid, ...), as {', '.join(FORMS)} tar in {', '.join(PACKERS)}",
    "Python's tarfile without a filter unpacks it: a file beside the target is overwritten",
)


@promised(INSIDE)
def test_nothing_outside_of_the_target_changes(tmp_path: Path, trial: Trial) -> None:
    for number, case in enumerate(trial.cases(cases(), short=150)):
        data = case.archive()
        assert data is not None
        reason = try_unpacking(Room.new(tmp_path / str(number)), data, case.strip)
        assert bool(reason) or case.idea in STRANGE, case


@promised(INSIDE, control=True)
@pytest.mark.parametrize("idea", ["parent", "write through a link to outside", "parent by pax", "hard link out"])
def test_another_unpacker_writes_outside(tmp_path: Path, idea: str) -> None:
    room = Room.new(tmp_path / "room")
    archive = room.path / "it.tar"
    archive.write_bytes(tar(*HOSTILE[idea], *([file("h", b"pwned")] if idea == "hard link out" else [])))
    room.into.mkdir()
    with tarfile.open(archive) as unsafe:
        unsafe.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # none before Python 3.11.4
        unsafe.extractall(room.into)
    with pytest.raises(AssertionError):
        room.check_outside()
        room.check_inside()


MUTATED = Promise(
    CHAPTER,
    "A mutated archive is refused or stays inside",
    "a whole archive with 1 to 6 random bytes changed, its headers' checksums made to fit; random entries, links and "
    "names; and cut at random places",
    "links are not followed before they are made: one leads outside",
)


def mutated(trial: Trial, number: int) -> bytes:
    rng = trial.random("mutated", number)
    raw = bytearray(VALID)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(raw))
        raw[at] = rng.randrange(256)
        block = at // 512 * 512
        raw[block : block + 512] = resum(bytes(raw[block : block + 512]))
    return bytes(raw[: rng.randrange(len(raw))] if rng.random() < 0.2 else raw)


def combined(trial: Trial, number: int) -> bytes:
    rng = trial.random("combined", number)
    kinds = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]

    def path() -> str:
        return "/".join(rng.choice(["a", "b", "c", "..", ".", ""]) for _ in range(rng.randint(1, 5)))

    return tar(file("first"), *(entry(path(), rng.choice(kinds), path()) for _ in range(rng.randint(1, 8))))


@promised(MUTATED)
def test_a_mutated_archive_is_refused_or_stays_inside(tmp_path: Path, trial: Trial) -> None:
    for number in trial.times(long=5000, short=200):
        make = (mutated, combined)[number % 2]
        data = make(trial, number)
        try_unpacking(Room.new(tmp_path / str(number)), data, trial.random(number).randint(0, 1))


@promised(MUTATED, control=True)
def test_links_that_nobody_follows_lead_outside(
    tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coralforge.sources.unpack._follow", lambda *_: None)
    with pytest.raises(AssertionError):
        for number in range(2000):
            try_unpacking(Room.new(tmp_path / str(number)), combined(trial, number), 0)


BOMB = Promise(
    CHAPTER,
    "A bomb is refused, and the disk stays empty",
    "100 MB of zeros in the fewest bytes, as one file, and behind the end of the archive",
    "no ratio is asked for: all of it is written",
)


def bomb(packer: str, place: str) -> bytes:
    zeros = b"\0" * 100_000_000
    whole = tar(file("ok"), file("zeros", zeros)) if place == "file" else tar(file("ok")) + zeros
    return PACKERS[packer](whole)


@promised(BOMB)
def test_a_bomb_is_refused(tmp_path: Path, trial: Trial) -> None:
    kinds = [(packer, place) for packer in PACKERS if packer != "tar" for place in ("file", "behind")]
    for number, (packer, place) in enumerate(trial.cases(kinds, short=1)):
        room = Room.new(tmp_path / str(number))
        assert try_unpacking(room, bomb(packer, place), 0) == "archive-too-big"


@promised(BOMB, control=True)
def test_without_a_ratio_a_bomb_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coralforge.sources.unpack.MAX_RATIO", 1 << 30)
    room = Room.new(tmp_path / "room")
    assert try_unpacking(room, bomb("zst", "file"), 0) == ""
    assert (room.into / "zeros").stat().st_size == 100_000_000
