"""Archives are unpacked whole and inside, or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from coralforge.errors import ExitCode
from coralforge.sources import unpack as module
from tests.support.hostile_archives import (
    PACKERS,
    Member,
    Room,
    entry,
    file,
    folder,
    hardlink,
    package,
    resum,
    symlink,
    tar,
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def listing(root: Path) -> dict[str, str]:
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            body = "" if path.is_dir() else f" {path.read_text(errors='replace')}"
            found[name] = f"{stat.S_IMODE(path.lstat().st_mode):o}{body}"
    return found


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_an_ordinary_archive(room: Room, kind: str, form: int) -> None:
    long = "/".join(["long" * 20] * 2) if form == tarfile.USTAR_FORMAT else "/".join(["long" * 20] * 4)
    data = tar(
        folder("top/"),
        file("top/a", b"alpha", mode=0o640),
        file("top/sub/run", b"run", mode=0o6711),
        file("top/empty", b""),
        file(f"top/{long}", b"l"),
        file("top/ünï/x", b"u"),
        symlink("top/sub/link", "../a"),
        symlink("top/gone", "nowhere"),
        hardlink("top/twin", "top/a"),
        form=form,
    )
    old = os.umask(0o077)
    try:
        found = listing(room.unpack(PACKERS[kind](data), strip=1))
    finally:
        os.umask(old)
    parents = {str(parent): "755" for parent in Path(long).parents if str(parent) != "."}
    assert found == {
        "a": "644 alpha",
        "sub": "755",
        "sub/run": "755 run",
        "empty": "644 ",
        long: "644 l",
        **parents,
        "ünï": "755",
        "ünï/x": "644 u",
        "sub/link": "-> ../a",
        "gone": "-> nowhere",
        "twin": "644 alpha",
    }
    assert stat.S_IMODE(room.into.stat().st_mode) == 0o755
    room.check_outside()


def test_names_that_are_no_utf8_keep_their_bytes(room: Room) -> None:
    info, data = file("x")
    raw = bytearray(tar((info, data), form=tarfile.USTAR_FORMAT))
    raw[0:2] = b"\xff\xfe"
    assert [os.fsencode(path.name) for path in room.unpack(resum(bytes(raw))).iterdir()] == [b"\xff\xfe"]


def test_an_archive_without_a_top_folder_needs_strip_0(room: Room) -> None:
    assert set(listing(room.unpack(tar(file("./a"), file("./b/c")), strip=0))) == {"a", "b", "b/c"}


@pytest.mark.parametrize(
    "members",
    [
        [file("LICENSE"), file("src/a")],
        [file("one/a"), file("two/b")],
        [folder("top/")],
        [symlink("top", "elsewhere")],
    ],
    ids=["file beside the top folder", "two top folders", "nothing in it", "the top is a link"],
)
def test_a_strip_that_does_not_fit_is_refused(room: Room, members: list[Member]) -> None:
    error = room.refuse(tar(*members), strip=1)
    assert (error.reason, error.code) == ("archive-layout", ExitCode.SOURCE)


def test_a_hard_link_to_another_top_folder_is_refused(room: Room) -> None:
    assert room.refuse(tar(file("top/a"), hardlink("top/h", "other/a")), strip=1).reason == "archive-unsafe"


def test_a_folder_as_tar_wrote_it_before_posix(room: Room) -> None:
    raw = tar(entry("old/", tarfile.AREGTYPE), file("old/a"), form=tarfile.USTAR_FORMAT)
    assert listing(room.unpack(raw)) == {"old": "755", "old/a": "644 data"}


def test_an_entry_without_a_name_is_refused(room: Room) -> None:
    assert room.refuse(tar(file("ok"), file(""))).reason == "archive-unsafe"


def test_the_error_names_the_entry(room: Room) -> None:
    error = room.refuse(tar(file("fine"), symlink("sub/evil", "../../canary")))
    assert error.reason == "archive-unsafe"
    assert "'sub/evil'" in error.brief
    assert "'../../canary'" in error.brief


@pytest.mark.parametrize("kind", PACKERS)
def test_a_truncated_archive_is_refused_wherever_it_ends(room: Room, kind: str) -> None:
    whole = PACKERS[kind](tar(*(file(f"f{n}", os.urandom(700 + 97 * n)) for n in range(30))))
    for tenth in range(10):
        error = room.refuse(whole[: len(whole) * tenth // 10])
        assert error.reason in ("archive-corrupt", "archive-unknown")
    assert len(listing(room.unpack(whole))) == 30


def test_a_truncated_archive_names_the_entry_that_is_cut(room: Room) -> None:
    error = room.refuse(tar(file("first", b"1" * 3000), file("second", b"2" * 3000))[:6000])
    assert error.reason == "archive-corrupt"
    assert "truncated" in error.brief
    assert "second" in error.brief


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_flipped_byte_is_seen_by_the_compressions_checksum(room: Room, kind: str) -> None:
    packed = bytearray(PACKERS[kind](tar(file("a", os.urandom(5000)))))
    packed[len(packed) // 2] ^= 0x10
    assert room.refuse(bytes(packed)).reason in ("archive-corrupt", "archive-unsafe", "archive-layout")


def test_a_damaged_deflate_stream_is_refused(room: Room) -> None:
    packed = bytearray(PACKERS["gz"](tar(file("a"))))
    packed[10] = 0xFF  # a block of a type that does not exist
    assert room.refuse(bytes(packed)).reason == "archive-corrupt"


def test_a_damaged_header_in_the_middle_is_not_the_end(room: Room) -> None:
    raw = bytearray(tar(file("a"), file("b"), file("c")))
    raw[1024 + 5] ^= 1
    assert room.refuse(bytes(raw)).reason == "archive-corrupt"


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\3\4" + b"\0" * 600, b"<html>please log in</html>" * 40, b"\x1f\x8b", b"!<arch>\n", b"\0" * 1024],
)
def test_what_is_no_archive_is_refused(room: Room, data: bytes) -> None:
    assert room.refuse(data).reason in ("archive-unknown", "archive-corrupt")


def test_a_package_without_data_is_refused(room: Room) -> None:
    assert room.refuse(package(b"")[: 8 + 60 + 4]).reason == "archive-corrupt"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_a_bomb_is_refused_by_its_ratio(room: Room, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    error = room.refuse(PACKERS[kind](tar(file("zeros", bytes(3 << 20)))))
    assert (error.reason, error.code) == ("archive-too-big", ExitCode.SOURCE)


def test_the_ratio_limit_holds_below_the_size_limit(room: Room) -> None:
    zeros = zstandard.ZstdCompressor().compress(tar(file("zeros", bytes(80 << 20))))
    assert len(zeros) < 20_000
    assert room.refuse(zeros).reason == "archive-too-big"


def test_a_bomb_behind_the_end_of_the_archive_is_refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    assert room.refuse(gzip.compress(tar(file("a")) + bytes(2 << 20), 1)).reason == "archive-too-big"


def test_too_many_entries_are_refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 5)
    assert room.refuse(tar(*(file(f"f{n}") for n in range(6)))).reason == "archive-too-big"


def test_a_huge_extended_header_is_not_read_into_memory(room: Room) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    raw = header.tobuf(tarfile.USTAR_FORMAT)
    assert room.refuse(raw + bytes(4096)).reason == "archive-unsafe"


@pytest.mark.parametrize(
    "record", [b"8 path=a\n", b"999 path=a\n", b"-1 path=a\n", b"x", b"11 nothing\n", b"6 a=b c"]
)
def test_a_damaged_extended_header_is_refused(room: Room, record: bytes) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    raw = header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0") + tar(file("real"))
    assert room.refuse(raw).reason in ("archive-corrupt", "archive-unsafe")


def test_a_full_disk_is_told_apart_from_a_bad_archive(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    error = room.refuse(tar(file("a")))
    assert (error.reason, error.code) == ("no-space", ExitCode.MISSING)


def test_ctrl_c_leaves_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> Iterator[object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "entries", interrupt)
    with pytest.raises(KeyboardInterrupt):
        room.unpack(tar(file("a")))
    room.check_outside()
    assert not room.into.exists()
