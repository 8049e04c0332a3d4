"""The C++ tests of the simulated libedgetpu: built here, run by tests/integration/test_simulator.py.

No stage of the plan, since nothing that is shipped depends on them. They are kept nowhere: Bazel's cache, which they
share with the libraries, makes the next build quick.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge import store
from coralforge.config.base import Variant
from coralforge.containers import image as images
from coralforge.containers.docker import DockerRunner
from coralforge.events import Sink
from coralforge.pipeline.build import BuildEnvironment, build_simulator_tests
from coralforge.settings import Settings, with_test_sources
from coralforge.sources.fetch import fetch_all
from coralforge.sources.trees import make_tree, survey_sources, to_fetch, trees
from coralforge.util.fingerprint import of_paths


@dataclass(frozen=True)
class SimulatorTests:
    """Programs in ``folder``/bin, the shared libraries they need in ``folder``/lib, and the tester image's tag."""

    folder: Path
    image: str


def make_simulator_tests(settings: Settings, destination: Path, sink: Sink) -> SimulatorTests:
    """Build the tests for ``settings.arch`` into ``destination``, which must not exist.

    Raises:
        CoralforgeError: as ``fetch_all``, ``unpack``, ``images.ensure``, ``run_container`` and ``store.exclusive``.
    """
    settings = replace(with_test_sources(settings), variants=(Variant.SIMULATED,))
    with store.exclusive(settings.cache, sink):
        fetch_all(to_fetch(settings), settings.cache.root, settings.mirrors, sink)
        facts = survey_sources(settings)
        for fact in facts:
            if not fact.unpacked:
                make_tree(settings, fact)
        runner = DockerRunner()
        tester = images.tester(settings.project.docker, settings.platform)
        name = f"simulator-tests-{settings.arch.value}"
        with closing(runner.client), store.staging(settings.cache, name) as staging:
            images.ensure(runner.client, tester, settings.project.docker, settings.cache.tmp, sink)
            environment = BuildEnvironment(settings, runner, tester, sink)
            key = of_paths(settings.project.simulator)
            shutil.copytree(build_simulator_tests(environment, trees(settings, facts), key, staging), destination)
    return SimulatorTests(destination, tester.tag)
