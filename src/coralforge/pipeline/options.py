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
from coralforge.settings import Project
from coralforge.sources.records import Tree
from coralforge.sources.trees import NEEDS_XNNPACK


def build_all(
    environment: BuildEnvironment, trees: dict[str, Tree], operators: Collection[str], key: str, staging: Path
) -> Path:
    """Build what :func:`build_libraries` builds, and what options add, into a folder below ``staging``.

    ``operators`` are the only ones of TensorFlow Lite; none for all. Raises as :func:`build_libraries` and
    :func:`registration`.
    """
    settings = environment.settings
    if operators:
        overlay = f"tensorflow-{settings.release.release.rpartition('.')[0]}"
        tensorflow = trees["tensorflow"].path
        project = with_operators(settings.project, overlay, tensorflow, operators, staging / "selected")
        environment = _in(environment, project)
    plain = {name: tree for name, tree in trees.items() if name not in NEEDS_XNNPACK}
    out = build_libraries(environment, plain, key, staging)
    if settings.xnnpack:
        _add_xnnpack(environment, trees, key, staging / "xnnpack", out)
    return out


def _add_xnnpack(environment: BuildEnvironment, trees: dict[str, Tree], key: str, staging: Path, out: Path) -> None:
    """Build the delegate, in the same Bazel cache, and put its library and header into ``out``."""
    staging.mkdir(mode=0o755)
    environment = _in(environment, with_xnnpack(environment.settings.project, staging / "composed"))
    made = run_bazel(environment, BazelJob("xnnpack", "build-xnnpack", trees, {}), key, staging)
    shutil.copytree(made, out, dirs_exist_ok=True)


def _in(environment: BuildEnvironment, project: Project) -> BuildEnvironment:
    return replace(environment, settings=replace(environment.settings, project=project))
