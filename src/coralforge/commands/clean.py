"""Cleaning up, and a shell in the builder container."""

from __future__ import annotations

import os
from pathlib import Path

from coralforge import store
from coralforge.containers import image as images
from coralforge.containers.docker import LABEL, connect, container_owner
from coralforge.errors import CoralforgeError
from coralforge.events import Note, Sink
from coralforge.pipeline.survey import collect
from coralforge.settings import Settings
from coralforge.sources.trees import tree_folder

REMAKEABLE = ("artifacts", "trees", "bazel", "logs", "tmp", "last")
PRODUCTS = ("coralforge-*.tar.gz", "coralforge-*.tar.gz.sha256", "coralforge-*.smoke.json")


def clean(settings: Settings, everything: bool, sink: Sink) -> str:
    """Remove what can be made again; returns one line that says how much that was.

    Only files and images of coralforge's own names are touched; a folder with other files in it stays.
    """
    root = settings.cache.root
    if not root.exists() and not everything:
        return "nothing to clean"
    names = (*REMAKEABLE, "downloads") if everything else REMAKEABLE
    with store.exclusive(settings.cache, sink):
        size = sum(_size(root / name) for name in names)
        for name in names:
            store.remove_tree(root / name)
    if everything:
        for pattern in PRODUCTS:
            for path in settings.output.glob(pattern):
                size += path.stat().st_size
                path.unlink()
    _clean_docker(everything, sink)
    return f"removed {size / 2**20:.0f} MiB from {root}" + (f" and {settings.output}" if everything else "")


def _clean_docker(everything: bool, sink: Sink) -> None:
    try:
        client = connect()
    except CoralforgeError:
        sink.emit(Note("Docker does not answer: its containers and images were not looked at"))
        return
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        if container.name.startswith("coralforge-"):
            container.remove(force=True)
    if everything:
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith("coralforge-"):
                    client.images.remove(tag, force=True)
                    sink.emit(Note(f"removed the image {tag}"))


def _size(path: Path) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)  # noqa: PTH118 - 100,000 files
    return total


def shell_command(settings: Settings) -> list[str]:
    """``docker run`` as the libraries are built, but interactive: same user, mounts and limits."""
    builder = images.builder(settings.project.docker, settings.platform)
    uid, gid = container_owner()
    command = [
        "docker",
        "run",
        "--rm",
        "-it",
        "--init",
        "--network=none",
        f"--user={uid}:{gid}",
        f"--label={LABEL}=1",
    ]
    command += ["--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    for fact in collect(settings).facts.sources:
        if fact.digest and fact.unpacked:
            folder = tree_folder(settings.cache, fact.name, fact.digest)
            command.append(f"--volume={folder}:/sources/{fact.name}:ro")
    cache = settings.cache.bazel / builder.key[:16]
    if cache.is_dir():
        command += [f"--volume={cache}:/cache", "--env=HOME=/cache/home"]
    command += [
        f"--volume={settings.project.bazel}:/workspace:ro",
        f"--volume={settings.project.scripts}:/scripts:ro",
    ]
    return [*command, "--workdir=/tmp", builder.tag, "bash"]
