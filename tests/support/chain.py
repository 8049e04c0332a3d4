"""A small real run of the pipeline, to be broken again and again: warm libraries and programs, all else made anew.

It fetches two sources (from a folder), unpacks them, makes the prefix, the sample's model and the bundle, and packs
Debian packages in a container: every stage but the two that compile.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coralforge import store
from coralforge.config.arch import Arch
from coralforge.containers.owner import LABEL, PID_LABEL
from coralforge.pipeline.survey import collect
from coralforge.plan import Action, Stage
from coralforge.settings import Cache, Options, Project, Settings, resolve
from coralforge.sources.fetch import cached
from coralforge.sources.trees import record_of, to_fetch, tree_folder
from coralforge.util.fingerprint import of_file
from coralforge.util.scratch import remove_tree
from tests.support.killed import Plan
from tests.support.patience import NET

ANEW = 2
"""So many of the smallest sources are fetched and unpacked anew."""


@dataclass(frozen=True)
class Elsewhere:
    """All that is different for a command: words before it, its umask (-1: the same), and its environment."""

    before: tuple[str, ...] = ()
    umask: int = -1
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    pid: int
    status: int
    said: str


@dataclass
class Chain:
    """A checkout with a cache of its own that has what takes long, and nothing else."""

    root: Path
    """The checkout."""
    warm: Cache
    """The user's cache, which has it all; nothing of it is written."""
    folder: Path
    """For the cache and the mirror."""
    arch: Arch = Arch.AARCH64
    kept: tuple[Stage, ...] = (Stage.LIBRARIES, Stage.PROGRAMS)
    """The stages whose artifacts are there from the beginning."""
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    """How its commands are run."""

    @property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache")

    @property
    def mirror(self) -> Path:
        return self.folder / "mirror"

    @property
    def output(self) -> Path:
        return self.settings.output

    @property
    def settings(self) -> Settings:
        """Those of the chain's commands, but for the cache."""
        return resolve(Project(self.root), Options(arch=self.arch.value, variants=("simulated",)))

    @property
    def bundle(self) -> tuple[str, ...]:
        """The command."""
        options = ("--arch", self.arch.value, "--variant", "simulated", "--mirror", str(self.mirror))
        return ("bundle", *options, "--format", "tar.gz", "--format", "deb")

    def prepare(self) -> None:
        """Fill the cache from the user's: what compiles, downloads, trees.

        For speed packages are not compressed, and Python's byte code is there, also where no run writes it.
        """
        for code in (self.root / "src", self.root / "tests" / "support"):
            assert compileall.compile_dir(code, quiet=1)
        script = self.root / "scripts" / "build-packages"
        text = script.read_text(encoding="utf-8")
        assert "-Zxz" in text or "-Znone" in text
        script.write_text(text.replace("-Zxz", "-Znone"), encoding="utf-8")
        settings = self.settings
        for action in self._actions(Stage.PROGRAMS):
            if action.stage in self.kept:
                _link_tree(store.location(self.warm, action), store.location(self.cache, action))
        for wanted in to_fetch(settings):
            fetched = cached(wanted, self.warm.root)
            assert fetched is not None
            place = self.cache.downloads / fetched.place.sha256 / fetched.path.name
            _link_tree(fetched.path.parent, place.parent)
            tree = tree_folder(self.warm, wanted.name, f"sha256:{fetched.place.sha256}")
            self.cache.trees.mkdir(exist_ok=True)
            for path in (tree, record_of(tree)):
                if path.exists():
                    (self.cache.trees / path.name).symlink_to(path)
        self.mirror.mkdir()
        for size, place, tree in self._smallest():
            assert size
            shutil.copyfile(place, self.mirror / place.parent.name)
            for path in (tree, record_of(tree)):
                path.unlink(missing_ok=True)
            remove_tree(place.parent)

    def rewind(self) -> None:
        """As before a first run, but for what compiles."""
        keep = {action.artifact for action in self._actions(Stage.PROGRAMS) if action.stage in self.kept}
        for path in self.cache.artifacts.iterdir():
            if path.name not in keep:
                remove_tree(path)
        for path in self.cache.trees.iterdir():
            if not path.is_symlink():
                remove_tree(path)
        for name in self.mirror.iterdir():
            remove_tree(self.cache.downloads / name.name)
        remove_tree(self.cache.last)
        remove_tree(self.output)

    def forget(self, *stages: Stage) -> None:
        """Remove the artifacts of some stages, and what users got."""
        for stage in stages:
            for path in self.cache.artifacts.glob(f"{stage.value}-*"):
                remove_tree(path)
        remove_tree(self.output)

    def run(self, arguments: Sequence[str], plan: Plan | None = None, **environment: str) -> Ended:
        """Run ``invoke ARGUMENTS...`` to its end."""
        process = self.start(arguments, plan, **environment)
        said, _ = process.communicate(timeout=NET)
        return Ended(process.pid, process.returncode, said)

    def start(self, arguments: Sequence[str], plan: Plan | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start ``invoke ARGUMENTS...``, to be stopped as the plan says."""
        command = plan.command(arguments) if plan else [str(Path(sys.executable).parent / "invoke"), *arguments]
        return subprocess.Popen(
            [*self.elsewhere.before, *command],
            cwd=self.root,
            umask=self.elsewhere.umask,
            env=self.env(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def env(self, **changes: str) -> dict[str, str]:
        """The environment of the chain's commands."""
        path = f"{self.root / 'src'}:{self.root}"
        own = {"PYTHONPATH": path, "CORALFORGE_CACHE": str(self.cache.root), **self.elsewhere.environment, **changes}
        return {**os.environ, **own}

    def made(self) -> dict[str, str]:
        """The digests of all that users get."""
        return {path.name: of_file(path) for path in sorted(self.output.iterdir())} if self.output.is_dir() else {}

    def leftovers(self) -> list[str]:
        """Half files and folders, and damaged artifacts: none may be there when nothing runs.

        Of artifacts that were there from the beginning, only lengths and times are read.
        """
        cache = self.cache
        found = [path for folder in (cache.tmp, cache.work) if folder.is_dir() for path in folder.iterdir()]
        found += [path for path in self.output.iterdir() if path.name.startswith(".")] if self.output.is_dir() else []
        parts = cache.downloads / ".parts"
        found += [path for path in parts.glob("*") if path.suffix != ".lock"]
        problems = [str(path) for path in found]
        for action in self._actions(Stage.DEB):
            made = store.location(cache, action).exists()
            thorough = action.stage not in self.kept
            if made and (problem := store.damage(cache, action, thorough=thorough)):
                problems.append(f"{action.artifact}: {problem}")
        return problems

    def copy(self, root: Path, folder: Path, **changes: Any) -> Chain:
        """Another chain that makes the same in another checkout and folder."""
        made = replace(self, root=root, folder=folder, **changes)
        made.prepare()
        return made

    def _actions(self, goal: Stage) -> tuple[Action, ...]:
        return collect(self.settings, goal).plan(goal)

    def _smallest(self) -> list[tuple[int, Path, Path]]:
        found = []
        for wanted in to_fetch(self.settings):
            fetched = cached(wanted, self.cache.root)
            if fetched is not None:
                tree = tree_folder(self.cache, wanted.name, f"sha256:{fetched.place.sha256}")
                found.append((fetched.path.stat().st_size, fetched.path, tree))
        return sorted(found)[:ANEW]


def containers_of(client: Any, pid: int) -> list[str]:
    """Names of the containers that a process made."""
    found = client.api.containers(all=True, filters={"label": f"{PID_LABEL}={pid}"})
    return [name for one in found for name in one["Names"]]


def bystanders(client: Any) -> set[str]:
    """All containers that are nothing to the chain: of others, and of ours that run on by themselves."""
    return {one["Id"] for one in client.api.containers(all=True) if one["Labels"].get(LABEL) is None}


def _link_tree(source: Path, target: Path) -> None:
    def link(one: str, other: str) -> str:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)
        return other

    shutil.copytree(source, target, symlinks=True, copy_function=link)
