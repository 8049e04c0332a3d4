"""A build by Bazel of one small part of the libraries: libusb, eleven actions that compile, archive and link."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from coralforge.containers.docker import DockerRunner
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.toolchain import builder
from coralforge.events import Note, Recorder
from coralforge.pipeline.build import BazelJob, BuildEnvironment, run_bazel
from coralforge.pipeline.remote import connected
from coralforge.settings import Cache, Options, Project, resolve
from coralforge.sources.fetch import fetch_all
from coralforge.sources.trees import make_tree, survey_sources, to_fetch, trees
from coralforge.util.fingerprint import of_file
from tests.support.project_maker import copy_project_files

NAME = "build-small"
ACTIONS = 11
_SCRIPT = """\
#!/usr/bin/env python3
from bazel_build import built_file, install, run, run_bazel


def main(request):
    run_bazel(request, ["@libusb//:libusb-1.0.so"])
    install(built_file("@libusb//:libusb-1.0.so"), "libusb-1.0.so.0")


if __name__ == "__main__":
    run(main)
"""


def add_script(folder: Path) -> Project:
    """A project in the new ``folder`` that also has ``scripts/NAME``."""
    folder.mkdir()
    project = copy_project_files(folder)
    (project.scripts / NAME).write_text(_SCRIPT)
    return project


@dataclass(frozen=True)
class Built:
    """A build of libusb: its digest, and the sentences for the user."""

    digest: str
    notes: list[str]


@dataclass(frozen=True)
class SmallBuild:
    """Builds libusb, from the user's trees, with a Bazel cache of the caller's."""

    project: Project
    runner: DockerRunner

    @classmethod
    def prepare(cls, folder: Path, runner: DockerRunner) -> SmallBuild:
        """A project in the new ``folder``, and all that its builds need."""
        project, sink = add_script(folder), Recorder()
        settings = resolve(project, Options(variants=("simulated",)))
        fetch_all(to_fetch(settings), settings.cache.root, settings.mirrors, sink)
        for fact in survey_sources(settings):
            if not fact.unpacked:
                make_tree(settings, fact)
        ImageMaker.of(settings, runner.client, sink).ensure(builder(settings))
        return cls(project, runner)

    def run(self, cache: Cache, staging: Path) -> Built:
        """Build it as pipeline.yaml says; ``staging`` is new. Raises as ``connected`` and ``run_bazel``."""
        settings = resolve(self.project, Options(variants=("simulated",)))
        facts, sink = survey_sources(settings), Recorder()
        staging.mkdir(parents=True)
        environment = BuildEnvironment(replace(settings, cache=cache), self.runner, builder(settings).tag, sink)
        job = BazelJob("libusb", NAME, trees(settings, facts), {})
        with connected(environment) as environment:
            out = run_bazel(environment, job, "0" * 16, staging)
        notes = [event.text for event in sink.events if isinstance(event, Note)]
        return Built(of_file(out / "libusb-1.0.so.0"), notes)
