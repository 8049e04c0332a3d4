"""One cascade from command line, environment and pipeline.yaml to one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.config.load import load_pipeline, load_release, load_toolchain, unknown
from coralforge.config.pipeline import Pipeline
from coralforge.config.release import Release
from coralforge.errors import user_error
from coralforge.settings.places import Cache, Project
from coralforge.settings.values import XNNPACK, Options, Settings
from coralforge.util.paths import resolved, typed


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
            raise user_error(f"--source {name} is given twice", reason="source-option", remedy="give it once")
        checkouts[name] = _checkout_folder(name, resolved(typed(folder)))
    return checkouts


def _checkout_folder(name: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise user_error(
            f"--source {name}: {folder} is not a folder", reason="source-folder", remedy=f"give a checkout of {name}"
        )
    entries = {p.name for p in folder.iterdir()}
    if not entries - {".git"}:
        raise user_error(
            f"--source {name}: {folder} is empty", reason="source-folder", remedy=f"give a checkout of {name}"
        )
    if {"HEAD", "objects", "refs"} <= entries:
        raise user_error(
            f"--source {name}: {folder} is a git directory without a work tree",
            reason="source-folder",
            remedy=f"git clone {folder} DIR && git -C DIR checkout COMMIT, then --source {name}=DIR",
        )
    return folder
