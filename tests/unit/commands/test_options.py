"""How the options of the tasks are written."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from invoke import Collection, Task

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
