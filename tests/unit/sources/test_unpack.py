"""Archives are unpacked whole and inside, or not at all."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.sources import unpack as module
from coralforge.sources.unpack import unpack

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gz": lambda data: gzip.compress(data, 1),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    "deb": lambda data: package(gzip.compress(data, 1)),
}


def package(data: bytes) -> bytes:
    """A Debian package: an ar archive whose members begin on even bytes."""
    members = {"debian-binary": b"2.0\n", "control.tar.gz": b"odd", "data.tar.gz": data}
    packed = b"!<arch>\n"
    for name, body in members.items():
        packed += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(body))
        packed += body + b"\n" * (len(body) % 2)
    return packed


def file(name: str, data: bytes = b"data", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def entry(name: str, kind: bytes, link: str = "", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, b"", type=kind, linkname=link, **fields)


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.DIRTYPE, mode=0o700)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.SYMTYPE, target)


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.LNKTYPE, target)


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Room:
    """A place to unpack in, with something beside it that must stay as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.into = path / "in" / "tree"
        self.canary = path / "canary"
        self.into.parent.mkdir()
        self.canary.write_text("untouched")
        (path / "in" / "canary").write_text("untouched")

    def unpack(self, data: bytes, strip: int = 0, name: str = "it.tar") -> Path:
        archive = self.path / name
        archive.write_bytes(data)
        unpack(archive, self.into, strip)
        return self.into

    def refuse(self, data: bytes, strip: int = 0) -> CoralforgeError:
        with pytest.raises(CoralforgeError) as caught:
            self.unpack(data, strip)
        self.check_outside()
        assert not self.into.exists()
        return caught.value

    def check_outside(self) -> None:
        """Nothing outside of the tree was made, changed or left over."""
        assert self.canary.read_text() == (self.path / "in" / "canary").read_text() == "untouched"
        assert {path.name for path in self.path.iterdir()} <= {"in", "canary", "it.tar"}
        assert {path.name for path in self.into.parent.iterdir()} <= {"tree", "canary"}

    def check_inside(self) -> None:
        """Every link of the tree that leads somewhere leads into it, and everything is of an ordinary kind."""
        root = os.path.realpath(self.into)
        for base, folders, files in os.walk(self.into):
            for name in folders + files:
                path = Path(base, name)
                mode = path.lstat().st_mode
                assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
                assert mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX) == 0
                assert f"{os.path.realpath(path)}/".startswith(f"{root}/")


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
def test_a_strip_that_does_not_fit_is_refused(room: Room, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    error = room.refuse(tar(*members), strip=1)
    assert (error.reason, error.code) == ("archive-layout", ExitCode.SOURCE)


def nested() -> list[tuple[tarfile.TarInfo, bytes]]:
    """CVE-2025-4517: folders and links so deep that a path resolver gives up and believes the rest."""
    members, path, steps = [], "", "abcdefghijklmnop"
    for step in steps:
        members += [folder(f"{path}{'d' * 247}"), symlink(f"{path}{step}", "d" * 247)]
        path += "d" * 247 + "/"
    deep = "/".join(steps) + "/" + "l" * 254
    members += [symlink(deep, "../" * len(steps)), symlink("escape", f"{deep}/../../../../../../../tmp")]
    return [*members, hardlink("flag", "escape/passwd"), file("flag", b"pwned")]


OUT = "../canary"
HOSTILE: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "parent": [file(OUT)],
    "parent in the middle": [file("a/../../canary")],
    "parent that would stay inside": [file("a/../b")],
    "absolute": [file("/tmp/coralforge-canary")],
    "parent folder": [folder("../new")],
    "the tree itself": [file(".")],
    "far too deep": [file("a/" * 400 + "b")],
    "far too long": [file("n" * 300)],
    "link up": [symlink("l", "..")],
    "link up from a folder": [symlink("a/l", "../../canary")],
    "link up behind names": [symlink("l", "a/b/../../../canary")],
    "absolute link": [symlink("l", "/etc/passwd")],
    "empty link": [symlink("l", "")],
    "write through a link": [symlink("l", "."), file("l/x")],
    "write through a link to outside": [symlink("l", "../.."), file("l/canary")],
    "folder through a link": [symlink("l", "a"), folder("l/x/")],
    "link replaced by a file": [symlink("l", "a"), file("l")],
    "link replaced by a folder": [symlink("l", "a"), folder("l/"), file("l/x")],
    "folder replaced by a link": [folder("l/"), symlink("l", ".."), file("l/x")],
    "file below a file": [file("f"), file("f/x")],
    "file twice": [file("f"), file("f", b"other")],
    "file twice in other words": [file("a/f"), file("./a//f", b"other")],
    "folder replaced by a file": [file("d/x"), file("d")],
    "chain of links": [
        symlink("a/b/c", "../.."),  # the root itself: fine as it is written
        symlink("out", "a/b/c/../canary"),  # inside as it is written, outside as the kernel goes
    ],
    "chain made after its use": [
        symlink("out", "a/b/../../canary"),
        symlink("a/b", "../c/d/.."),
        symlink("c/d", ".."),
    ],
    "out as it is written, inside as the kernel goes": [
        folder("x/y/z/"),
        symlink("a", "x/y/z"),
        symlink("l", "a/../.."),
    ],
    "circle": [symlink("a", "b"), symlink("b", "a")],
    "link to itself": [symlink("a", "a/x")],
    "hard link out": [hardlink("h", "../canary")],
    "absolute hard link": [hardlink("h", "/etc/passwd")],
    "hard link to nothing": [hardlink("h", "later"), file("later")],
    "hard link to a link": [symlink("l", "f"), file("f"), hardlink("h", "l")],
    "hard link through a link": [symlink("l", "."), file("f"), hardlink("h", "l/f")],
    "hard link to a folder": [folder("d/"), hardlink("h", "d")],
    "deeper relative link by hard link": [
        folder("a/b/c/"),
        symlink("a/b/c/up", "../../../x"),
        hardlink("up", "a/b/c/up"),
        file("up", b"pwned"),
    ],
    "nested like CVE-2025-4517": nested(),
    "character device": [entry("d", tarfile.CHRTYPE)],
    "block device": [entry("d", tarfile.BLKTYPE)],
    "named pipe": [entry("p", tarfile.FIFOTYPE)],
    "sparse file": [entry("s", tarfile.GNUTYPE_SPARSE)],
    "unknown type": [entry("u", b"Z")],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("strip", [0, 1])
def test_a_hostile_archive_is_refused_and_leaves_nothing(room: Room, name: str, strip: int) -> None:
    members = [file("ok"), *HOSTILE[name]]
    if strip:
        for info, _ in members:
            info.name = info.name if info.name.startswith("/") else f"top/{info.name}"
            if info.type == tarfile.LNKTYPE and not info.linkname.startswith("/"):
                info.linkname = f"top/{info.linkname}"
    error = room.refuse(tar(*members), strip)
    for info, _ in members:  # they are shared between tests
        info.name = info.name.removeprefix("top/")
        info.linkname = info.linkname.removeprefix("top/")
    assert error.code == ExitCode.SOURCE
    assert error.reason in ("archive-unsafe", "archive-layout")
    assert "it.tar" in error.brief


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


def resum(block: bytes) -> bytes:
    """The first header of the archive with a checksum that fits."""
    total = sum(block[:148]) + 8 * 32 + sum(block[156:512])
    return block[:148] + b"%06o\0 " % total + block[156:]


VALID = tar(
    file("top/a", b"x" * 600),
    folder("top/d/"),
    symlink("top/d/l", "../a"),
    hardlink("top/h", "top/a"),
    file("top/" + "n" * 120, b"long"),
)


@settings(max_examples=100)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    strip=st.integers(0, 1),
)
def test_a_mutated_archive_is_refused_or_stays_inside(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], strip: int
) -> None:
    raw = bytearray(VALID)
    for at, value in changes:
        raw[at] = value
        block = at // 512 * 512
        raw[block : block + 512] = resum(bytes(raw[block : block + 512]))
    room = Room(tmp_path_factory.mktemp("fuzz"))
    try:
        room.unpack(bytes(raw), strip)
    except CoralforgeError as error:
        assert error.code == ExitCode.SOURCE
        assert not room.into.exists()
    else:
        room.check_inside()
    room.check_outside()


PATHS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=5).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


@settings(max_examples=100)
@given(st.lists(st.tuples(PATHS, KINDS, PATHS), min_size=1, max_size=8))
def test_no_combination_of_links_and_files_gets_outside(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes, str]]
) -> None:
    room = Room(tmp_path_factory.mktemp("links"))
    try:
        room.unpack(tar(file("first"), *(entry(name, kind, link) for name, kind, link in members)))
    except CoralforgeError as error:
        assert error.code == ExitCode.SOURCE
    else:
        room.check_inside()
    room.check_outside()
