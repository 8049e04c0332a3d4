"""Unpacks an archive so that nothing in it can reach outside of the folder it is unpacked into.

How: folders and files are made first, each with O_EXCL below folders that this run made itself; symbolic links are
made only when everything else is there, and only if no chain of links leads outside. So nothing is ever written
through a link. What is refused, not mended: absolute paths and links, ``..``, devices, pipes, sparse files, an entry
twice, an entry below a file. What is normalized: modes (0644, 0755), so setuid bits are gone; owners and times are
ignored.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from coralforge.errors import CoralforgeError, missing_error, source_error
from coralforge.sources.tarball import BadArchive, Entry, Limited, entries, open_archive, padding

MAX_ENTRIES: Final = 500_000
MAX_BYTES: Final = 8 << 30
MAX_RATIO: Final = 200
_MAX_LINKS: Final = 40
_MAX_DEPTH: Final = 128
_CHUNK: Final = 1 << 20
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[str, ...]


@dataclass
class _Target:
    """The folder that is being filled and what was put there so far (paths relative to it)."""

    root: str
    strip: int
    top: Parts | None = None
    folders: set[Parts] = field(default_factory=lambda: {()})
    files: set[Parts] = field(default_factory=set)
    links: dict[Parts, str] = field(default_factory=dict)

    def path(self, parts: Parts) -> str:
        return "/".join((self.root, *parts))


def unpack(archive: Path, destination: Path, strip: int) -> None:
    """Unpack a .tar(.gz, .bz2, .xz, .zst) or .deb into ``destination``, which appears with one rename or not at all.

    Args:
        archive: the file; its kind is told by its content, not by its name.
        destination: must not exist, its parent must.
        strip: leading path components to remove. They must be the same for all entries (one top folder).

    Raises:
        CoralforgeError: ``archive-unknown``, ``archive-corrupt`` (damaged or truncated), ``archive-unsafe``,
            ``archive-too-big`` or ``archive-layout`` (``strip`` does not fit), exit code 4; ``no-space``, code 3.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        _unpack_into(archive, work, strip)
        work.chmod(0o755)
        work.rename(destination)
    except BadArchive as error:
        raise source_error(
            f"{archive.name} {error.text}",
            reason=error.reason,
            details=f"archive: {archive}",
            remedy="the file has the pinned digest, so the pin or 'strip' in releases/*.yaml is at fault"
            if error.reason == "archive-layout"
            else "remove the file to have it fetched again; if it comes back the same, the pin is at fault",
        ) from error
    except OSError as error:
        raise _disk_error(error, archive, destination) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _disk_error(error: OSError, archive: Path, destination: Path) -> CoralforgeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return missing_error(
            f"no space left to unpack {archive.name} into {destination.parent}",
            reason="no-space",
            details=str(error),
            remedy="free some space, or choose another folder with CORALFORGE_CACHE or 'cache' in pipeline.yaml",
        )
    return source_error(
        f"{archive.name} cannot be unpacked into {destination}: {error.strerror}",
        reason="unpack-failed",
        details=str(error),
        remedy="choose a folder of another file system with CORALFORGE_CACHE or 'cache' in pipeline.yaml",
    )


def _unpack_into(archive: Path, work: Path, strip: int) -> None:
    target = _Target(os.fspath(work), strip)
    with archive.open("rb") as stream:
        tar = open_archive(stream, archive.stat().st_size, MAX_BYTES, MAX_RATIO)
        for count, entry in enumerate(entries(tar), start=1):
            if count > MAX_ENTRIES:
                raise BadArchive(f"has more than {MAX_ENTRIES:,} entries", "archive-too-big")
            _take(target, tar, entry)
        while tar.read(_CHUNK):  # to the end: only then the compression's own checksum was seen
            pass
    if not target.files:
        raise BadArchive("has no files", "archive-layout")
    _make_links(target)


def _take(target: _Target, tar: Limited, entry: Entry) -> None:
    parts = _place(target, entry)
    if entry.kind == "dir":
        _make_folders(target, parts, entry.name)
        return
    if not parts:
        raise BadArchive(f"has {entry.name!r} outside of its top folder", "archive-layout")
    if parts in target.files or parts in target.folders or parts in target.links:
        raise _unsafe(entry.name, "is there twice")
    _make_folders(target, parts[:-1], entry.name)
    if entry.kind == "file":
        _write(target, tar, entry, parts)
    elif entry.kind == "hardlink":
        _link(target, entry, parts)
    else:
        target.links[parts] = entry.link
        _check_lexically(parts, entry)


def _unsafe(name: str, text: str) -> BadArchive:
    return BadArchive(f"has an entry {name!r} that {text}", "archive-unsafe")


