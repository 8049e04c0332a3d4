"""A checkout of the project with models in its pipeline.yaml; everything else in it is the real thing."""

from __future__ import annotations

import textwrap
from pathlib import Path

from coralforge.settings import Options, Project, Settings, resolve
from tests.conftest import ROOT
from tests.support.project_maker import PROJECT_FOLDERS


def settings_with(folder: Path, models: str) -> Settings:
    """Settings of a project in ``folder`` whose pipeline.yaml ends with ``models:`` and the given YAML below it."""
    for name in (*PROJECT_FOLDERS, "LICENSE", "requirements-models.lock", "requirements-convert.lock"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    text = (ROOT / "pipeline.yaml").read_text().partition("\nmodels:")[0]
    (folder / "pipeline.yaml").write_text(f"{text}\nmodels:\n{textwrap.indent(textwrap.dedent(models), '  ')}")
    return resolve(Project(folder), Options(variants=("simulated",)), {"CORALFORGE_CACHE": str(folder / "cache")})
