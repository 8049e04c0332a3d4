"""One cascade from command line, environment and pipeline.yaml to one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from coralforge.config.arch import Arch, Floor
from coralforge.config.base import Variant
from coralforge.config.load import load_pipeline, load_release, load_toolchain, unknown
from coralforge.config.pipeline import Cpu, Pipeline, Platform
from coralforge.config.release import Release
from coralforge.config.remote import Remote
from coralforge.config.toolchain import Toolchain
from coralforge.errors import user_error
from coralforge.util.paths import resolved, typed

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
    cpu = Cpu(xnnpack="off", ops=settings.pipeline.cpu.ops)
    return replace(settings, pipeline=settings.pipeline.model_copy(update={"cpu": cpu}))


def with_test_sources(settings: Settings) -> Settings:
    """The same settings for the C++ tests of the simulated libedgetpu, which are compiled from more sources."""
    sources = {**settings.release.sources, **settings.release.test_sources}
    return replace(settings, release=settings.release.model_copy(update={"sources": sources}))


def without_remote(settings: Settings) -> Settings:
    """The same settings for a build on this machine alone."""
    return replace(settings, pipeline=settings.pipeline.model_copy(update={"remote": Remote()}))


def resolve(project: Project, options: Options, environ: Mapping[str, str] = os.environ) -> Settings:
    """Decide what is to be done, from what was said.

    Raises:
        CoralforgeError: exit code 2 with reason ``arch-unknown``, ``release-unknown``, ``variant-unknown``,
            ``source-unknown``, ``source-option``, ``source-folder``, ``xnnpack-release``, or what the loaders raise.
    """
    pipeline = load_pipeline(project.pipeline)
    release = load_release(project.releases, options.release or pipeline.release)
    _require_xnnpack(pipeline, release)
    arch = _arch(pipeline, options.arch)
    return Settings(
        project=project,
        cache=Cache(_cache_root(project, pipeline, environ)),
        pipeline=pipeline,
        release=release,
        toolchain=load_toolchain(project.toolchain),
        arch=arch,
        platform=pipeline.platforms[arch.value],
        variants=_variants(pipeline, options.variants),
        mirrors=_mirrors(project, pipeline, options.mirrors, environ),
        checkouts=_checkouts(release, options.sources),
        compiler=options.compiler,
    )


def _require_xnnpack(pipeline: Pipeline, release: Release) -> None:
    if pipeline.cpu.xnnpack == "on" and XNNPACK not in release.sources:
        raise user_error(
            f"cpu.xnnpack is on, and releases/{release.release}.yaml has no source {XNNPACK}",
            reason="xnnpack-release",
            remedy=f"add the one that TensorFlow {release.release} pins, or set cpu.xnnpack in pipeline.yaml to off",
        )


def _arch(pipeline: Pipeline, name: str | None) -> Arch:
    chosen = name or next(iter(pipeline.platforms))
    if chosen not in pipeline.platforms:
        raise unknown("arch", chosen, sorted(pipeline.platforms))
    return Arch(chosen)


def _variants(pipeline: Pipeline, names: Sequence[str]) -> tuple[Variant, ...]:
    known = [v.value for v in Variant]
    for name in names:
        if name not in known:
            raise unknown("variant", name, known)
    chosen = [Variant(name) for name in names] or pipeline.variants
    return tuple(dict.fromkeys(chosen))


def _cache_root(project: Project, pipeline: Pipeline, environ: Mapping[str, str]) -> Path:
    if environ.get("CORALFORGE_CACHE"):
        return typed(environ["CORALFORGE_CACHE"]).absolute()
    if pipeline.cache:
        return (project.root / typed(pipeline.cache)).absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "coralforge"


def _mirrors(
    project: Project, pipeline: Pipeline, said: Sequence[str], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """--mirror first, then CORALFORGE_MIRROR (several are separated by spaces), then pipeline.yaml."""
    mirrors = [_absolute(m, Path.cwd()) for m in (*said, *environ.get("CORALFORGE_MIRROR", "").split())]
    mirrors += [_absolute(m, project.root) for m in pipeline.mirrors]
    for mirror in mirrors:
        _require_address(mirror)
        if "://" not in mirror and not Path(mirror).is_dir():
            raise user_error(
                f"mirror {mirror} is not a folder",
                reason="mirror-folder",
                remedy="give a folder that holds the archives, or an http(s) address",
            )
    return tuple(dict.fromkeys(mirrors))


def _require_address(mirror: str) -> None:
    try:
        urlsplit(mirror)
    except ValueError as error:
        raise user_error(
            f"mirror {mirror!r} is no address: {error}",
            reason="mirror-invalid",
            remedy="give a folder that holds the archives, or an http(s) address",
        ) from error


def _absolute(mirror: str, base: Path) -> str:
    return mirror if "://" in mirror else str(resolved(base / typed(mirror)))


def _checkouts(release: Release, said: Sequence[str]) -> dict[str, Path]:
    checkouts: dict[str, Path] = {}
    for text in said:
        name, separator, folder = text.partition("=")
        if not separator or not folder:
            raise user_error(
                f"--source {text!r} is not NAME=DIR",
                reason="source-option",
                remedy="for example --source libedgetpu=../libedgetpu",
            )
        if name not in release.sources:
            raise unknown("source", name, sorted(release.sources))
        if name in checkouts:
            raise user_error(f"--source {name} is given twice", reason="source-option")
        checkouts[name] = _checkout_folder(name, resolved(typed(folder)))
    return checkouts


def _checkout_folder(name: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise user_error(f"--source {name}: {folder} is not a folder", reason="source-folder")
    entries = {p.name for p in folder.iterdir()}
    if not entries - {".git"}:
        raise user_error(f"--source {name}: {folder} is empty", reason="source-folder")
    if {"HEAD", "objects", "refs"} <= entries:
        raise user_error(
            f"--source {name}: {folder} is a git directory without a work tree",
            reason="source-folder",
            remedy=f"git clone {folder} DIR && git -C DIR checkout COMMIT, then --source {name}=DIR",
        )
    return folder
