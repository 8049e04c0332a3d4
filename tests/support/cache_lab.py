"""Copies of a real cache with a built bundle, for tests that damage them; nothing of the user's own is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coralforge import store
from coralforge.config.pipeline import Pipeline
from coralforge.errors import CoralforgeError, system_error
from coralforge.events import Note, Recorder
from coralforge.pipeline.executor import run_plan
from coralforge.pipeline.formats import Format, publish
from coralforge.pipeline.survey import collect
from coralforge.plan import Action, SourceFact, Stage
from coralforge.settings import Cache, Settings
from coralforge.sources.trees import survey_sources, tree_folder
from coralforge.util.fingerprint import of_file
from coralforge.util.scratch import remove_tree
from tests.conftest import ROOT
from tests.support.faults import farm


@dataclass(frozen=True)
class Ending:
    """How a run ended: with the digest of a bundle, or with an error."""

    digest: str | None
    reason: str
    """Of the error; empty where there is a bundle."""
    notes: tuple[str, ...]
    """Told to the user."""


@dataclass(frozen=True)
class Room:
    """A cache of its own, and what is in it."""

    settings: Settings
    actions: tuple[Action, ...]
    sources: tuple[SourceFact, ...]
    sink: Recorder = field(default_factory=Recorder)

    @property
    def cache(self) -> Cache:
        return self.settings.cache

    def artifact(self, stage: Stage) -> Path:
        """The folder of the first artifact of a stage."""
        return next(store.location(self.cache, action) for action in self.actions if action.stage is stage)

    def tree(self, fact: SourceFact) -> Path:
        assert fact.digest is not None
        return tree_folder(self.cache, fact.name, fact.digest)

    def download(self, fact: SourceFact) -> Path:
        """The archive of a source."""
        assert fact.digest is not None
        [path] = (self.cache.downloads / fact.digest.removeprefix("sha256:")).iterdir()
        return path

    def notes(self) -> list[str]:
        """Told to users by runs with ``sink``."""
        return list(_notes(self.sink))

    def surveyed(self) -> tuple[SourceFact, ...]:
        """The facts about the sources as they are now."""
        return survey_sources(self.settings)

    def forget(self, *stages: Stage) -> None:
        """Remove the artifacts of these stages, so that they are made again from what is there."""
        for action in self.actions:
            if action.stage in stages:
                store.discard(self.cache, action)

    def forget_tree(self, fact: SourceFact) -> None:
        remove_tree(self.tree(fact))
        self.tree(fact).with_name(f"{self.tree(fact).name}.json").unlink()

    def bundle(self) -> Ending:
        """``invoke bundle`` in this cache. Errors that users may see are an ending; others are raised."""
        sink = Recorder()
        try:
            result = run_plan(self.settings, Stage.BUNDLE, sink)
            published = publish(self.settings, result.places, Format.TAR_GZ)
        except CoralforgeError as error:
            return Ending(None, error.reason, _notes(sink))
        except OSError as error:
            known = system_error(error)
            if known is None:
                raise
            return Ending(None, known.reason, _notes(sink))
        [(archive, said)] = published.items()
        assert of_file(archive) == said
        return Ending(said, "", _notes(sink))


def _notes(sink: Recorder) -> tuple[str, ...]:
    return tuple(event.text for event in sink.events if isinstance(event, Note))


@dataclass(frozen=True)
class CacheLab:
    """A cache in which everything is built, and the digest of the bundle that is made from it."""

    settings: Settings
    actions: tuple[Action, ...]
    sources: tuple[SourceFact, ...]
    golden: str
    scratch: Path

    @classmethod
    def of(cls, settings: Settings, golden: str, scratch: Path) -> CacheLab:
        survey = collect(settings, Stage.BUNDLE)
        actions = survey.plan(Stage.BUNDLE)
        assert not any(action.run for action in actions), f"the bundle is not built: {actions}"
        return cls(settings, actions, survey.facts.sources, golden, scratch)

    def source(self, name: str) -> SourceFact:
        return next(fact for fact in self.sources if fact.name == name)

    def on_small_disks(self, request: Mapping[str, object]) -> list[dict[str, Any]]:
        """The findings of ``small_disk``, case by case: it runs in a mount namespace of its own."""
        mount = self.scratch / "disk"
        mount.mkdir(exist_ok=True)
        asked = self.scratch / "request.json"
        asked.write_text(json.dumps({"mount": str(mount), "golden": self.golden, **request}))
        alone = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
        done = subprocess.run(
            [*alone, sys.executable, "-m", "tests.support.small_disk", str(asked)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"src{os.pathsep}.", "CORALFORGE_CACHE": str(self.settings.cache.root)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    @contextmanager
    def room(self, *own_trees: SourceFact) -> Iterator[Room]:
        """A cache that may be damaged. Of the trees, only ``own_trees`` may be; the others are links to the lab's."""
        here = self.settings.cache
        with TemporaryDirectory(prefix="room-", dir=self.scratch) as scratch:
            cache = Cache(Path(scratch, "cache"))
            settings = replace(self.settings, cache=cache, pipeline=self._to(Path(scratch, "dist")))
            for action in self.actions:
                farm(store.location(here, action), store.location(cache, action))
            farm(here.last, cache.last)
            for fact in self.sources:
                assert fact.digest is not None
                farm(here.downloads / fact.digest[7:], cache.downloads / fact.digest[7:])
                self._link_tree(fact, cache, own=fact in own_trees)
            yield Room(settings, self.actions, self.sources)

    def _to(self, output: Path) -> Pipeline:
        return self.settings.pipeline.model_copy(update={"output": str(output)})

    def _link_tree(self, fact: SourceFact, cache: Cache, *, own: bool) -> None:
        assert fact.digest is not None
        source = tree_folder(self.settings.cache, fact.name, fact.digest)
        target = tree_folder(cache, fact.name, fact.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        if own:
            farm(source, target)
        else:
            target.symlink_to(source)
        record = source.with_name(f"{source.name}.json")
        shutil.copy2(record, target.with_name(record.name))
