"""Bazel's way out to a remote cache or executor, as ``remote:`` in pipeline.yaml says.

``connected`` wraps a build environment: the same one where there is no ``remote:``, one without it where no server
answers. What a remote build leaves behind on this machine is apart from what is built here, since a local build must
not take another machine's results for its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from coralforge.config.pipeline import Pipeline
from coralforge.config.remote import Remote
from coralforge.containers.folders import writable_folder
from coralforge.containers.spec import ContainerSpec, Finished, Mount, Runner
from coralforge.errors import CoralforgeError, missing_error
from coralforge.events import Note, Sink
from coralforge.pipeline.bazel_options import add_options, place
from coralforge.pipeline.build import BuildEnvironment
from coralforge.pipeline.disk_cache import with_disk_cache
from coralforge.pipeline.remote.answers import Answers
from coralforge.pipeline.remote.credentials import TARGET, read_credentials, write_credentials
from coralforge.pipeline.remote.reach import TlsFiles, Trouble, trouble
from coralforge.pipeline.remote.tunnels import Tunnel, inside, names, tunnels
from coralforge.settings import Settings, without_remote

SCRIPT = "/scripts/remote_run.py"


@contextmanager
def connected(environment: BuildEnvironment) -> Iterator[BuildEnvironment]:
    """The environment for a build by Bazel, with the way out that pipeline.yaml asks for.

    Raises:
        CoralforgeError: ``remote-credentials`` (exit code 2), ``remote-away`` (3), ``remote-untrusted`` (3),
            ``remote-refused`` (3).
    """
    settings = environment.settings
    remote = settings.pipeline.remote
    if not remote.used:
        with with_disk_cache(environment) as alone:
            yield alone
        return
    credentials = read_credentials(settings.project, remote)
    through = _way(remote, credentials.files)
    if isinstance(through, Trouble):
        environment.sink.emit(Note(_fallback(settings, through), "warning"))
        with with_disk_cache(replace(environment, settings=without_remote(settings))) as alone:
            yield alone
        return
    settings.cache.tmp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="remote-", dir=settings.cache.tmp) as name:
        folder = Path(name)
        shown = write_credentials(credentials, through, remote.away, folder, environment.runner.owner())
        runner = RemoteRunner(
            environment.runner, (*options(remote), *shown), through, folder, settings.pipeline, environment.sink
        )
        try:
            yield replace(environment, settings=_for_bazel(settings, through), runner=runner)
        except CoralforgeError as error:
            raise _explained(error, remote, runner.answers) from error
        if summary := runner.answers.summary:
            environment.sink.emit(Note(f"remote: {summary}"))


def _way(remote: Remote, files: TlsFiles | None) -> tuple[Tunnel, ...] | Trouble:
    found = trouble(remote, files)
    if found is not None:
        return found
    try:
        return tunnels(remote) if remote.tls else ()
    except OSError as error:  # it had an address a moment ago
        return Trouble(remote.addresses[0], str(error), away=True)


def options(remote: Remote) -> list[str]:
    """Bazel's options, but for the addresses (the build's script has them) and for what is shown to the servers."""
    found = [
        f"--remote_timeout={remote.timeout}s",
        f"--{'' if remote.upload else 'no'}remote_upload_local_results",
        f"--{'' if remote.away == 'local' else 'no'}remote_local_fallback",
    ]
    if remote.away == "local":  # else each action would try it again, some seconds each
        found.append("--experimental_circuit_breaker_strategy=failure")
    if remote.instance:
        found.append(f"--remote_instance_name={remote.instance}")
    found += [f"--remote_default_exec_properties={name}={value}" for name, value in remote.properties.items()]
    return found


@dataclass
class RemoteRunner:
    """Runs builds by Bazel with options added, ``folder`` at ``TARGET``, and a Bazel cache of their own."""

    inner: Runner
    options: tuple[str, ...]
    through: tuple[Tunnel, ...]
    folder: Path
    said: Pipeline
    """pipeline.yaml; in what the build is told, addresses and processors are others."""
    sink: Sink
    answers: Answers = field(default_factory=Answers)

    def owner(self) -> tuple[int, int]:
        return self.inner.owner()

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        """As ``Runner.run``; the mounts of ``spec`` are those of ``pipeline.build.run_bazel``."""
        add_options(spec, self.options)
        kept = place(spec, "/cache")
        own = kept.with_name(f"{kept.name}-remote")
        mounts = tuple(
            replace(m, source=writable_folder(own, self)) if m.target == "/cache" else m for m in spec.mounts
        )

        def both(line: str) -> None:
            on_line(line)
            if trouble := self.answers.take(line):
                self.sink.emit(Note(f"{self.said.remote.where}: {trouble}", "warning"))

        cpus = min(self.said.limits.cpus, os.cpu_count() or 1) if self.said.limits.cpus else None
        command = ("python3", SCRIPT, *spec.command)
        mounts = (*mounts, Mount(self.folder, TARGET))
        return self.inner.run(
            replace(spec, command=command, mounts=mounts, cpus=cpus, names=names(self.through)), both
        )


def _for_bazel(settings: Settings, through: tuple[Tunnel, ...]) -> Settings:
    pipeline = settings.pipeline
    remote = inside(pipeline.remote, through) if through else pipeline.remote
    limits = pipeline.limits.model_copy(update={"cpus": remote.jobs or pipeline.limits.cpus})
    return replace(settings, pipeline=pipeline.model_copy(update={"limits": limits, "remote": remote}))


def _fallback(settings: Settings, found: Trouble) -> str:
    """The warning that all is built here. Raises CoralforgeError where that is not wanted, or would hide a fraud."""
    brief = f"remote {found.address}: {found.why}"
    if not found.away:
        raise missing_error(
            brief,
            reason="remote-untrusted",
            remedy="set remote.ca to the authority that signed its certificate; nothing was sent to it",
        )
    if settings.pipeline.remote.away == "fail":
        raise missing_error(
            brief,
            reason="remote-away",
            remedy="start the server, or let this machine build alone: remote.away: local",
        )
    return f"{brief}. All is built on this machine alone, which takes longer (remote.away: local)"


def _explained(error: CoralforgeError, remote: Remote, answers: Answers) -> CoralforgeError:
    """The error of a build, in words about the server where that was the cause."""
    if error.reason != "build-failed" or not answers.stopped:
        return error
    *before, last = answers.troubles
    return missing_error(
        f"{remote.where}: {last}",
        reason="remote-refused",
        details="\n".join([*before, *error.details.splitlines()[-1:]]),  # the last line names the log
        remedy="see docs/remote.md; without `remote` in pipeline.yaml all is built on this machine",
    )
