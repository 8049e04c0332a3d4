"""Builds in the libraries' Bazel cache that are no stage of the plan, since nothing that ships depends on them.

These are the C++ tests of the simulated libedgetpu, and the emulated device with its tests.

They are kept nowhere: the cache makes the next build quick.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge import store
from coralforge.config.base import Variant
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import Image
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.toolchain import builder, tester
from coralforge.events import Sink
from coralforge.pipeline.build import BuildEnvironment, build_device, build_simulator_tests
from coralforge.pipeline.remote import connected
from coralforge.settings import Settings, with_test_sources, without_xnnpack
from coralforge.sources.fetch import fetch_all
from coralforge.sources.records import Tree
from coralforge.sources.trees import ensure_trees, survey_sources, to_fetch, trees
from coralforge.util.fingerprint import of_paths

Build = Callable[[BuildEnvironment, dict[str, Tree], str, Path], Path]


@dataclass(frozen=True)
class SideBuild:
    """Programs in ``folder``/bin, the shared libraries they need in ``folder``/lib, and the image that built them."""

    folder: Path
    image: str


def make_simulator_tests(settings: Settings, destination: Path, sink: Sink) -> SideBuild:
    """Build the simulator's tests for ``settings.arch`` into ``destination``, which must not exist.

    Raises:
        CoralforgeError: as ``fetch_all``, ``unpack``, ``ImageMaker.ensure``, ``run_container``, ``store.exclusive``,
            ``connected``.
    """
    image = tester(settings)
    key, build = of_paths(settings.project.simulator), build_simulator_tests
    settings = with_test_sources(settings)
    return _make(settings, image, destination, sink, name="simulator-tests", key=key, build=build)


def make_device(settings: Settings, destination: Path, sink: Sink, *, tests: bool = False) -> SideBuild:
    """Build the emulated device (``bin/coral-device``, ``shim/libusb-1.0.so.0``) for ``settings.arch``.

    ``tests`` adds its own, and takes the image that can run them. ``destination`` must not exist.

    Raises:
        CoralforgeError: as :func:`make_simulator_tests`.
    """
    image = tester(settings) if tests else builder(settings)
    settings = with_test_sources(settings) if tests else settings
    key = of_paths(settings.project.device)
    return _make(settings, image, destination, sink, name="device", key=key, build=build_device)


def _make(
    settings: Settings, image: Image, destination: Path, sink: Sink, *, name: str, key: str, build: Build
) -> SideBuild:
    # Neither needs libedgetpu's source or a delegate.
    settings = without_xnnpack(replace(settings, variants=(Variant.SIMULATED,)))
    with store.exclusive(settings.cache, sink):
        fetch_all(to_fetch(settings), settings.cache.root, settings.mirrors, sink)
        facts = survey_sources(settings)
        ensure_trees(settings, facts, sink, whole=True)
        runner = DockerRunner()
        with closing(runner.client), store.staging(settings.cache, f"{name}-{settings.arch.value}") as staging:
            ImageMaker.of(settings, runner.client, sink).ensure(image)
            with connected(BuildEnvironment(settings, runner, image.tag, sink)) as environment:
                shutil.copytree(build(environment, trees(settings, facts), key, staging), destination)
    return SideBuild(destination, image.tag)