def _place(target: _Target, entry: Entry) -> Parts:
    """Where the entry goes, below the target; the stripped components must be the same for all."""
    parts = _split(entry.name, entry.name)
    top, rest = parts[: target.strip], parts[target.strip :]
    if entry.kind == "dir" and len(parts) <= target.strip:
        return ()
    if target.top is None:
        target.top = top
    if top != target.top or (len(parts) <= target.strip):
        expected = "/".join(target.top)
        raise BadArchive(f"has {entry.name!r} outside of its top folder {expected!r}", "archive-layout")
    return rest


def _split(path: str, entry: str) -> Parts:
    if not path or "\0" in path or path.count("/") > _MAX_DEPTH:
        raise _unsafe(entry, "has an impossible name")
    if path.startswith("/"):
        raise _unsafe(entry, "has an absolute path")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise _unsafe(entry, "leads outside (..)")
    return parts


def _make_folders(target: _Target, parts: Parts, name: str) -> None:
    if parts in target.folders:
        return
    if parts in target.files or parts in target.links:
        raise _unsafe(name, "is below a file or link, or replaces one")
    _make_folders(target, parts[:-1], name)
    path = target.path(parts)
    _mkdir(path, name)
    target.folders.add(parts)


def _mkdir(path: str, name: str) -> None:
    try:
        os.mkdir(path)  # noqa: PTH102 - tens of thousands of calls
        os.chmod(path, 0o755)  # noqa: PTH101, S103 - independent of the umask
    except OSError as error:
        raise _named(error, name) from None


def _named(error: OSError, name: str) -> Exception:
    """A name that the file system does not take is the archive's fault; anything else is the disk's."""
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ELOOP, errno.ENOTDIR):
        return _unsafe(name, f"cannot be made here ({error.strerror})")
    return error


def _write(target: _Target, tar: Limited, entry: Entry, parts: Parts) -> None:
    try:
        descriptor = os.open(target.path(parts), _NEW, 0o600)
    except OSError as error:
        raise _named(error, entry.name) from None
    target.files.add(parts)
    what = f"entry {entry.name!r}"
    with open(descriptor, "wb", buffering=0) as out:  # noqa: PTH123 - a descriptor, not a path
        left = entry.size
        while left:
            chunk = memoryview(tar.exactly(min(left, _CHUNK), what))
            left -= len(chunk)
            while chunk:
                chunk = chunk[out.write(chunk) :]
        os.fchmod(descriptor, 0o755 if entry.executable else 0o644)
    tar.exactly(padding(entry.size), what)


def _link(target: _Target, entry: Entry, parts: Parts) -> None:
    """A second name of a file that is already there (and that is no link itself: those are not made yet)."""
    found = _split(entry.link, entry.name)
    inside = found[: target.strip] == target.top
    if not inside or found[target.strip :] not in target.files:
        raise _unsafe(entry.name, f"is a hard link to {entry.link!r}, which is no file unpacked before")
    os.link(target.path(found[target.strip :]), target.path(parts), follow_symlinks=False)
    target.files.add(parts)


def _check_lexically(parts: Parts, entry: Entry) -> None:
    """Refuse link targets that lead outside as they are written."""
    link = entry.link
    if not link or link.startswith("/") or "\0" in link or len(link) > 4095:
        raise _unsafe(entry.name, f"is a symbolic link to {link[:200]!r}, which is not a path inside")
    depth = len(parts) - 1
    for step in link.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(step, 1)
        if depth < 0:
            raise _unsafe(entry.name, f"is a symbolic link to {link!r}, which leads outside")


def _make_links(target: _Target) -> None:
    """Make the symbolic links, after each was followed through all others and stayed inside."""
    for parts, link in target.links.items():
        _follow(target, parts, link)
    for parts, link in target.links.items():
        os.symlink(link, target.path(parts))  # noqa: PTH211 - the path is a string here


def _follow(target: _Target, parts: Parts, link: str) -> None:
    """Resolve as the kernel would: ``..`` after a link goes to the parent of where the link points."""
    here: list[str] = list(parts[:-1])
    todo = link.split("/")[::-1]
    hops = 0
    while todo:
        step = todo.pop()
        if step in ("", "."):
            continue
        if step == "..":
            if not here:
                raise _unsafe("/".join(parts), f"is a symbolic link to {link!r}, which leads outside through others")
            here.pop()
            continue
        here.append(step)
        further = target.links.get(tuple(here))
        if further is not None:
            hops += 1
            if hops > _MAX_LINKS:
                raise _unsafe("/".join(parts), f"is a symbolic link to {link!r}, which leads in a circle")
            here.pop()
            todo += further.split("/")[::-1]
