"""The places of things: in the checkout, and in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """The folder with tasks.py and what stands where in it."""

    root: Path

    @property
    def pipeline(self) -> Path:
        return self.root / "pipeline.yaml"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def docker(self) -> Path:
        return self.root / "docker"

    @property
    def bazel(self) -> Path:
        return self.root / "toolchains" / "bazel"

    @property
    def xnnpack(self) -> Path:
        """The part of the Bazel workspace that only XNNPACK needs."""
        return self.root / "toolchains" / "xnnpack"

    @property
    def toolchain(self) -> Path:
        return self.root / "toolchains" / "toolchain.yaml"

    @property
    def cmake(self) -> Path:
        return self.root / "toolchains" / "cmake"

    @property
    def templates(self) -> Path:
        return self.root / "templates"

    @property
    def scripts(self) -> Path:
        return self.root / "scripts"

    @property
    def simulator(self) -> Path:
        return self.root / "simulator"

    @property
    def device(self) -> Path:
        """The emulated device's sources."""
        return self.root / "device"

    @property
    def simulator_tests(self) -> Path:
        """Part of the folder, but not of the library."""
        return self.simulator / "tests"


@dataclass(frozen=True)
class Cache:
    """The folder that holds downloads, trees and artifacts, shared by all checkouts of one user."""

    root: Path

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def trees(self) -> Path:
        return self.root / "trees"

    @property
    def bazel(self) -> Path:
        return self.root / "bazel"

    @property
    def results(self) -> Path:
        """Bazel's disk cache, where pipeline.yaml asks for one."""
        return self.root / "results"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def last(self) -> Path:
        """Small facts of earlier runs, which only save time or give reasons."""
        return self.root / "last"

    @property
    def tmp(self) -> Path:
        """Folders of the run that holds the lock; the next one that gets it removes what is left."""
        return self.root / "tmp"

    @property
    def work(self) -> Path:
        """Folders of what runs without the lock: the smoke test, and compiling one model."""
        return self.root / "work"

    @property
    def boards(self) -> Path:
        """Folders of emulated boards that run: keys, console, what they wrote to their disks."""
        return self.root / "boards"

    @property
    def remakeable(self) -> tuple[Path, ...]:
        """All that can be made again without a network."""
        older = self.root / "smoke"  # where versions before 0.2 had the folders of the smoke test
        return (
            self.artifacts,
            self.trees,
            self.bazel,
            self.results,
            self.logs,
            self.last,
            self.tmp,
            self.work,
            self.boards,
            older,
        )

    @property
    def lock(self) -> Path:
        """The file that the one run that changes the cache holds."""
        return self.root / "lock"
