"""Archives made entry by entry, honest ones and hostile ones, and a place in which they are unpacked."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from coralforge.errors import CoralforgeError
from coralforge.sources.unpack import unpack

Member = tuple[tarfile.TarInfo, bytes]
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


def file(name: str, data: bytes = b"data", **fields: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def entry(name: str, kind: bytes, link: str = "", **fields: Any) -> Member:
    return file(name, b"", type=kind, linkname=link, **fields)


def folder(name: str, mode: int = 0o700) -> Member:
    return entry(name, tarfile.DIRTYPE, mode=mode)


def pax(name: str, kind: bytes = tarfile.REGTYPE, **headers: str) -> Member:
    """An entry of which an extended header says something else."""
    return file(name, b"data" if kind == tarfile.REGTYPE else b"", type=kind, pax_headers=headers)


def symlink(name: str, target: str) -> Member:
    return entry(name, tarfile.SYMTYPE, target)


def hardlink(name: str, target: str) -> Member:
    return entry(name, tarfile.LNKTYPE, target)


def below_top(members: Sequence[Member]) -> list[Member]:
    """The same in one top folder, as archives of sources are."""
    moved = []
    for info, data in members:
        inner = copy.copy(info)
        inner.name = info.name if info.name.startswith("/") else f"top/{info.name}"
        if info.type == tarfile.LNKTYPE and not info.linkname.startswith("/"):
            inner.linkname = f"top/{info.linkname}"
        moved.append((inner, data))
    return moved


def tar(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
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

    @classmethod
    def new(cls, path: Path) -> Room:
        """In a folder that is made for it."""
        path.mkdir()
        return cls(path)

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


def nested() -> list[Member]:
    """CVE-2025-4517: folders and links so deep that a path resolver gives up and believes the rest."""
    members, path, steps = [], "", "abcdefghijklmnop"
    for step in steps:
        members += [folder(f"{path}{'d' * 247}"), symlink(f"{path}{step}", "d" * 247)]
        path += "d" * 247 + "/"
    deep = "/".join(steps) + "/" + "l" * 254
    members += [symlink(deep, "../" * len(steps)), symlink("escape", f"{deep}/../../../../../../../tmp")]
    return [*members, hardlink("flag", "escape/passwd"), file("flag", b"pwned")]


OUT = "../canary"
HOSTILE: dict[str, list[Member]] = {
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
    "contiguous file outside": [entry("../c", tarfile.CONTTYPE)],
    "parent by pax": [pax("a", path="../canary")],
    "absolute by pax": [pax("a", path="/tmp/coralforge-canary")],
    "link by pax": [pax("l", tarfile.SYMTYPE, linkpath="../../canary")],
    "hard link by pax": [pax("h", tarfile.LNKTYPE, linkpath="../canary")],
    "NUL in a name": [pax("a", path="ok\0/../../canary")],
    "NUL in a link": [pax("l", tarfile.SYMTYPE, linkpath="x\0y")],
    "nothing for a name": [pax("a", path="")],
    "a size that is none": [pax("a", size="-1")],
    "more than there is": [pax("a", size=str(1 << 60))],
    "sparse by pax": [file("a", pax_headers={"GNU.sparse.major": "1"})],
}
"""Nothing of these is taken."""
STRANGE: dict[str, list[Member]] = {
    "names that differ in case": [file("Readme"), file("README"), file("readMe/x")],
    "setuid and setgid": [file("su", mode=0o6755), folder("d/", mode=0o7777), file("sticky", mode=0o1777)],
    "backslashes": [file("..\\canary"), file("C:\\canary")],
    "dots that are none": [file("\uff0e\uff0e/canary"), file("..."), file("..\u200b/x")],
    "newlines and escapes": [file("a\nb"), file("\x1b[2Jx"), file("\u202ecanary")],
    "no UTF-8": [file("\udcff\udcfe")],
    "leading dashes": [file("-rf"), file("--help")],
    "owned by another": [file("mine", uid=12345, gid=54321, uname="root", gname="root")],
    "as old as can be": [file("old", mtime=-(1 << 33)), file("new", mtime=1 << 40)],
    "empty folders": [folder("e/"), folder("e/f/"), file("x")],
    "links inside": [file("f"), symlink("l", "f"), hardlink("h", "f"), symlink("d/u", "../f"), symlink("gone", "no")],
}
"""These may be taken, if all of it stays inside."""


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
