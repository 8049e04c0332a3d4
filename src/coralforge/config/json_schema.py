"""Writes the JSON schemas of pipeline.yaml and releases/*.yaml from the models (for editors and docs)."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from coralforge.config.pipeline import Pipeline
from coralforge.config.release import Release
from coralforge.config.toolchain import Toolchain

SCHEMAS: dict[str, type[BaseModel]] = {
    "pipeline.schema.json": Pipeline,
    "release.schema.json": Release,
    "toolchain.schema.json": Toolchain,
}


def render_schemas() -> dict[str, str]:
    """File name to JSON text; a unit test holds docs/schema against it."""
    return {
        name: json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for name, model in SCHEMAS.items()
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write the schemas into ``folder``; returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in render_schemas().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":  # python -m coralforge.config.json_schema, in the project's folder
    write_schemas(Path("docs/schema"))
