"""Files that appear whole or not at all, also after Ctrl-C, a full disk or a power cut.

Each is written under a temporary name beside its own, flushed to the disk and renamed.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from coralforge.util.scratch import MARK, alone, hold, remove_anyway, remove_leftovers
from coralforge.util.signals import stop_held_back

_MODE = 0o644
_KERNELS = ("/dev", "/proc")
_NAME = 50  # characters of a file's name in that of its temporary file; at 4 bytes each it must not become too long


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Give a temporary file (mode 0644) for each of ``paths``; at the end they take their places, in that order.

    After an error in the block, or if one of them cannot be flushed, every path is as it was.

    Raises:
        OSError: its ``filename`` is the path, of those given, that cannot be written. Its folder must exist.
    """
    with ExitStack() as stack:
        temporaries = []
        for path in paths:
            require_file(path)
            with _blaming(path), stop_held_back():
                temporary, number = _temporary(path)
                temporaries.append(temporary)
                stack.callback(os.close, number)
                stack.callback(remove_anyway, temporary)
                os.fchmod(number, _MODE)
        yield tuple(temporaries)
        for path, temporary in zip(paths, temporaries, strict=True):
            with _blaming(path), temporary.open("rb") as stream:
                os.fsync(stream.fileno())
        for path, temporary in zip(paths, temporaries, strict=True):
            with _blaming(path):
                temporary.replace(path)


def write(path: Path, data: bytes) -> None:
    """Make ``data`` the content of a file. Raises as :func:`write_all`."""
    write_all({path: data})


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write several files; none takes its place before all of them are on the disk. Raises as :func:`replacing`."""
    with replacing(*files) as temporaries:
        for temporary, (path, data) in zip(temporaries, files.items(), strict=True):
            with _blaming(path):
                temporary.write_bytes(data)


def require_place(path: Path) -> None:
    """Refuse at once what would only be refused when the file is written, after minutes of work.

    Raises:
        OSError: its ``filename`` is the path: it is a folder, a device or a pipe, or its folder takes no files.
    """
    require_file(path)
    with _blaming(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "its folder cannot be written to")


def require_file(path: Path) -> None:
    """Refuse to put a file in the place of a device, a pipe or a socket: who may do that (root) never means it.

    Nor does who gives "-", as other programs take it for stdout.

    /dev/stdout may be a regular file; its place is the kernel's all the same.
    """
    if path.name == "-":
        raise FileExistsError(errno.EINVAL, "nothing is written to stdout, and no file has that name", str(path))
    folder = os.path.realpath(path.parent)  # of a loop of links, too
    if folder in _KERNELS or folder.startswith("/proc/"):
        raise FileExistsError(errno.EEXIST, "it is the kernel's, and no place for files", str(path))
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing is there, or what is wrong is said when it is written
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FileExistsError(errno.EEXIST, "it is a device, a pipe or a socket, and no file", str(path))


def _temporary(path: Path) -> tuple[Path, int]:
    """A file to write what ``path`` is to be into, and its number, which holds it. Those that killed runs left go."""
    prefix = f".{path.name[:_NAME]}{MARK}"
    with alone(path.parent):
        remove_leftovers(path.parent, lambda name: name.startswith(prefix))
        number, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
        return Path(name), hold(number)


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Errors name the file that is wanted, not the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
