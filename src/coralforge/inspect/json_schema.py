"""Writes the JSON schema of what `invoke inspect --json` writes, from the classes that make it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from coralforge.inspect.json_form import JsonInspection

NAME = "inspection.schema.json"


def adapter() -> TypeAdapter[JsonInspection]:
    """Checks JSON against the classes."""
    return TypeAdapter(JsonInspection)


def render_schema() -> str:
    """The JSON text; a unit test holds docs/schema against it."""
    return json.dumps(adapter().json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":  # python -m coralforge.inspect.json_schema, in the project's folder
    Path("docs/schema", NAME).write_text(render_schema(), encoding="utf-8")
