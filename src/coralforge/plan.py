"""The plan: which actions run, and why. Pure, from facts to frozen actions, so --dry-run and --explain are free.

The stages, in the order data flows::

    fetch, unpack -> image -> libraries (Bazel) -> prefix -> programs (CMake) -> models -> bundle -> deb

Each stage's key is the digest of its named inputs, and the inputs of a later stage contain the key of
the earlier one. The reason of an action names the inputs that differ from the last time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from coralforge.util.fingerprint import of_mapping

Inputs = Mapping[str, str]


class Stage(str, Enum):
    """A step of the pipeline whose result is kept."""

    FETCH = "fetch"
    UNPACK = "unpack"
    IMAGE = "image"
    LIBRARIES = "libraries"
    PREFIX = "prefix"
    PROGRAMS = "programs"
    MODEL = "model"
    BUNDLE = "bundle"
    DEB = "deb"


MODELS = "models"
TOOLCHAIN = "toolchain"
ARTIFACTS = (Stage.LIBRARIES, Stage.PREFIX, Stage.PROGRAMS, Stage.BUNDLE, Stage.DEB)
HANDED_OUT = (Stage.BUNDLE, Stage.DEB)
"""The stages whose results users get; the models are in them."""


@dataclass(frozen=True)
class SourceFact:
    """Facts about one source: its identity once it is on this machine, and whether it is unpacked."""

    name: str
    digest: str | None
    """``sha256:...`` or ``git-tree:...``; None while it is not fetched."""
    unpacked: bool = False


@dataclass(frozen=True)
class ModelFact:
    """Facts about one model. ``inputs`` are the named digests of all that it is made from."""

    name: str
    inputs: Inputs | None
    """None while a file of it is not fetched."""


@dataclass(frozen=True)
class Facts:
    """Everything the plan depends on. Gathered by ``survey``; nothing in it is looked up later."""

    sources: tuple[SourceFact, ...]
    inputs: Mapping[Stage, Inputs]
    """Per artifact stage: the named digests that do not depend on sources or earlier stages."""
    present: frozenset[str]
    """Artifacts in the store, as ``stage-key``."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Of those, the ones that are not what was put there, and how they differ."""
    previous: Mapping[str, Inputs] = field(default_factory=dict)
    """By an action's label: the inputs of the last artifact of the same target, for the reasons."""
    image: str = ""
    """Key of the builder image."""
    image_present: bool | None = None
    """None when Docker was not asked."""
    toolchain_known: bool = True
    """Whether the builder image's packages are there; who makes that image fetches them too."""
    models: tuple[ModelFact, ...] = ()
    """The models that go into a bundle."""
    operators: tuple[str, ...] | None = ()
    """The only operators that TensorFlow Lite is built with; none for all of them, None while that is not known."""


@dataclass(frozen=True)
class Action:
    """One thing to do or to leave. ``key`` is empty while it is not known (a source is not fetched yet)."""

    stage: Stage
    name: str
    run: bool
    reason: str
    key: str = ""
    inputs: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The action's name for users and records: the stage, and the name where a stage has several."""
        return self.stage.value if self.name == self.stage.value else f"{self.stage.value} {self.name}"

    @property
    def artifact(self) -> str:
        """Name of the artifact in the store."""
        return f"{self.stage.value}-{self.key[:32]}"


def make_plan(facts: Facts, goal: Stage) -> tuple[Action, ...]:
    """The actions up to ``goal``, in order; the ones with ``run=False`` say why they are skipped."""
    artifacts = _artifact_actions(facts, goal)
    needed = [action for action in artifacts if action.run]
    actions: list[Action] = []
    if not artifacts or any(action.stage is Stage.LIBRARIES for action in needed) or goal is Stage.FETCH:
        actions += _source_actions(facts, goal)
    elif needed and any(action.stage is Stage.BUNDLE for action in needed):
        actions += _source_actions(facts, goal)  # licence texts come from the trees
    uses_container = {Stage.LIBRARIES, Stage.PROGRAMS, Stage.DEB}
    if goal is Stage.IMAGE or any(action.stage in uses_container for action in needed):
        actions.append(_image_action(facts))
    return tuple(actions + artifacts)


