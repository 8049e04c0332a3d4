"""What the C++ tests of the simulated libedgetpu need is built beside what ships, and never a part of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from coralforge.containers import toolchain
from coralforge.containers.base import BASE
from coralforge.containers.image_maker import ImageMaker
from coralforge.pipeline.survey import collect
from coralforge.plan import Stage
from coralforge.settings import Options, Project, Settings, resolve, with_test_sources
from coralforge.sources.trees import to_fetch
from coralforge.util.fingerprint import of_paths
from tests.support.project_maker import copy_project_files
from tests.support.toolchain_maker import make_toolchain


class FakeImages:
    """Stands in for docker-py's client: keeps the tags that were built, in order, with their arguments."""

    def __init__(self) -> None:
        self.images = self.api = self
        self.built: dict[str, dict[str, str]] = {}
        self.labels: dict[str, dict[str, str]] = {}

    def get(self, tag: str) -> SimpleNamespace:
        from docker.errors import ImageNotFound

        if tag not in self.built and tag != BASE:
            raise ImageNotFound("none")
        return SimpleNamespace(labels=self.labels.get(tag, {}))

    def build(self, tag: str, buildargs: dict[str, str], labels: dict[str, str], **_: object) -> list[dict[str, str]]:
        self.built[tag] = buildargs
        self.labels[tag] = labels
        return []


class Silent:
    """A sink for nobody."""

    def emit(self, event: object) -> None:
        pass


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return copy_project_files(tmp_path)


def simulated(project: Project) -> Settings:
    cache = str(project.root / "cache")
    return resolve(project, Options(variants=("simulated",)), {"CORALFORGE_CACHE": cache})


def test_no_bundle_fetches_what_only_the_tests_need(project: Project) -> None:
    settings = simulated(project)
    shipped = {wanted.name for wanted in to_fetch(settings)}
    assert {wanted.name for wanted in to_fetch(with_test_sources(settings))} - shipped == {"googletest"}
    assert "googletest" not in {source.name for source in collect(settings).facts.sources}


def test_a_change_of_the_tests_rebuilds_no_library(project: Project) -> None:
    def key() -> str:
        return collect(simulated(project)).facts.inputs[Stage.LIBRARIES]["simulator"]

    before = key()
    (project.simulator_tests / "new_test.cc").write_text("// more")
    assert key() == before
    (project.simulator / "src" / "new.cc").write_text("// more")
    assert key() != before


def test_a_change_of_the_shared_script_rebuilds_the_libraries(project: Project) -> None:
    def key() -> str:
        return collect(simulated(project)).facts.inputs[Stage.LIBRARIES]["scripts/build-sdk"]

    before = key()
    (project.scripts / "bazel_build.py").write_text("# changed")
    assert key() != before


def test_a_digest_can_leave_out_a_folder_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "a" / "tests").mkdir(parents=True)
    (tmp_path / "a" / "kept").write_text("1")
    before = of_paths(tmp_path, without="tests")
    (tmp_path / "a" / "tests" / "left out").write_text("2")
    assert of_paths(tmp_path, without="tests") == before != of_paths(tmp_path)


def test_the_testers_image_adds_to_the_builders_and_is_another_one(project: Project) -> None:
    settings = simulated(project)
    settings = replace(settings, toolchain=make_toolchain(settings.cache.root))
    builder, tester = toolchain.builder(settings), toolchain.tester(settings)
    assert tester.base == builder
    assert tester.key != builder.key
    client = FakeImages()
    ImageMaker.of(settings, client, Silent()).ensure(tester)
    assert list(client.built) == [builder.tag, tester.tag]
    assert client.built[tester.tag] == {"BASE": builder.tag}
    assert client.built[builder.tag] == {"BASE": BASE}
