"""``invoke fetch`` has the packages of the builder image too; a build leaves them to whoever makes the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from coralforge.pipeline.survey import collect
from coralforge.plan import TOOLCHAIN, Stage
from coralforge.settings import Options, Settings, resolve
from tests.support.project_maker import copy_project_files
from tests.support.toolchain_maker import make_toolchain


def fetches(settings: Settings, goal: Stage) -> list[str]:
    return [action.name for action in collect(settings, goal).plan(goal) if action.stage is Stage.FETCH]


def test_packages_are_fetched_when_they_are_not_there(tmp_path: Path) -> None:
    project = copy_project_files(tmp_path / "project")
    settings = resolve(project, Options(), {"CORALFORGE_CACHE": str(tmp_path / "cache")})
    assert TOOLCHAIN in fetches(settings, Stage.FETCH)
    assert TOOLCHAIN not in fetches(settings, Stage.PREFIX)
    assert TOOLCHAIN not in fetches(replace(settings, toolchain=make_toolchain(settings.cache.root)), Stage.FETCH)
