"""Measures a cold Bazel build of the libraries against CMake and Ninja: same sources, compiler, sysroot and flags.

For docs/performance.md: ``python -m tests.performance.compare_builds``, 25 minutes on two processors. Both run in
the builder container with the limits of pipeline.yaml, one after the other, each with an empty cache of its own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge.console import make_sink
from coralforge.containers.docker import DockerRunner
from coralforge.containers.folders import readable_copy, writable_folder
from coralforge.containers.spec import ContainerSpec, Finished, Mount
from coralforge.containers.toolchain import builder as builder_image
from coralforge.pipeline.build import (
    BuildEnvironment,
    build_libraries,
    container,
    run_container,
)
from coralforge.pipeline.survey import collect
from coralforge.plan import Stage
from coralforge.settings import Cache, Options, Project, resolve
from coralforge.sources.records import Tree
from coralforge.sources.trees import trees
from coralforge.templates import render_toolchains, write_files
from coralforge.util.scratch import remove_tree

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# The processor time of everything in the container: Bazel's compilers are no children of its client.
CPU_TIME = 'status=0; "$@" || status=$?; awk \'/^usage_usec/ {print "processor seconds:", $2 / 1e6}\' '
CPU_TIME += "/sys/fs/cgroup/cpu.stat 2>/dev/null || awk '{print \"processor seconds:\", $1 / 1e9}' "
CPU_TIME += "/sys/fs/cgroup/cpuacct/cpuacct.usage; exit $status"


@dataclass
class Timed:
    """A runner that also prints how long each container took."""

    inner: DockerRunner

    def run(self, spec: ContainerSpec, on_line: object) -> Finished:
        lines: list[str] = []
        wrapped = replace(spec, command=("sh", "-c", CPU_TIME, "sh", *spec.command))

        def keep(line: str) -> None:
            lines.append(line)
            on_line(line)  # type: ignore[operator]

        finished = self.inner.run(wrapped, keep)
        found = [line for line in lines if line.startswith(("processor seconds", "cmake: wall"))]
        print(f"{spec.name}: {finished.seconds:.0f} s of wall time; {'; '.join(found)}", flush=True)
        return finished

    def owner(self) -> tuple[int, int]:
        return self.inner.owner()


def cmake(environment: BuildEnvironment, sources: dict[str, Tree], scratch: Path) -> None:
    """Build with CMake and Ninja below ``scratch``."""
    project, triple = environment.settings.project, environment.settings.arch.triple
    write_files(render_toolchains(environment.settings), scratch / "toolchains")
    mounts = [
        Mount(readable_copy(project.bazel, scratch / "workspace"), "/workspace"),
        Mount(readable_copy(project.simulator, scratch / "simulator"), "/sources/simulator"),
        Mount(scratch / "toolchains", "/toolchains"),
        Mount(readable_copy(HERE, scratch / "comparison"), "/comparison"),
        *[Mount(tree.path, f"/sources/{tree.name}") for tree in sources.values()],
        Mount(writable_folder(scratch / "cache", environment.runner), "/cache", writable=True),
    ]
    run_container(
        environment, container(environment, "cmake", ("sh", "/comparison/cmake-build", triple), mounts), "comparison"
    )


def main() -> None:
    settings = resolve(Project(ROOT), Options(arch="aarch64", variants=("simulated",)))
    runner = DockerRunner()
    survey = collect(settings)
    if any(action.run for action in survey.plan(Stage.PREFIX)):
        sys.exit("run this first, for sources and image: invoke build --arch aarch64 --variant simulated")
    sources = trees(settings, survey.facts.sources)
    image = builder_image(settings)
    scratch = settings.cache.work / "comparison"  # not in tmp, which the next run of invoke empties
    remove_tree(scratch)
    try:
        for part in ("bazel", "cmake"):
            (scratch / part).mkdir(parents=True)
        with make_sink() as sink:
            environment = BuildEnvironment(
                replace(settings, cache=Cache(scratch / "cold")), Timed(runner), image.tag, sink
            )
            build_libraries(environment, sources, "comparison", scratch / "bazel")
            cmake(environment, sources, scratch / "cmake")
    finally:
        remove_tree(scratch)


if __name__ == "__main__":
    main()
