"""Packs a folder into a tar.gz that has the same bytes whoever packs it, where and when."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path
from typing import IO

from coralforge.errors import build_error, missing_error
from coralforge.util.atomic import replacing
from coralforge.util.fingerprint import of_file

# 1980-01-01 00:00 UTC: the oldest time that every tool takes (zip begins there), and no statement about a build.
MTIME = 315532800
_LEVEL = 6


def pack(folder: Path, archive: Path) -> str:
    """Write ``archive`` (tar.gz, one top folder named as ``folder``) and ``archive``.sha256; returns the digest.

    Entries are sorted by bytes, owned by root, 0755 or 0644, all of one time. Both files appear complete or not at
    all; what stood there before is replaced.

    Raises:
        CoralforgeError: ``bundle-write`` (exit code 3: no space, no permission) or ``bundle-name`` (exit code 5).
    """
    digest_file = archive.with_name(archive.name + ".sha256")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with replacing(archive, digest_file) as (packed, text):
            with packed.open("wb") as stream:
                _write(folder, stream)
            digest = of_file(packed)
            text.write_text(f"{digest}  {archive.name}\n", encoding="utf-8")
            digest_file.unlink(missing_ok=True)  # a crash leaves an archive without a digest, never with another's
    except OSError as error:
        raise missing_error(
            f"{archive} cannot be written: {error.strerror or error}",
            reason="bundle-write",
            remedy="make room or choose another `output` in pipeline.yaml",
        ) from error
    return digest


def _write(folder: Path, stream: IO[bytes]) -> None:
    # No name and no time in gzip's header. ustar, not pax: busybox's tar on small boards knows no pax paths.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in [folder, *sorted(folder.rglob("*"), key=lambda path: os.fsencode(path.relative_to(folder)))]:
            name = folder.name if path == folder else f"{folder.name}/{path.relative_to(folder).as_posix()}"
            try:
                _add(tar, path, name)
            except ValueError as error:
                raise build_error(
                    f"{name} does not fit into a tar archive: {error}",
                    reason="bundle-name",
                    remedy="shorten the path",
                ) from error


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.uname, entry.gname = MTIME, "root", "root"
    if path.is_symlink():
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(entry)
    elif path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    else:
        status = path.stat()
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        with path.open("rb") as stream:
            tar.addfile(entry, stream)
