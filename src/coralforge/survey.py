"""Gathers the facts a plan is made from: digests of project files, what is fetched, what is in the store.

Reads the disk only. Docker is asked (by the caller) only when the plan needs a container.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coralforge import fingerprint, store
from coralforge.containers import image as images
from coralforge.modelfiles import survey_models
from coralforge.plan import Action, Facts, Inputs, Stage, make_plan
from coralforge.sample import ChosenSample, survey_sample
from coralforge.settings import Settings
from coralforge.trees import survey_sources


@dataclass(frozen=True)
class Survey:
    """The facts, and the sample that will be used (None while it is not known)."""

    facts: Facts
    sample: ChosenSample | None

    def plan(self, goal: Stage) -> tuple[Action, ...]:
        """The actions up to ``goal``."""
        return make_plan(self.facts, goal)


def target_name(settings: Settings) -> str:
    """Names what is built, for the record of what it was last made of."""
    variants = "+".join(variant.value for variant in settings.variants)
    return f"{settings.release.release}-{settings.arch.value}-{variants}"


def look(settings: Settings, goal: Stage = Stage.PREFIX) -> Survey:
    """Survey everything once that ``goal`` may depend on."""
    project = settings.project
    builder = images.builder(project.docker, settings.platform)
    sample = survey_sample(settings)
    facts = Facts(
        sources=survey_sources(settings),
        inputs=_inputs(settings, builder, sample),
        present=store.present(settings.cache),
        previous=store.previous_inputs(settings.cache, target_name(settings)),
        image=builder.key,
        sample_known=sample is not None,
        models=survey_models(settings) if goal in (Stage.FETCH, Stage.BUNDLE) else (),
    )
    return Survey(facts, sample)


def with_image(survey: Survey, present: bool) -> Survey:
    """The same survey, now that Docker was asked for the builder image."""
    return replace(survey, facts=replace(survey.facts, image_present=present))


def _inputs(settings: Settings, builder: images.Image, sample: ChosenSample | None) -> dict[Stage, Inputs]:
    project, templates = settings.project, settings.project.templates
    engine = project.root / "src" / "coralforge"
    common = {"release": settings.release.release, "arch": settings.arch.value}
    return {
        Stage.LIBRARIES: {
            **common,
            "commit": settings.release.tensorflow_commit,
            "variants": "+".join(sorted(variant.value for variant in settings.variants)),
            "image": builder.key,
            "Bazel workspace": fingerprint.of_paths(project.bazel),
            "simulator": fingerprint.of_paths(project.simulator, without=project.simulator_tests.name),
            "scripts/build-sdk": fingerprint.of_paths(
                project.scripts / "build-sdk", project.scripts / "bazel_build.py"
            ),
            "gate": fingerprint.of_paths(engine / "elf.py", engine / "elf"),
        },
        Stage.PREFIX: {
            "templates/bundle": fingerprint.of_paths(templates / "bundle"),
            "default variant": settings.variants[0].value,
            "engine": fingerprint.of_paths(engine / "bundle.py", engine / "consumer.py"),
        },
        Stage.PROGRAMS: {
            "image": builder.key,
            "templates/consumer": fingerprint.of_paths(templates / "consumer"),
            "toolchains/cmake": fingerprint.of_paths(project.cmake),
            "scripts/build-programs": fingerprint.of_paths(project.scripts / "build-programs"),
            "sample generator": fingerprint.of_paths(engine / "models"),
        },
        Stage.MODEL: {
            "engine": fingerprint.of_paths(engine / "models", engine / "modelmaker.py"),
            "runtime": str(settings.release.edgetpu_runtime),
        },
        Stage.BUNDLE: {
            "sample": sample.digest if sample else "",
            "release file": fingerprint.of_paths(project.releases / f"{settings.release.release}.yaml"),
            "engine": fingerprint.of_paths(engine),
            "licence": fingerprint.of_paths(project.root / "LICENSE"),
        },
    }