def _source_actions(facts: Facts, goal: Stage) -> list[Action]:
    actions = []
    if goal is Stage.IMAGE:
        return []
    for source in facts.sources:
        if source.digest is None:
            actions.append(Action(Stage.FETCH, source.name, True, "not downloaded yet"))
        elif source.digest.startswith("sha256:"):
            actions.append(Action(Stage.FETCH, source.name, False, "downloaded and verified", source.digest))
    if goal in (Stage.FETCH, *HANDED_OUT) or facts.operators is None:
        actions += _data_actions(facts)
    if goal is Stage.FETCH:
        return actions
    for source in facts.sources:
        reason = "unpacked" if source.unpacked else "not unpacked yet"
        actions.append(Action(Stage.UNPACK, source.name, not source.unpacked, reason, source.digest or ""))
    return actions


def _data_actions(facts: Facts) -> list[Action]:
    """Downloads that are no sources."""
    names = [] if facts.toolchain_known else [TOOLCHAIN]
    names += [MODELS] if any(model.inputs is None for model in facts.models) else []
    return [Action(Stage.FETCH, name, True, "not downloaded yet") for name in names]


def _image_action(facts: Facts) -> Action:
    if facts.image_present is None:
        return Action(Stage.IMAGE, "builder", True, "needed (Docker was not asked whether it has it)", facts.image)
    reason = "Docker has it" if facts.image_present else "Docker does not have it"
    return Action(Stage.IMAGE, "builder", not facts.image_present, reason, facts.image)


def _artifact_actions(facts: Facts, goal: Stage) -> list[Action]:
    if goal not in ARTIFACTS:
        return []
    stages = ARTIFACTS[: ARTIFACTS.index(goal) + 1]
    known = facts.operators is not None and all(source.digest for source in facts.sources)
    actions: list[Action] = []
    inputs: dict[str, str] = {f"source:{s.name}": s.digest or "" for s in facts.sources}
    if facts.operators:
        inputs["operators"] = " ".join(facts.operators)
    for stage in stages:
        inputs = {**inputs, **facts.inputs.get(stage, {})}
        if stage is Stage.BUNDLE:
            models = [_model_action(facts, model) for model in facts.models]
            inputs |= {action.label: action.key for action in models}
            actions += models
            known = known and all(action.key for action in models)
        if not known:
            missing = "models" if facts.operators is None else "sources"
            actions.append(Action(stage, stage.value, True, f"{missing} are not all there yet"))
            continue
        actions.append(_artifact(facts, stage, stage.value, inputs))
        inputs = {stage.value: actions[-1].key}
    return actions


def _model_action(facts: Facts, model: ModelFact) -> Action:
    if model.inputs is None:
        return Action(Stage.MODEL, model.name, True, "its files are not all there yet")
    return _artifact(facts, Stage.MODEL, model.name, {**facts.inputs.get(Stage.MODEL, {}), **model.inputs})


def _artifact(facts: Facts, stage: Stage, name: str, inputs: Inputs) -> Action:
    key = of_mapping({"stage": stage.value, **inputs})
    action = Action(stage, name, True, "", key, tuple(sorted(inputs.items())))
    run, reason = _decide(facts, action, inputs)
    return replace(action, run=run, reason=reason)


def _decide(facts: Facts, action: Action, inputs: Inputs) -> tuple[bool, str]:
    if action.artifact in facts.damaged:
        return True, f"damaged in the cache: {facts.damaged[action.artifact]}"
    if action.artifact in facts.present:
        return False, "up to date"
    before = facts.previous.get(action.label)
    if before is None:
        return True, "not built yet"
    changed = sorted(name for name in {*before, *inputs} if before.get(name) != inputs.get(name))
    if not changed:
        return True, "the artifact was removed from the store"
    sources = [name.removeprefix("source:") for name in changed if name.startswith("source:")]
    others = [name for name in changed if not name.startswith("source:")]
    parts = [f"sources changed: {', '.join(sources)}"] if sources else []
    parts += [f"changed: {', '.join(others)}"] if others else []
    return True, "; ".join(parts)
