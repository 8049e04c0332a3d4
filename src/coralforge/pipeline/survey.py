"""Gathers the facts a plan is made from: digests of project files, what is fetched, what is in the store.

Reads the disk only. Docker is asked (by the caller) only when the plan needs a container.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from coralforge import store
from coralforge.bundle.model_files import survey_models
from coralforge.containers import toolchain
from coralforge.containers.context import packages_of
from coralforge.containers.image import Image
from coralforge.pipeline.inputs import SELECTED, XNNPACK, digests, option_digests
from coralforge.plan import HANDED_OUT, Action, Facts, Inputs, Stage, make_plan
from coralforge.settings import Settings
from coralforge.sources.fetch import cached
from coralforge.sources.trees import survey_sources
from coralforge.templates import variables
from coralforge.util import fingerprint


@dataclass(frozen=True)
class Survey:
    """The facts that a plan is made from."""

    facts: Facts

    def plan(self, goal: Stage) -> tuple[Action, ...]:
        """The actions up to ``goal``."""
        return make_plan(self.facts, goal)


def target_name(settings: Settings) -> str:
    """Names what is built, for the record of what it was last made of."""
    variants = "+".join(variant.value for variant in settings.variants)
    return f"{settings.release.release}-{settings.arch.value}-{variants}"


def collect(settings: Settings, goal: Stage = Stage.PREFIX) -> Survey:
    """Survey everything once that ``goal`` may depend on."""
    builder = toolchain.builder(settings)
    facts = Facts(
        sources=survey_sources(settings),
        inputs=_inputs(settings),
        present=store.present(settings.cache),
        previous=store.previous_inputs(settings.cache, target_name(settings)),
        image=builder.key,
        toolchain_known=goal is not Stage.FETCH or _packages_are_there(settings, builder),
        models=survey_models(settings) if goal in (Stage.FETCH, *HANDED_OUT) or settings.selected else (),
        operators=_operators(settings),
    )
    return checked(settings, Survey(facts), goal, thorough=False)


def checked(settings: Settings, survey: Survey, goal: Stage, thorough: bool) -> Survey:
    """The same survey, now that the artifacts which ``goal`` is to be made from were compared with their records.

    The bytes of bundle, packages and of what is asked for are read either way: they are about to be handed out.
    """
    damaged = dict(survey.facts.damaged)
    for action in survey.plan(goal):
        if action.artifact in survey.facts.present and action.artifact not in damaged:
            problem = store.damage(settings.cache, action, thorough or action.stage in (goal, *HANDED_OUT))
            damaged |= {action.artifact: problem} if problem else {}
    return replace(survey, facts=replace(survey.facts, damaged=damaged))


def _packages_are_there(settings: Settings, builder: Image) -> bool:
    return all(cached(item, settings.cache.root) for item in packages_of(builder))


def with_image(survey: Survey, present: bool) -> Survey:
    """The same survey, now that Docker was asked for the builder image."""
    return replace(survey, facts=replace(survey.facts, image_present=present))


def _inputs(settings: Settings) -> dict[Stage, Inputs]:
    """The inputs of each stage's key, beside sources, models and the key of the stage before."""
    release = settings.release
    target = toolchain.target_key(settings)
    values: dict[Stage, Inputs] = {
        Stage.LIBRARIES: {
            "release": release.release,
            "arch": settings.arch.value,
            "commit": release.tensorflow_commit,
            "variants": "+".join(sorted(variant.value for variant in settings.variants)),
            "toolchain": target,
            **_remote(settings),
        },
        Stage.PREFIX: {
            "default variant": settings.variants[0].value,
            "template variables": _template_variables(settings),
        },
        Stage.PROGRAMS: {"toolchain": target},
        Stage.MODEL: {"runtime": str(release.edgetpu_runtime)},
        Stage.BUNDLE: {
            "release file": fingerprint.of_paths(settings.project.releases / f"{release.release}.yaml"),
        },
        Stage.DEB: {},
    }
    listed = [*(XNNPACK if settings.xnnpack else ()), *(SELECTED if settings.selected else ())]
    values[Stage.LIBRARIES] = {**values[Stage.LIBRARIES], **option_digests(settings.project.root, listed)}
    files = digests(settings.project.root)
    return {stage: {**values[stage], **files[stage]} for stage in values}


def _operators(settings: Settings) -> tuple[str, ...] | None:
    """As ``Facts.operators``."""
    if not settings.selected:
        return ()
    from coralforge.bundle.operators import selected

    return selected(settings)


def _remote(settings: Settings) -> Inputs:
    """Whose results are believed. Without anybody's there is no such input, and the key is that of a local build."""
    remote = settings.pipeline.remote
    return {"remote": remote.where} if remote.used else {}


def _template_variables(settings: Settings) -> str:
    """A digest of the values that templates/bundle gets; without the version, which is not in the prefix."""
    rendered = {name: value for name, value in variables(settings).items() if name != "coralforge_version"}
    return fingerprint.of_mapping({name: json.dumps(value) for name, value in rendered.items()})
