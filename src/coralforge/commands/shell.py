"""``invoke shell``: a shell in the builder container."""

from __future__ import annotations

from dataclasses import replace

from coralforge.containers.interactive import command
from coralforge.containers.spec import Mount
from coralforge.containers.toolchain import compiler_key
from coralforge.pipeline.build import BuildEnvironment, container
from coralforge.pipeline.survey import collect
from coralforge.sources.trees import tree_folder


def shell_command(environment: BuildEnvironment) -> list[str]:
    """``docker run`` as the libraries are built, but with a terminal: same image, user, limits and mounts.

    Sources that are not unpacked, and a Bazel cache that is not there yet, are left out.
    """
    settings = environment.settings
    project = settings.project
    mounts = [Mount(project.bazel, "/workspace"), Mount(project.scripts, "/scripts")]
    for fact in collect(settings).facts.sources:
        if fact.digest and fact.unpacked:
            mounts.append(Mount(tree_folder(settings.cache, fact.name, fact.digest), f"/sources/{fact.name}"))
    spec = container(environment, "shell", ("bash",), mounts)
    cache = settings.cache.bazel / compiler_key(settings)[:16]
    if cache.is_dir():
        mount = Mount(cache, "/cache", writable=True)
        spec = replace(spec, mounts=(*spec.mounts, mount), env=(("HOME", "/cache/home"),))
    return command(spec, environment.runner.owner())
