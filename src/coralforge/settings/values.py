"""Everything that was said about a run, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from coralforge.config.arch import Arch, Floor
from coralforge.config.base import Variant
from coralforge.config.pipeline import Pipeline, Platform
from coralforge.config.release import Release
from coralforge.config.remote import Remote
from coralforge.config.toolchain import Toolchain
from coralforge.settings.places import Cache, Project
from coralforge.util.paths import typed

XNNPACK = "xnnpack"
"""The name of its source in release files."""


@dataclass(frozen=True)
class Options:
    """The options that a user gave on the command line; None or empty means "not given"."""

    arch: str | None = None
    release: str | None = None
    variants: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    compiler: str | None = None


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on that is not the content of files."""

    project: Project
    cache: Cache
    pipeline: Pipeline
    release: Release
    toolchain: Toolchain
    arch: Arch
    platform: Platform
    variants: tuple[Variant, ...]
    """The first one is the bundle's default."""
    mirrors: tuple[str, ...] = ()
    checkouts: Mapping[str, Path] = field(default_factory=dict)
    """--source NAME=DIR."""
    compiler: str | None = None
    """Path of Google's edgetpu_compiler; None: the one on PATH, else the one in its image."""

    @property
    def floors(self) -> dict[Arch, Floor]:
        """The floor of every architecture: the one of pipeline.yaml, or its own."""
        said = self.pipeline.platforms
        return {arch: (said.get(arch.value) or Platform()).floor(arch) for arch in Arch}

    @property
    def floor(self) -> Floor:
        """The floor of what is built."""
        return self.platform.floor(self.arch)

    @property
    def xnnpack(self) -> bool:
        """Whether TensorFlow Lite's XNNPACK delegate is to be built."""
        return self.pipeline.cpu.xnnpack != "off" and XNNPACK in self.release.sources

    @property
    def selected(self) -> bool:
        """Whether TensorFlow Lite has only the operators that the bundle's models use."""
        return self.pipeline.cpu.ops == "selected"

    @property
    def output(self) -> Path:
        """Where bundles and reports go."""
        return (self.project.root / typed(self.pipeline.output)).absolute()

    @property
    def bundle_name(self) -> str:
        """Name of the bundle's top folder and, with .tar.gz, of its archive."""
        return f"coralforge-{self.release.release}-{self.arch.triple}"


def without_xnnpack(settings: Settings) -> Settings:
    """The same settings, with ``cpu.xnnpack: off``."""
    cpu = settings.pipeline.cpu.model_copy(update={"xnnpack": "off"})
    return replace(settings, pipeline=settings.pipeline.model_copy(update={"cpu": cpu}))


def with_test_sources(settings: Settings) -> Settings:
    """The same settings for the C++ tests of the simulated libedgetpu, which are compiled from more sources."""
    sources = {**settings.release.sources, **settings.release.test_sources}
    return replace(settings, release=settings.release.model_copy(update={"sources": sources}))


def without_remote(settings: Settings) -> Settings:
    """The same settings for a build on this machine alone."""
    return replace(settings, pipeline=settings.pipeline.model_copy(update={"remote": Remote()}))
