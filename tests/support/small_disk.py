"""Runs `invoke bundle`'s engine on a small or read-only file system, in a mount namespace of its own.

    unshare --mount [--map-root-user] python -m tests.support.small_disk REQUEST.json

The request names the folder to mount over and what to try; the answer is one JSON object a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coralforge.config.arch import Arch
from coralforge.pipeline import formats
from coralforge.plan import Stage
from coralforge.settings import Options, Project, resolve
from coralforge.util.fingerprint import of_file
from tests.conftest import ROOT
from tests.support.cache_lab import CacheLab, Room

PLENTY = 1 << 30


@dataclass(frozen=True)
class Found:
    """One disk: how a run on it ended, and the next one when there was room again."""

    case: str
    digest: str | None
    reason: str
    left: list[str]
    """Files that an interrupted run is not allowed to leave."""
    again: str | None


def try_all(request: dict[str, Any]) -> Iterator[Found]:
    """Each size (spare bytes) and each read-only folder of the request, one after the other."""
    options = Options(arch=Arch.AARCH64.value, variants=("simulated",))
    mount = Path(request["mount"])
    lab = CacheLab.of(resolve(Project(ROOT), options), request["golden"], mount)
    for spare in request.get("spare", ()):
        yield _full(lab, mount, spare)
    if request.get("in_place"):
        vars(formats)["replacing"] = _in_place
    for spare in request.get("publish", ()):
        yield _full_output(lab, mount, spare)
    for folder in request.get("read_only", ()):
        yield _read_only(lab, mount, folder)


def _full(lab: CacheLab, mount: Path, spare: int) -> Found:
    with _tmpfs(mount), lab.room() as room:
        _prepare(room)
        used = _used(mount)
        _resize(mount, used + spare)
        ending = room.bundle()
        left = _left(room)
        _resize(mount, PLENTY)
        return Found(f"{spare} bytes", ending.digest, ending.reason, left, room.bundle().digest)


def _full_output(lab: CacheLab, mount: Path, spare: int) -> Found:
    """Everything is made; only what users get has no room."""
    with _tmpfs(mount), lab.room() as room:
        _resize(mount, _used(mount) + spare)
        ending = room.bundle()
        left = _left(room)
        _resize(mount, PLENTY)
        return Found(f"{spare} bytes for the output", ending.digest, ending.reason, left, room.bundle().digest)


@contextmanager
def _in_place(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Without the protection: what is half written has its last name already."""
    yield paths


def _read_only(lab: CacheLab, mount: Path, folder: str) -> Found:
    with _tmpfs(mount), lab.room() as room:
        _prepare(room)
        place = (room.cache.root.parent / folder).resolve()
        place.mkdir(exist_ok=True)
        _mount("--bind", str(place), str(place))
        _mount("-o", "remount,ro,bind", str(place))
        try:
            ending = room.bundle()
            left = _left(room)
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
        return Found(f"read-only {folder}", ending.digest, ending.reason, left, room.bundle().digest)


def _prepare(room: Room) -> None:
    """The run has to unpack a tree, and to make prefix and bundle."""
    [fact] = (fact for fact in room.sources if fact.name == "fft2d")
    room.forget_tree(fact)
    room.forget(Stage.PREFIX, Stage.MODEL, Stage.BUNDLE)


def _left(room: Room) -> list[str]:
    """Staging folders, temporary files, and archives that are not what the file beside them says."""
    staged = list(room.cache.tmp.iterdir()) if room.cache.tmp.is_dir() else []
    output = room.settings.output
    wrong = [path for path in output.glob("*.tar.gz") if not _matches(path)]
    return [str(path) for path in (*staged, *output.glob(".*"), *wrong)]


def _matches(archive: Path) -> bool:
    digests = archive.with_name(f"{archive.name}.sha256")
    return digests.is_file() and digests.read_text().startswith(of_file(archive))


@contextmanager
def _tmpfs(mount: Path) -> Iterator[None]:
    _mount("-t", "tmpfs", "-o", f"size={PLENTY}", "none", str(mount))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def _resize(mount: Path, size: int) -> None:
    _mount("-o", f"remount,size={size}", str(mount))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _used(mount: Path) -> int:
    status = os.statvfs(mount)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


if __name__ == "__main__":
    for found in try_all(json.loads(Path(sys.argv[1]).read_text())):
        print(json.dumps(asdict(found)), flush=True)
