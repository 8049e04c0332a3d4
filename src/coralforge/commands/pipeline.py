"""The Invoke tasks of the pipeline: resolve the options, call the engine, print what came out."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from coralforge.console import make_sink
from coralforge.errors import missing_error, user_error
from coralforge.pipeline.executor import Result, run_plan
from coralforge.pipeline.survey import collect
from coralforge.plan import Action, Stage
from coralforge.settings import Options, Project, Settings, resolve
from coralforge.util.paths import typed

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
ROOT = Path(__file__).resolve().parents[3]


def load_settings(options: Options) -> Settings:
    """The settings of this checkout."""
    return resolve(Project(ROOT), options)


def run_stage(goal: Stage, options: Options, dry_run: bool = False, explain: bool = False) -> None:
    """``fetch``, ``image`` and ``build``: have the goal, or say what that would take."""
    settings = load_settings(options)
    result = _have(settings, goal, dry_run, explain)
    if result is not None:
        _report(settings, goal, result)


def bundle(options: Options, formats: Sequence[str], dry_run: bool = False, explain: bool = False) -> None:
    """Have a bundle in these formats in the output folder, or say what that would take."""
    from coralforge.pipeline.formats import formats_of, goal_of, publish

    wanted = formats_of(formats)
    settings = load_settings(options)
    result = _have(settings, goal_of(wanted), dry_run, explain)
    if result is None:
        return
    published = {one: publish(settings, result.places, one) for one in wanted}
    _report_timings(result)
    print(f"variants: {_variants(settings)}")
    for one, digests in published.items():
        for file, digest in digests.items():
            print(f"{one.noun}: {file}\nsha256: {digest}")


def _have(settings: Settings, goal: Stage, dry_run: bool, explain: bool) -> Result | None:
    """Run the plan up to the goal; None where it was only to be shown."""
    if dry_run or explain:
        print_plan(collect(settings, goal).plan(goal), verbose=explain)
    if dry_run:
        return None
    with make_sink() as sink:
        return run_plan(settings, goal, sink)


def print_plan(actions: Sequence[Action], verbose: bool) -> None:
    """One line per action; the skipped ones only when asked for an explanation."""
    shown = [action for action in actions if action.run or verbose]
    for action in shown:
        key = f"  [{action.key.rpartition(':')[2][:12]}]" if verbose and action.key else ""
        print(f"{'run ' if action.run else 'skip'}  {action.label}: {action.reason}{key}")
    if not any(action.run for action in actions):
        print("nothing to do: everything is up to date")


def _report_timings(result: Result) -> None:
    if result.timings:
        slow = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.timings)
        print(f"time: {slow}")


def _variants(settings: Settings) -> str:
    return ", ".join(
        f"{variant.value}{'' if variant.real else ' (SIMULATED: no hardware is driven)'}"
        for variant in settings.variants
    )


def _report(settings: Settings, goal: Stage, result: Result) -> None:
    _report_timings(result)
    if goal is Stage.PREFIX:
        print(f"variants: {_variants(settings)}\nlibraries: {result.places[Stage.PREFIX]}")
    elif goal is Stage.FETCH:
        print(f"all sources of release {settings.release.release} are in {settings.cache.downloads}")
    elif goal is Stage.IMAGE:
        print("the builder image is there")


def template(options: Options, dest: str, name: str, force: bool) -> None:
    """Render the consumer project into a folder."""
    from coralforge.templates import render_consumer, write_project

    settings = load_settings(options)
    if not dest:
        raise user_error("--dest is missing", reason="option-missing", remedy="for example --dest ../my-app")
    if not _PROJECT.fullmatch(name):
        raise user_error(
            f"--name {name[:80]!r} is no name of a CMake project",
            reason="template-name",
            remedy="give one of at most 64 letters, digits and ._+-",
        )
    files = render_consumer(settings, name)
    destination = typed(dest).absolute()
    write_project(files, destination, force)
    print(f"{len(files)} files in {destination}; its README.md says how to build it")


def clean(options: Options, everything: bool) -> None:
    """Remove what can be made again; with ``everything`` also downloads, images and dist/."""
    from coralforge.commands.clean import clean as do_clean

    settings = load_settings(options)
    with make_sink() as sink:
        print(do_clean(settings, everything, sink))


def doctor(options: Options) -> None:
    """Say what this machine has and lacks."""
    from coralforge.commands.doctor import diagnose, render

    findings = diagnose(load_settings(options))
    print(render(findings))
    lacking = [finding for finding in findings if finding.state == "missing"]
    if lacking:
        raise missing_error(
            f"{len(lacking)} thing{'s are' if len(lacking) > 1 else ' is'} missing on this machine",
            reason="doctor",
            details="\n".join(f"{finding.name}: {finding.remedy}" for finding in lacking),
            remedy="get these, or let scripts/bootstrap --install doctor do it",
        )


def shell(options: Options) -> None:
    """An interactive shell in the builder container, set up as for the last libraries build."""
    from coralforge.commands.shell import shell_command
    from coralforge.containers.docker import DockerRunner
    from coralforge.containers.toolchain import builder
    from coralforge.pipeline.build import BuildEnvironment

    settings = load_settings(options)
    if not sys.stdin.isatty():
        raise user_error("invoke shell needs a terminal", reason="no-terminal", remedy="run it where you can type")
    program = shutil.which("docker")
    if program is None:
        raise missing_error(
            "the docker command is missing", reason="docker-missing", remedy="apt-get install docker.io"
        )
    with make_sink() as sink:
        run_plan(settings, Stage.IMAGE, sink)
        environment = BuildEnvironment(settings, DockerRunner(), builder(settings).tag, sink)
        command = shell_command(environment)
    os.execv(program, command)  # noqa: S606 - no shell is the point
