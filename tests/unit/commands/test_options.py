"""How the options of the tasks are written."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from typing import Any

import pytest
from invoke import Collection, Task

from coralforge.quantize.quantize import QuantizeOptions
from tests.conftest import ROOT


def tasks() -> list[Task[Any]]:
    spec = importlib.util.spec_from_file_location("tasks_under_test", ROOT / "tasks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(Collection.from_module(module).tasks.values())


@pytest.mark.parametrize("one", tasks(), ids=lambda one: str(one.name))
def test_h_is_help(one: Task[Any]) -> None:
    assert not [argument.name for argument in one.get_arguments() if "h" in argument.names]


@pytest.mark.parametrize("name", ["preprocess", "io", "max_samples", "max_evaluate", "questions", "timeout"])
def test_help_says_the_defaults_of_quantize_as_they_are(name: str) -> None:
    """The engine has them; help only tells."""
    [quantize] = [task for task in tasks() if task.name == "quantize"]
    default = next(field.default for field in fields(QuantizeOptions) if field.name == name)
    said = f"{default:g}" if isinstance(default, float) else str(default)
    assert f"(default: {said})" in quantize.help[name.replace("_", "-")]
