"""Options for a build by Bazel that its script does not know: they go into the copy of its workspace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from coralforge.containers.spec import ContainerSpec


def place(spec: ContainerSpec, target: str) -> Path:
    """The folder of this machine that is ``target`` in the container of ``pipeline.build.run_bazel``."""
    return next(mount.source for mount in spec.mounts if mount.target == target)


def add_options(spec: ContainerSpec, options: Iterable[str]) -> None:
    """Have all builds in the container take ``options``, each one word."""
    with (place(spec, "/workspace") / ".bazelrc").open("a", encoding="utf-8") as stream:
        stream.writelines(f"build {option}\n" for option in options)
