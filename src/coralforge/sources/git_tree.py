"""The identity of a folder as git sees it (``git rev-parse HEAD^{tree}`` of a clean checkout), without git."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from coralforge.errors import user_error

_CHUNK = 1 << 20


def git_tree_id(folder: Path) -> str:
    """The git tree object id (SHA-1, hex) of the working files in ``folder``.

    Counts file contents, names, the owner's execute bit and symbolic links. ``.git``, empty folders and special
    files are left out, as git does; files that .gitignore names are counted, so a checkout that was built in has
    another id. Line-end conversion and submodules are not handled: such a folder is just not the pinned one.

    Raises:
        CoralforgeError: reason ``source-folder`` (exit code 2) when it is no folder or cannot be read.
    """
    try:
        return _tree(os.fspath(folder)).hex()
    except OSError as error:
        raise user_error(
            f"{error.filename or folder} cannot be read: {error.strerror}",
            reason="source-folder",
            remedy="give --source NAME=DIR a folder that holds the source and that you can read",
        ) from error


def _tree(folder: str) -> bytes:
    """The binary id of one folder; the recursion is as deep as the folders are."""
    entries: list[tuple[bytes, bytes]] = []
    with os.scandir(folder) as found:
        for entry in found:
            name = os.fsencode(entry.name)
            if name == b".git":
                continue
            if entry.is_symlink():
                target = os.fsencode(Path(entry.path).readlink())
                line = b"120000 " + name + b"\0" + _object(b"blob", target)
            elif entry.is_dir(follow_symlinks=False):
                below = _tree(entry.path)
                if below == _EMPTY:
                    continue
                # git sorts folders as if their names ended in a slash.
                entries.append((name + b"/", b"40000 " + name + b"\0" + below))
                continue
            elif entry.is_file(follow_symlinks=False):
                line = _file(entry, name)
            else:
                continue
            entries.append((name, line))
    return _object(b"tree", b"".join(line for _, line in sorted(entries)))


def _file(entry: os.DirEntry[str], name: bytes) -> bytes:
    status = entry.stat(follow_symlinks=False)
    mode = b"100755 " if status.st_mode & 0o100 else b"100644 "
    digest = hashlib.sha1(b"blob %d\0" % status.st_size, usedforsecurity=False)
    with open(entry.path, "rb", buffering=0) as stream:  # noqa: PTH123 - 30,000 files: Path objects cost a third
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return mode + name + b"\0" + digest.digest()


def _object(kind: bytes, body: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(body) + body, usedforsecurity=False).digest()


_EMPTY = _object(b"tree", b"")
