"""The libraries with what options of pipeline.yaml add to them or change in them.

``build.py`` builds those without options, and does not know of any: its text is in their key.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from coralforge.pipeline.build import BazelJob, BuildEnvironment, build_libraries, run_bazel
from coralforge.pipeline.workspace import with_operators, with_xnnpack
from coralforge.settings import Project, Settings
from coralforge.sources.records import Tree


def build_all(
    environment: BuildEnvironment, trees: dict[str, Tree], operators: Collection[str], key: str, staging: Path
) -> Path:
    """Build what :func:`build_libraries` builds, and what options add, into a folder below ``staging``.

    ``operators`` are the only ones of TensorFlow Lite; none for all. Raises as :func:`build_libraries` and
    :func:`registration`.
    """
    settings = environment.settings
    project = _composed(settings, trees, operators, staging)
    environment = replace(environment, settings=replace(settings, project=project))
    out = build_libraries(environment, trees, key, staging)
    if settings.xnnpack:
        # In the same Bazel cache, and the same workspace: another one would have all repositories made again.
        place = staging / "xnnpack"
        place.mkdir(mode=0o755)
        made = run_bazel(environment, BazelJob("xnnpack", "build-xnnpack", trees, {}), key, place)
        shutil.copytree(made, out, dirs_exist_ok=True)
    return out


def _composed(settings: Settings, trees: dict[str, Tree], operators: Collection[str], staging: Path) -> Project:
    """The project with the workspace that the options need; without options its own."""
    project = settings.project
    if operators:
        overlay = f"tensorflow-{settings.release.release.rpartition('.')[0]}"
        project = with_operators(project, overlay, trees["tensorflow"].path, operators, staging / "with-operators")
    return with_xnnpack(project, staging / "with-xnnpack") if settings.xnnpack else project
