"""Builds the libraries for x86_64 on a remote executor, and compares them with those that were built here.

``python -m tests.performance.compare_remote [--target libusb]``. The executor is BuildGrid on this machine, with TLS
and a token; its worker is buildbox-worker in a container of the builder image, with two jobs at a time. Both builds
begin with an empty Bazel cache. It prints the seconds of each, what Bazel says of its actions, and whether all bytes
are the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coralforge.config.remote import Remote
from coralforge.console import make_sink
from coralforge.containers.docker import DockerRunner
from coralforge.containers.folders import readable_copy
from coralforge.containers.image import make_image
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.owner import LABEL, PID_LABEL
from coralforge.containers.toolchain import builder
from coralforge.events import Note, Recorder
from coralforge.pipeline.build import BazelJob, BuildEnvironment, run_bazel
from coralforge.pipeline.remote import connected
from coralforge.settings import Cache, Options, Project, Settings, resolve
from coralforge.sources.fetch import fetch_all
from coralforge.sources.trees import make_tree, survey_sources, to_fetch, trees
from coralforge.util.fingerprint import of_file
from coralforge.util.scratch import remove_tree
from tests.conftest import ROOT
from tests.support.buildgrid import INSTANCE, Server, bridge, install, serve
from tests.support.patience import wait_until
from tests.support.small_build import add_script

HERE = ROOT / "tests/integration/remote"
JOBS = 2
PORT = 5432
DATABASE = (
    "export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; initdb -D /tmp/db -U coral -A trust && "
    "echo 'host all all 0.0.0.0/0 trust' >>/tmp/db/pg_hba.conf && "
    "exec postgres -D /tmp/db -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=200"
)


@dataclass(frozen=True)
class Bench:
    """Everything a build needs but the place where it happens."""

    settings: Settings
    runner: DockerRunner
    job: BazelJob
    scratch: Path

    def build(self, name: str, remote: Remote) -> dict[str, str]:
        """Digests by name of file; prints how long it took."""
        pipeline = self.settings.pipeline.model_copy(update={"remote": remote})
        settings = replace(self.settings, pipeline=pipeline, cache=Cache(self.scratch / name / "cache"))
        staging, sink, started = self.scratch / name / "staging", Recorder(), time.monotonic()
        staging.mkdir(parents=True)
        with connected(BuildEnvironment(settings, self.runner, builder(settings).tag, sink)) as environment:
            out = run_bazel(environment, self.job, "0" * 16, staging)
        said = [event.text for event in sink.events if isinstance(event, Note)]
        print(f"{name}: {time.monotonic() - started:.0f} s; {'; '.join(said)}", flush=True)
        return {str(path.relative_to(out)): of_file(path) for path in sorted(out.rglob("*")) if path.is_file()}


@contextmanager
def container(client: Any, image: str, command: list[str], **options: Any) -> Iterator[Any]:
    """A container that runs in the background; it is gone at the end."""
    labels = {LABEL: "1", PID_LABEL: str(os.getpid())}
    name = f"coralforge-remote-{uuid.uuid4().hex[:8]}"
    made = client.containers.run(image, command, name=name, detach=True, init=True, labels=labels, **options)
    try:
        made.reload()
        yield made
    finally:
        made.remove(force=True)


@contextmanager
def database(client: Any, image: str) -> Iterator[str]:
    """The address of an empty database."""
    with container(client, image, ["sh", "-c", DATABASE], user="postgres") as made:
        create = ["sh", "-c", "/usr/lib/postgresql/*/bin/createdb -h /tmp -U coral coral"]
        wait_until(lambda: made.exec_run(create).exit_code == 0)
        address = made.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        yield f"postgresql://coral@{address}:{PORT}/coral"


def worker(server: Server, folder: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
    """The command of a worker, and what is mounted for it."""
    shown = folder / "worker"
    shown.mkdir(mode=0o755)
    (shown / "token").write_text(server.token)
    (shown / "ca.pem").write_bytes(server.authority.certificate.read_bytes())
    readable_copy(shown, folder / "shown")
    command = ["buildbox-worker", "--instance", INSTANCE, "--remote", server.address.replace("grpcs", "https")]
    command += ["--server-cert", "/shown/ca.pem", "--access-token", "/shown/token", "--concurrent-jobs", str(JOBS)]
    command += ["--buildbox-run", "/usr/bin/buildbox-run-hosttools", "--runner-arg=--disable-localcas", "worker"]
    return command, {str(folder / "shown"): {"bind": "/shown", "mode": "ro"}}


def prepared(project: Project, target: str, runner: DockerRunner, scratch: Path) -> Bench:
    """With sources and image in the user's cache. The libraries, or one small target."""
    settings = resolve(project, Options(arch="x86_64", variants=("simulated",)))
    with make_sink() as sink:
        fetch_all(to_fetch(settings), settings.cache.root, settings.mirrors, sink)
        ImageMaker.of(settings, runner.client, sink).ensure(builder(settings))
    facts = survey_sources(settings)
    for fact in facts:
        if not fact.unpacked:
            make_tree(settings, fact)
    simulator = readable_copy(project.simulator, scratch / "simulator", without=("tests",))
    script, own = ("build-sdk", {"simulator": simulator}) if target == "libraries" else ("build-small", {})
    return Bench(settings, runner, BazelJob(target, script, trees(settings, facts), own), scratch)


def main() -> int:
    """Build twice and compare; 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=("libraries", "libusb"), default="libraries")
    target = parser.parse_args().target
    with tempfile.TemporaryDirectory(prefix="coralforge-remote-") as name, ExitStack() as stack:
        scratch = Path(name)
        scratch.chmod(0o755)
        for folder in ("here", "there"):  # Bazel's folders are read-only
            stack.callback(remove_tree, scratch / folder)
        runner = DockerRunner()
        bench = prepared(add_script(scratch / "project"), target, runner, scratch)
        image = make_image(HERE, "worker", {}, base=builder(bench.settings))
        with make_sink() as sink:
            replace(ImageMaker.of(bench.settings, runner.client, sink), recipes=HERE).ensure(image)
        at = stack.enter_context(database(runner.client, image.tag))
        server = stack.enter_context(serve(install(scratch / "venv"), scratch, bridge(runner.client), at))
        command, volumes = worker(server, scratch)
        tmpfs = {"/tmp": "exec,mode=1777"}
        stack.enter_context(
            container(runner.client, image.tag, command, user="1000:1000", volumes=volumes, tmpfs=tmpfs)
        )
        (scratch / "token").write_text(server.token)
        said = {
            "executor": server.address,
            "instance": INSTANCE,
            "ca": str(server.authority.certificate),
            "jobs": 2 * JOBS,
            "headers": {"authorization": {"file": str(scratch / "token"), "prefix": "Bearer "}},
        }
        there = bench.build("there", Remote.model_validate(said))
        here = bench.build("here", Remote())
    differing = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
    print(f"{len(here)} files; " + (f"different: {', '.join(differing)}" if differing else "all the same bytes"))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
