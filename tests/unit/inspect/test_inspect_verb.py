"""`invoke inspect` from the outside: what goes where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coralforge.commands.inspect import Request, inspect
from coralforge.errors import CoralforgeError, ExitCode
from tests.support.compiled_maker import as_hardware
from tests.support.model_maker import classifier, mixed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Half of it is mapped."""
    path = tmp_path / "m.tflite"
    path.write_bytes(mixed())
    return path


def refused(request: Request) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as raised:
        inspect(request)
    return raised.value


def test_text_goes_to_stdout_and_files_are_named_on_stderr(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, data = model.with_suffix(".html"), model.with_suffix(".json")
    inspect(Request(str(model), html=str(page), json=str(data)))
    captured = capsys.readouterr()
    assert captured.out.startswith("m.tflite: not compiled")
    assert captured.err == f"JSON: {data}\nHTML: {page}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(data.read_text())["mapped_fraction"] == 0.5


def test_json_alone_goes_to_stdout(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect(Request(str(model), json=True))
    assert json.loads(capsys.readouterr().out)["file"] == "m.tflite"


def test_a_model_that_is_partly_mapped_is_no_failure(model: Path) -> None:
    inspect(Request(str(model)))
    for enough in ("0.5", "50%", "0"):
        inspect(Request(str(model), min_mapped=enough))


def test_less_than_was_asked_for_fails_after_all_is_shown(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(Request(str(model), min_mapped="0.51", html=str(model.with_suffix(".html"))))
    assert (error.reason, error.code) == ("model-mapped-fraction", ExitCode.GATE)
    assert "50.0 %" in error.brief
    assert "51.0 %" in error.brief
    assert "LEAKY_RELU" in error.details
    assert capsys.readouterr().out.startswith("m.tflite")
    assert model.with_suffix(".html").exists()


def test_a_compiled_model_needs_its_plain_form_for_a_fraction(model: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "m_edgetpu.tflite"
    compiled.write_bytes(as_hardware(mixed()))
    error = refused(Request(str(compiled), min_mapped="0.1"))
    assert (error.reason, "--plain" in error.remedy) == ("option-missing", True)
    inspect(Request(str(compiled), str(model), min_mapped="0.5"))
    compiled.write_bytes(as_hardware(classifier()))
    inspect(Request(str(compiled), min_mapped="1"))


@pytest.mark.parametrize("said", ["", "x", "2", "-0.1", "nan", "101%", "%"])
def test_a_fraction_that_is_none(model: Path, said: str) -> None:
    error = refused(Request(str(model), min_mapped=said))
    assert (error.reason, error.code) == ("option-fraction", ExitCode.USER)


def test_the_model_has_to_be_named_and_there() -> None:
    assert refused(Request("")).reason == "option-missing"
    assert refused(Request("absent.tflite")).reason == "model-missing"
    for empty in (Request("x", plain=""), Request("x", json=""), Request("x", html="")):
        assert "names no file" in refused(empty).brief


def test_no_output_may_be_an_input_or_another_output(model: Path) -> None:
    before = model.read_bytes()
    link = model.with_name("link.tflite")
    link.symlink_to(model)
    for request in (
        Request(str(model), html=str(model)),
        Request(str(model), json=str(link)),
        Request(str(model), html="a.html", json="a.html"),
    ):
        assert refused(request).reason == "model-output"
    assert model.read_bytes() == before


def test_a_place_that_cannot_be_written(model: Path, tmp_path: Path) -> None:
    error = refused(Request(str(model), html=str(tmp_path / "absent" / "x.html")))
    assert (error.reason, "--html" in error.remedy) == ("model-write", True)


def test_all_files_are_written_or_none(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "m.json"
    error = refused(Request(str(model), json=str(data), html=str(tmp_path / "absent" / "m.html")))
    assert (error.reason, error.remedy) == ("model-write", "choose another file for --html")
    assert not data.exists()
