"""Runs a plan's actions. Decides nothing: what to do and why comes from ``plan``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge import store
from coralforge.errors import CoralforgeError
from coralforge.events import Note, Sink, Step
from coralforge.pipeline.survey import Survey, checked, collect, target_name, with_image
from coralforge.plan import ARTIFACTS, MODELS, TOOLCHAIN, Action, Stage
from coralforge.settings import Settings, without_xnnpack

if TYPE_CHECKING:
    from coralforge.pipeline.build import BuildEnvironment


@dataclass(frozen=True)
class Result:
    """The result of a run: the final plan, where artifacts are, and what took how long (wall seconds)."""

    actions: tuple[Action, ...]
    places: dict[Stage, Path]
    timings: tuple[tuple[str, float], ...] = ()


@dataclass
class Run:
    """One run under the cache's lock. ``settings`` change where an option turns out not to be possible."""

    settings: Settings
    sink: Sink
    timings: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step and time it."""
        self.sink.emit(Step(name))
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self.timings.append((name, seconds))
        self.sink.emit(Step(name, seconds))


def run_plan(settings: Settings, goal: Stage, sink: Sink) -> Result:
    """Do what is needed to have ``goal``; nothing at all when it is up to date."""
    survey = collect(settings, goal)
    actions = survey.plan(goal)
    if any(action.run for action in actions):
        with store.exclusive(settings.cache, sink):
            run = Run(settings, sink)
            actions = _execute(run, goal)
            timings = tuple(run.timings)
    else:
        store.tidy(settings.cache)
        timings = ()
    store.remember(settings.cache, target_name(settings), actions)
    places = {a.stage: store.location(settings.cache, a) for a in actions if a.stage in ARTIFACTS}
    return Result(actions, places, timings)


def _execute(run: Run, goal: Stage) -> tuple[Action, ...]:
    survey = collect(run.settings, goal)  # again: whoever held the lock before us may have done the work
    survey = _discard_damaged(run, survey, goal)
    survey = _fetch(run, survey, goal)
    if goal is Stage.FETCH:
        return survey.plan(goal)
    _unpack(run, survey, goal)
    actions = survey.plan(goal)
    if any(action.stage is Stage.IMAGE for action in actions):
        _build(run, survey, goal)
    else:
        _artifacts(run, survey, actions, None)
    return actions


def _discard_damaged(run: Run, survey: Survey, goal: Stage) -> Survey:
    """Read what the next steps will use; what is not as it was made is named, removed, and planned again."""
    survey = checked(run.settings, survey, goal, thorough=True)
    for action in survey.plan(goal):
        if action.artifact in survey.facts.damaged:
            problem = survey.facts.damaged[action.artifact]
            run.sink.emit(Note(f"{action.label} is damaged in the cache and is made again: {problem}", "warning"))
            store.discard(run.settings.cache, action)
    return survey


def _fetch(run: Run, survey: Survey, goal: Stage) -> Survey:
    from coralforge.bundle.model_files import fetch_models
    from coralforge.containers.context import packages_of
    from coralforge.containers.toolchain import builder
    from coralforge.sources.fetch import fetch_all
    from coralforge.sources.trees import NEEDS_XNNPACK, to_fetch

    settings = run.settings
    names = {a.name for a in survey.plan(goal) if a.stage is Stage.FETCH and a.run}
    if settings.pipeline.cpu.xnnpack == "auto" and names & NEEDS_XNNPACK:
        settings = run.settings = _fetch_xnnpack(settings, run.sink)
    wanted = [w for w in to_fetch(settings) if w.name in names]
    if wanted:
        with run.step(f"fetch {len(wanted)} source{'s' if len(wanted) > 1 else ''}"):
            fetch_all(wanted, settings.cache.root, settings.mirrors, run.sink)
    if TOOLCHAIN in names:
        packages = packages_of(builder(settings))
        with run.step(f"fetch the {len(packages)} packages of compiler and sysroots"):
            fetch_all(packages, settings.cache.root, settings.mirrors, run.sink)
    if MODELS in names:
        with run.step("fetch the models"):
            fetch_models(settings, run.sink)
    return collect(settings, goal) if names else survey


def _fetch_xnnpack(settings: Settings, sink: Sink) -> Settings:
    """Fetch XNNPACK's sources, which may be nowhere: then there is a warning, and settings without it."""
    from coralforge.sources.fetch import fetch_all
    from coralforge.sources.trees import NEEDS_XNNPACK, to_fetch

    wanted = [source for source in to_fetch(settings) if source.name in NEEDS_XNNPACK]
    try:
        fetch_all(wanted, settings.cache.root, settings.mirrors, sink)
    except CoralforgeError as error:
        if error.reason != "source-unavailable":
            raise  # wrong bytes are no reason to go on
        sink.emit(Note("cpu.xnnpack is auto, and its source cannot be had: this build is without XNNPACK", "warning"))
        return without_xnnpack(settings)
    return settings


def _unpack(run: Run, survey: Survey, goal: Stage) -> None:
    """Unpack what is not; what is there is compared with its record first, if it is about to be used."""
    from coralforge.sources.trees import ensure_trees

    actions = survey.plan(goal)
    runs = {a.name: a.run for a in actions if a.stage is Stage.UNPACK}
    facts = [fact for fact in survey.facts.sources if fact.name in runs]
    count = sum(runs.values())
    with run.step(f"unpack {count} source{'s' if count > 1 else ''}") if count else nullcontext():
        compiles = any(action.stage is Stage.LIBRARIES and action.run for action in actions)
        ensure_trees(run.settings, facts, run.sink, whole=compiles)


def _build(run: Run, survey: Survey, goal: Stage) -> None:
    """Everything that needs Docker: the image if it is not there, then the artifacts."""
    from coralforge.containers.docker import DockerRunner
    from coralforge.containers.image_maker import ImageMaker, exists
    from coralforge.containers.toolchain import builder as builder_image
    from coralforge.pipeline.build import BuildEnvironment

    settings = run.settings
    runner = DockerRunner()
    builder = builder_image(settings)
    if not exists(runner.client, builder):
        with run.step("builder image"):
            ImageMaker.of(settings, runner.client, run.sink).ensure(builder)
    survey = with_image(survey, True)
    _artifacts(run, survey, survey.plan(goal), BuildEnvironment(settings, runner, builder.tag, run.sink))


def _artifacts(run: Run, survey: Survey, actions: tuple[Action, ...], environment: BuildEnvironment | None) -> None:
    from coralforge.pipeline import packages, stages

    makers: dict[Stage, Callable[..., Path]] = {
        Stage.LIBRARIES: stages.make_libraries,
        Stage.PREFIX: stages.make_prefix,
        Stage.PROGRAMS: stages.make_programs,
        Stage.MODEL: stages.make_model,
        Stage.BUNDLE: stages.make_bundle,
        Stage.DEB: packages.make_packages,
    }
    done = {a.label: store.location(run.settings.cache, a) for a in actions if a.stage in makers}
    for action in actions:
        if action.run and action.stage in makers:
            with run.step(action.label), store.staging(run.settings.cache, action.artifact) as staging:
                context = stages.Context(run.settings, survey, done, action, staging, run.sink, environment)
                store.commit(run.settings.cache, action, makers[action.stage](context))
