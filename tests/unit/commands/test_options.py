"""How the options of the tasks are written."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Collection, Program, Task

from coralforge.commands.options import Option, verb
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


def _given(*arguments: str) -> SimpleNamespace:
    """What a verb gets of a command line."""
    got: list[SimpleNamespace] = []

    @verb(
        "mirror",
        called="try",
        model=Option("A file.", default=""),
        html=Option("Another.", value_optional=True),
        more=Option("A number.", default="5"),
    )
    def body(said: SimpleNamespace) -> None:
        got.append(said)

    Program(namespace=Collection(body)).run(["invoke", "try", *arguments], exit=False)
    return got[0]


def test_defaults_are_what_is_declared() -> None:
    assert vars(_given()) == {"mirror": [], "model": "", "html": None, "more": "5"}
    assert vars(_given("--mirror", "a", "--html", "--more", "6"))["html"] is True


@pytest.mark.parametrize("value", ["", "-"])
@pytest.mark.parametrize("option", ["--model", "--html", "--more", "--mirror"])
def test_no_name_is_refused_and_not_passed_over(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _given(f"{option}={value}")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {option} ")
    assert "[option-empty, exit 2]" in said


@pytest.mark.parametrize("name", ["preprocess", "io", "max_samples", "max_evaluate", "questions", "timeout"])
def test_help_says_the_defaults_of_quantize_as_they_are(name: str) -> None:
    """The engine has them; help only tells."""
    [quantize] = [task for task in tasks() if task.name == "quantize"]
    default = next(field.default for field in fields(QuantizeOptions) if field.name == name)
    said = f"{default:g}" if isinstance(default, float) else str(default)
    assert f"(default: {said})" in quantize.help[name.replace("_", "-")]
