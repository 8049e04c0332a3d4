"""How each artifact is made from the earlier ones: libraries, prefix, programs, bundle.

Each maker fills a staging folder and returns the folder that goes into the store; checks come before the
return, so what is in the store has passed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge.bundle.assemble import assemble
from coralforge.bundle.debug import ENDING, assemble_debug
from coralforge.bundle.describe import BundleInputs
from coralforge.bundle.manifest import REMOTE, RemoteUsed
from coralforge.bundle.model_files import bundled_models, locate
from coralforge.bundle.prefix import assemble_prefix
from coralforge.bundle.sample import SAMPLE
from coralforge.events import Sink, Step
from coralforge.pipeline.build import BuildEnvironment, build_programs
from coralforge.pipeline.options import build_all
from coralforge.pipeline.remote import connected
from coralforge.pipeline.survey import Survey
from coralforge.plan import Action, Stage
from coralforge.settings import Settings
from coralforge.sources.trees import trees
from coralforge.templates import PROGRAMS, render_bundle, render_consumer, render_debug, write_files
from coralforge.util.scratch import scratch

if TYPE_CHECKING:
    from coralforge.elf import Policy


@dataclass(frozen=True)
class Context:
    """All that a maker works with; ``places`` of earlier artifacts are by label."""

    settings: Settings
    survey: Survey
    places: Mapping[str, Path]
    action: Action
    staging: Path
    sink: Sink
    builder: BuildEnvironment | None
    """None where the plan needs no container."""

    @property
    def environment(self) -> BuildEnvironment:
        """The build environment of a stage that builds; the plan put an image action before it."""
        assert self.builder is not None
        return self.builder


def make_libraries(context: Context) -> Path:
    """Stage ``libraries``: the one Bazel build, gated. Raises as ``connected``, ``build_all`` and ``gate``."""
    from coralforge.elf import gate

    settings = context.settings
    facts, key = context.survey.facts, context.action.key
    sources = trees(settings, facts.sources)
    with connected(context.environment) as environment:
        out = build_all(environment, sources, facts.operators or (), key, context.staging)
    if environment.settings.pipeline.remote.used:
        (out / REMOTE).write_text(_remote_used(settings).model_dump_json(), encoding="utf-8")
    gate(out / "lib", _policy(settings))
    # All of the static libraries in one: what a program that is linked against them could need.
    gate(out / "check", replace(_policy(settings), stamped=()))
    return out


def _remote_used(settings: Settings) -> RemoteUsed:
    said = settings.pipeline.remote
    return RemoteUsed(cache=said.cache, executor=said.executor, instance=said.instance)


def make_prefix(context: Context) -> Path:
    """Stage ``prefix``: the libraries with the CMake package around them."""
    settings, out = context.settings, context.staging / "out"
    package = {name: file for name, file in render_bundle(settings).items() if name.parts[0] == "lib"}
    assemble_prefix(context.places[Stage.LIBRARIES], package, settings.variants, out)
    return out


def make_programs(context: Context) -> Path:
    """Stage ``programs``: the consumer project, built as a user would."""
    settings, staging = context.settings, context.staging
    project = staging / "project"
    write_files(render_consumer(settings), project)
    prefix, key = context.places[Stage.PREFIX], context.action.key
    return build_programs(context.environment, project, PROGRAMS, prefix, key, staging)


def make_model(context: Context) -> Path:
    """Stage ``model``: one model, quantized, compiled and checked."""
    from coralforge.bundle.model_maker import make

    settings, out = context.settings, context.staging / "out"
    out.mkdir()
    (model,) = (one for one in bundled_models(settings) if one.label == context.action.name)
    make(settings, model, locate(settings, model), out, context.sink)
    return out


def make_bundle(context: Context) -> Path:
    """Stage ``bundle``: everything, gated and packed into ``NAME.tar.gz``, and its debug symbols beside it."""
    from coralforge.bundle.pack import pack
    from coralforge.bundle.promises import require_promised
    from coralforge.elf import gate

    settings = context.settings
    folder = context.staging / settings.bundle_name
    folder.mkdir()
    assemble(_bundle_inputs(context), folder)
    gate(folder, _policy(settings))
    require_promised(folder)
    debug = folder.with_name(folder.name + ENDING)
    debug.mkdir()
    made = [context.places[stage] / "debug" for stage in (Stage.LIBRARIES, Stage.PROGRAMS)]
    assemble_debug(folder, made, render_debug(settings), debug)
    out = context.staging / "out"
    out.mkdir()
    for one in (folder, debug):
        pack(one, out / f"{one.name}.tar.gz")
    return out


def _bundle_inputs(context: Context) -> BundleInputs:
    settings = context.settings
    return BundleInputs(
        release=settings.release.release,
        tensorflow_commit=settings.release.tensorflow_commit,
        arch=settings.arch,
        floor=settings.floor,
        variants=settings.variants,
        sdk=context.places[Stage.LIBRARIES],
        programs=context.places[Stage.PROGRAMS],
        templates=render_bundle(settings),
        trees=tuple(trees(settings, context.survey.facts.sources).values()),
        sample=context.places[f"{Stage.MODEL.value} {SAMPLE}"],
        models=tuple(context.places[f"{Stage.MODEL.value} {name}"] for name in sorted(settings.pipeline.models)),
        licence=settings.project.root / "LICENSE",
        operators=context.survey.facts.operators or (),
    )


def _policy(settings: Settings) -> Policy:
    from coralforge.elf import policy_for

    forbidden = (str(settings.cache.root), str(settings.project.root), str(Path.home()))
    return policy_for(settings.arch, settings.floor, settings.release.tensorflow_commit, forbidden)


def smoke_bundle(
    settings: Settings,
    archive: Path,
    report: Path,
    sink: Sink,
    *,
    device: bool = False,
    board: bool = False,
    userland: str | None = None,
    page: Path | None = None,
) -> str:
    """Run the bundle's smoke test; returns one sentence for the user. ``page`` is where the report goes as a page.

    It runs in a container, or on a whole emulated ``board``. ``device`` plugs the emulated device in, which is built
    first. ``userland`` is a name in config/userlands.py, for the container; None: the oldest that the bundle's floor
    promises to fit.
    """
    from coralforge.bundle.bench import Bench, BoardBench, ContainerBench, require_arch
    from coralforge.bundle.smoke import run_smoke
    from coralforge.bundle.userland import choose
    from coralforge.config.userlands import BOOKWORM
    from coralforge.containers.docker import DockerRunner
    from coralforge.containers.image import board as board_image
    from coralforge.containers.image import emulated_board
    from coralforge.containers.image_maker import ImageMaker, exists
    from coralforge.pipeline.side_builds import make_device

    docker = settings.project.docker
    if board:
        require_arch(settings.arch)
        image = emulated_board(docker, BOOKWORM)
    else:
        image = board_image(docker, choose(userland, archive, settings.floor.versions()), settings.arch)
    runner = DockerRunner()
    if not exists(runner.client, image):
        sink.emit(Step("board image"))
        ImageMaker.of(settings, runner.client, sink).ensure(image)
    with scratch(settings.cache.work, "device") as place:
        folder = make_device(settings, place / "device", sink).folder if device else None
        place.chmod(0o755)  # whatever uid the runner uses
        bench: Bench = ContainerBench(runner, image.tag, folder)
        if board:
            bench = BoardBench(runner.client, image.tag, sink, folder)
        result = run_smoke(archive, bench, settings.cache.work, report, sink, page=page)
    return result.summary()
