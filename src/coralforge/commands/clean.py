"""``invoke clean``: removes what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from coralforge import store
from coralforge.containers.docker import DockerRunner
from coralforge.containers.engine import asking
from coralforge.errors import CoralforgeError
from coralforge.events import Note, Sink
from coralforge.settings import Settings
from coralforge.util.scratch import remove_tree

# The last are temporary files, which a killed run leaves.
PRODUCTS = ("coralforge-*.tar.gz", "coralforge-*.tar.gz.sha256", "coralforge-*.smoke.json", ".coralforge-*")


def clean(settings: Settings, everything: bool, sink: Sink) -> str:
    """Remove what can be made again; returns one line that says how much that was.

    Only files, images and stray containers of coralforge's own names are touched: other files in the output folder
    stay, and so do containers of other runs that still go on.

    Raises:
        CoralforgeError: as ``store.exclusive``.
    """
    cache = settings.cache
    _stop_boards(cache.boards, sink)
    folders = (*cache.remakeable, cache.downloads) if everything else cache.remakeable
    size = 0
    if cache.root.exists():
        with store.exclusive(cache, sink):
            size = sum(_size(folder) for folder in folders)
            for folder in folders:
                remove_tree(folder)
    if everything:
        size += _clean_output(settings.output)
    _clean_docker(everything, sink)
    return f"removed {size / 2**20:.0f} MiB from {cache.root}" + (f" and {settings.output}" if everything else "")


def _clean_output(folder: Path) -> int:
    """Remove bundles and reports, and the folder if that leaves it empty; returns the bytes."""
    size = 0
    for path in [path for pattern in PRODUCTS for path in folder.glob(pattern)]:
        if path.is_symlink() or path.is_file():
            size += path.lstat().st_size
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return size


def _stop_boards(folder: Path, sink: Sink) -> None:
    from coralforge.board.board import stop_all

    if folder.is_dir():
        try:
            count = stop_all(DockerRunner().client, folder)
        except CoralforgeError:
            return  # said below
        if count:
            sink.emit(Note("the emulated boards are stopped"))


def _clean_docker(everything: bool, sink: Sink) -> None:
    from docker.errors import APIError

    try:
        client = DockerRunner().client  # which removes the containers of runs that are gone
    except CoralforgeError:
        sink.emit(Note("Docker does not answer: its containers and images were not looked at"))
        return
    with asking("images were looked for"):
        tags = [tag for image in client.images.list() for tag in image.tags] if everything else []
    for tag in tags:
        if tag.startswith("coralforge-"):
            said = Note(f"removed the image {tag}")
            with asking(f"the image {tag} was removed"):
                try:
                    client.images.remove(tag, force=True)
                except APIError as error:
                    said = Note(f"the image {tag} stays: {error.explanation or error}", "warning")
            sink.emit(said)


def _size(path: Path) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)  # noqa: PTH118 - 100,000 files
    return total
