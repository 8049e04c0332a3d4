"""Whatever a user types as a path is a path, or one error: never a bug of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coralforge.commands.inspect import Request, inspect
from coralforge.commands.models import CompileRequest, compile_model
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.util.paths import resolved, same_file, typed
from tests.support.model_maker import classifier

ODD = ("~nobody-of-that-name/x", "x" * 300, "loop", "loop/x")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


def test_the_home_folder_is_known(here: Path) -> None:
    assert typed("~/x") == here / "x"


def test_nobodys_home_folder_is_an_ordinary_name_as_in_a_shell() -> None:
    assert typed("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")


def test_links_are_followed_as_far_as_they_go(here: Path) -> None:
    (here / "link").symlink_to("file")
    assert resolved(Path("link")) == (here / "file").resolve()


@pytest.mark.parametrize("odd", ODD)
def test_what_cannot_be_followed_is_absolute(odd: str) -> None:
    assert resolved(Path(odd)).is_absolute()


def test_one_file_has_many_names(here: Path) -> None:
    (here / "file").write_text("")
    (here / "link").symlink_to("file")
    (here / "twin").hardlink_to("file")
    for name in ("file", "link", "twin"):
        assert same_file(Path(name), here / "file")
    assert not same_file(Path("absent"), here / "file")
    assert same_file(Path("absent"), here / "absent")


def error_of(verb: Any, request: Any) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        verb(request)
    assert caught.value.code is ExitCode.USER
    return caught.value


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("target", ["edgetpu", "simulator"])
def test_a_model_to_compile(odd: str, target: str) -> None:
    assert error_of(compile_model, CompileRequest((odd,), target)).reason in (
        "model-missing",
        "model-unreadable",
        "model-write",
    )


@pytest.mark.parametrize("odd", ODD)
def test_outputs_of_an_inspection(odd: str, here: Path) -> None:
    (here / "x.tflite").write_bytes(classifier())
    if odd == "loop":  # a link is replaced, whatever it points to
        inspect(Request("x.tflite", html=odd))
        assert not (here / odd).is_symlink()
    else:
        assert error_of(inspect, Request("x.tflite", html=odd)).reason == "model-write"


@pytest.mark.parametrize("odd", ODD)
def test_a_model_to_inspect(odd: str) -> None:
    assert error_of(inspect, Request(odd)).reason in ("model-missing", "model-unreadable")
