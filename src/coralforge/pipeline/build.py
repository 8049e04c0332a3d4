"""The libraries: one Bazel invocation in the builder container, from verified trees, without a network."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coralforge.config.arch import Arch
from coralforge.containers.folders import readable_copy, writable_folder
from coralforge.containers.spec import ContainerSpec, Finished, Mount, Runner
from coralforge.containers.toolchain import compiler_key
from coralforge.errors import CoralforgeError, build_error
from coralforge.events import Note, Output, Progress, Sink
from coralforge.settings import Settings
from coralforge.sources.records import Tree
from coralforge.store import no_space
from coralforge.util import fingerprint
from coralforge.util.logs import new_log

PROGRESS = re.compile(r"^\[([\d,]+) / ([\d,]+)\]")
TAIL = 25
RESERVED_BYTES = 1 << 30


@dataclass
class Log:
    """Keeps what a container prints in a file, turns Bazel's and Ninja's counters into progress."""

    name: str
    path: Path
    sink: Sink
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    no_space: bool = False

    def __call__(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        found = PROGRESS.match(line)
        if found:
            done, total = (int(text.replace(",", "")) for text in found.groups())
            self.sink.emit(Progress(self.name, done, total, "actions"))
        else:
            self.tail.append(line)
        self.no_space = self.no_space or "no space left on device" in line.lower()
        self.sink.emit(Output(self.name, line))


@dataclass(frozen=True)
class BuildEnvironment:
    """Where building happens: who runs containers, in which image, and who is told about it."""

    settings: Settings
    runner: Runner
    image: str
    """The tag of one that has the compiler."""
    sink: Sink


def run_container(environment: BuildEnvironment, spec: ContainerSpec, key: str) -> Finished:
    """Run a build container with its log kept; anything but exit status 0 is an error.

    Raises:
        CoralforgeError: ``build-failed``, ``build-memory`` (exit code 5), ``no-space`` (exit code 3).
    """
    place = new_log(environment.settings.cache.logs, f"{spec.name}-{key[:16]}")
    log = Log(spec.name, place, environment.sink)
    finished = environment.runner.run(spec, log)
    if finished.status != 0:
        raise _failure(environment.settings, spec, finished, log)
    return finished


def _failure(settings: Settings, spec: ContainerSpec, finished: Finished, log: Log) -> CoralforgeError:
    if log.no_space:
        return no_space(settings.cache, "\n".join(list(log.tail)[-3:]))
    if finished.out_of_memory or finished.status == 137:
        return build_error(
            f"the {spec.name} container was killed, most likely for memory",
            reason="build-memory",
            details=f"memory limit {(spec.memory_bytes or 0) // 2**20} MiB\nlog: {log.path}",
            remedy="give it more memory, or fewer processors: limits.memory_mb and limits.cpus in pipeline.yaml",
        )
    return build_error(
        f"the {spec.name} build failed (exit status {finished.status})",
        reason="build-failed",
        details="\n".join([*log.tail, f"log: {log.path}"]),
        remedy="read the first error in the log; finished steps are kept and the next run goes on from there",
    )


def container(
    environment: BuildEnvironment, name: str, command: tuple[str, ...], mounts: list[Mount]
) -> ContainerSpec:
    """A build container with the limits of pipeline.yaml."""
    limits = environment.settings.pipeline.limits
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return ContainerSpec(
        name=name,
        image=environment.image,
        command=command,
        mounts=tuple(mounts),
        cpus=min(limits.cpus, os.cpu_count() or 1) if limits.cpus else None,
        memory_bytes=limits.memory_mb * 2**20 if limits.memory_mb else max(machine - RESERVED_BYTES, machine // 2),
        pids=limits.pids,
    )


def build_libraries(environment: BuildEnvironment, trees: dict[str, Tree], key: str, staging: Path) -> Path:
    """Build everything in C++ that a bundle has below lib/ and include/, into a folder below ``staging``.

    Raises as :func:`run_container`.
    """
    project = environment.settings.project
    simulator = readable_copy(project.simulator, staging / "simulator", without=(project.simulator_tests.name,))
    out = run_bazel(environment, BazelJob("libraries", "build-sdk", trees, {"simulator": simulator}), key, staging)
    made = ("lib/libtensorflowlite.so", "include/edgetpu_c.h", "host/flatc", "check/libarchives.so", "toolchain.json")
    _require(out, list(made))
    return out


def build_simulator_tests(environment: BuildEnvironment, trees: dict[str, Tree], key: str, staging: Path) -> Path:
    """Build the C++ tests of the simulated libedgetpu, into a folder below ``staging``: bin/ and lib/.

    TensorFlow Lite comes from the Bazel cache where libraries of the same architecture were built before, and the
    other way round. Raises as :func:`run_container`.
    """
    simulator = readable_copy(environment.settings.project.simulator, staging / "simulator")
    job = BazelJob("simulator-tests", "build-simulator-tests", trees, {"simulator": simulator})
    out = run_bazel(environment, job, key, staging)
    _require(out, ["bin/public_test", "bin/inner_test", "lib/libedgetpu.so.1"])
    return out


def build_device(environment: BuildEnvironment, trees: dict[str, Tree], key: str, staging: Path) -> Path:
    """Build the emulated device into a folder below ``staging``: bin/, lib/, shim/.

    Its tests too, where ``trees`` has what only they need. Raises as :func:`run_container`.
    """
    device = readable_copy(environment.settings.project.device, staging / "device")
    out = run_bazel(environment, BazelJob("device", "build-device", trees, {"device": device}), key, staging)
    _require(out, ["bin/coral-device", "shim/libusb-1.0.so.0", "lib/libtensorflowlite.so"])
    return out


@dataclass(frozen=True)
class BazelJob:
    """A build by Bazel: the script that names its targets, the sources, and copies of our own folders by name."""

    name: str
    script: str
    trees: dict[str, Tree]
    own: dict[str, Path]


def run_bazel(environment: BuildEnvironment, job: BazelJob, key: str, staging: Path) -> Path:
    """Run a script of ``scripts/`` that builds with Bazel; returns the folder below ``staging`` that it filled.

    The Bazel cache is kept per compiler: one that changes invalidates all of it, a sysroot its own part.
    Raises as :func:`run_container`.
    """
    project = environment.settings.project
    out = writable_folder(staging / "out", environment.runner)
    compiler = compiler_key(environment.settings)
    cache = writable_folder(environment.settings.cache.bazel / compiler[:16], environment.runner)
    mounts = [
        Mount(readable_copy(project.bazel, staging / "workspace"), "/workspace"),
        Mount(readable_copy(project.scripts, staging / "scripts"), "/scripts"),
        Mount(_request(environment.settings, job, staging), "/request"),
        *[Mount(path, f"/sources/{name}") for name, path in job.own.items()],
        *[Mount(tree.path, f"/sources/{tree.name}") for tree in job.trees.values()],
        Mount(cache, "/cache", writable=True),
        Mount(out, "/out", writable=True),
    ]
    remote = environment.settings.pipeline.remote
    network = bool(remote.cache or remote.executor)
    if network:
        environment.sink.emit(Note("remote cache or executor: this build's container has a network", "warning"))
    spec = container(environment, job.name, ("python3", f"/scripts/{job.script}"), mounts)
    run_container(environment, replace(spec, network=network), key)
    return out


def build_programs(
    environment: BuildEnvironment, project: Path, programs: Sequence[str], prefix: Path, key: str, staging: Path
) -> Path:
    """Build the rendered consumer ``project`` against ``prefix``, as a user would, into a folder below ``staging``.

    ``programs`` have to be in its ``bin/`` afterwards. Raises as :func:`run_container`.
    """
    arch = environment.settings.arch
    out = writable_folder(staging / "out", environment.runner)
    mounts = [
        Mount(readable_copy(environment.settings.project.scripts, staging / "scripts"), "/scripts"),
        Mount(project, "/project"),
        Mount(prefix, "/sdk"),
        Mount(out, "/out", writable=True),
    ]
    spec = container(environment, "programs", ("sh", "/scripts/build-programs"), mounts)
    jobs = str(spec.cpus or os.cpu_count() or 1)
    env = (("ARCH", arch.value), ("TRIPLE", arch.triple), ("JOBS", jobs))
    run_container(environment, replace(spec, env=env), key)
    _require(out, [f"bin/{name}" for name in programs])
    return out


def _request(settings: Settings, job: BazelJob, staging: Path) -> Path:
    sources = {name: {"digest": tree.digest, "prebuilt": tree.prebuilt} for name, tree in job.trees.items()}
    for name, path in job.own.items():
        sources[name] = {"digest": fingerprint.of_paths(path), "prebuilt": False}
    request = {
        "arch": settings.arch.value,
        "platforms": {arch.value: bazel_platform(arch) for arch in Arch},
        "release": settings.release.release,
        "tensorflow_commit": settings.release.tensorflow_commit,
        "variants": [variant.value for variant in settings.variants],
        "jobs": settings.pipeline.limits.cpus or os.cpu_count() or 1,
        "memory_mb": settings.pipeline.limits.memory_mb,
        "remote_cache": settings.pipeline.remote.cache,
        "remote_executor": settings.pipeline.remote.executor,
        "sources": sources,
    }
    folder = staging / "request"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "request.json").write_text(json.dumps(request, indent=1, sort_keys=True), encoding="utf-8")
    (folder / "request.json").chmod(0o644)
    return folder


def bazel_platform(arch: Arch) -> dict[str, object]:
    """An architecture, as Bazel is told of it."""
    row = arch.row
    return {
        "triple": row.triple,
        "constraint": f"@platforms//cpu:{row.constraint}",
        "cpu": row.cpu,
        "flags": row.flags,
        "loader": row.loader,
    }


def _require(out: Path, names: list[str]) -> None:
    """A container that ended well and yet left nothing is a failure."""
    absent = [name for name in names if not (out / name).is_file()]
    if absent:
        raise build_error(
            f"the build ended without an error, but did not make {', '.join(absent)}",
            reason="build-incomplete",
            remedy="this is a bug in coralforge: please report it with the log",
        )
