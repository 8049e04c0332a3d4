"""Bazel's disk cache: results of earlier builds, by what they were made from, beside the state of the last one.

It is of builds on this machine alone. Bazel checks each file's digest as it takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge.containers.folders import writable_folder
from coralforge.containers.spec import ContainerSpec, Finished, Mount, Runner
from coralforge.pipeline.bazel_options import add_options
from coralforge.pipeline.build import BuildEnvironment

TARGET = "/results"


@contextmanager
def with_disk_cache(environment: BuildEnvironment) -> Iterator[BuildEnvironment]:
    """The environment for a build by Bazel, with the disk cache that pipeline.yaml asks for; pruned afterwards."""
    limit = environment.settings.pipeline.limits.disk_cache_mb
    if limit is None:
        yield environment
        return
    folder = environment.settings.cache.results
    try:
        yield replace(environment, runner=DiskCacheRunner(environment.runner, folder))
    finally:
        prune(folder, limit * 2**20)


@dataclass(frozen=True)
class DiskCacheRunner:
    """Runs builds by Bazel with its disk cache in ``folder``."""

    inner: Runner
    folder: Path

    def owner(self) -> tuple[int, int]:
        return self.inner.owner()

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        """As ``Runner.run``; the mounts of ``spec`` are those of ``pipeline.build.run_bazel``."""
        add_options(spec, [f"--disk_cache={TARGET}"])
        mount = Mount(writable_folder(self.folder, self), TARGET, writable=True)
        return self.inner.run(replace(spec, mounts=(*spec.mounts, mount)), on_line)


def prune(folder: Path, limit: int) -> None:
    """Remove what Bazel did not touch for longest, until the files take at most ``limit`` bytes."""
    found = [(path.stat(), path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    total = sum(status.st_size for status, _ in found)
    for status, path in sorted(found, key=lambda pair: pair[0].st_mtime_ns):
        if total <= limit:
            return
        path.unlink()
        total -= status.st_size
