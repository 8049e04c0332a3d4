"""Where compiled models go is decided first: never over an input, and all of it appears at once or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coralforge.compile.places import Places, places_for
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.tflite.model import write_files

LONG = "x" * 300


@pytest.fixture
def model(tmp_path: Path) -> Path:
    place = tmp_path / "my model.tflite"
    place.write_bytes(b"plain")
    return place


def refused(*models: Path, segments: int = 1, output: str | None = None, out_dir: str | None = None) -> str:
    before = {path: path.read_bytes() for path in models if path.is_file()}
    with pytest.raises(CoralforgeError) as caught:
        places_for(models, segments, output, out_dir)
    assert caught.value.code is ExitCode.USER
    assert {path: path.read_bytes() for path in before} == before
    return f"{caught.value.reason}: {caught.value.brief}"


def names(places: Places) -> list[str]:
    return [path.name for path in places.all]


def test_files_go_beside_the_model(model: Path) -> None:
    [places] = places_for([model], 1, None, None)
    assert names(places) == ["my model_edgetpu.tflite", "my model_edgetpu.log", "my model_edgetpu.compile.json"]
    assert {path.parent for path in places.all} == {model.parent}


def test_segments_have_a_file_and_a_log_each(model: Path) -> None:
    [places] = places_for([model], 2, None, None)
    assert [path.name for path in places.parts] == [
        "my model_segment_0_of_2_edgetpu.tflite",
        "my model_segment_1_of_2_edgetpu.tflite",
    ]
    assert len(set(places.all)) == 5


def test_a_file_may_be_named(model: Path, tmp_path: Path) -> None:
    [places] = places_for([model], 1, str(tmp_path / "a.b.tflite"), None)
    assert names(places) == ["a.b.tflite", "a.b.log", "a.b.compile.json"]


def test_a_folder_is_made(model: Path, tmp_path: Path) -> None:
    [places] = places_for([model], 1, None, str(tmp_path / "new" / "folder"))
    assert places.document.parent == tmp_path / "new" / "folder"
    assert (tmp_path / "new" / "folder").is_dir()


def test_the_home_folder_is_known(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    [places] = places_for([model], 1, "~/x.tflite", None)
    assert places.parts == (tmp_path / "x.tflite",)


@pytest.mark.parametrize("output", ["", ".", "..", "/"])
def test_what_names_no_file_is_refused(model: Path, output: str) -> None:
    assert refused(model, output=output).startswith(f"model-output: --output {output!r} is not the name of a file")


@pytest.mark.parametrize("name", ["taken.tflite", "taken.log", "taken.compile.json"])
def test_a_folder_where_a_file_is_to_go_is_refused_before_anything_is_written(
    model: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    assert refused(model, output=str(tmp_path / "taken.tflite")).endswith(f"{tmp_path / name} is a folder")


@pytest.mark.parametrize("place", [f"{LONG}.tflite", "missing/x.tflite", "my model.tflite/x", "~nobody-here/x"])
def test_places_that_cannot_be_written_are_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(model, output=place).startswith("model-write: ")


def test_folders_that_cannot_be_are_refused(model: Path, tmp_path: Path) -> None:
    for folder in (str(model), str(tmp_path / LONG)):
        assert refused(model, out_dir=folder).startswith(f"model-write: {folder} cannot take the compiled model")


def test_one_file_for_several_is_refused(model: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "x.tflite")
    assert refused(model, tmp_path / "b.tflite", output=output).startswith("model-output")
    assert refused(model, segments=2, output=output).startswith("model-output")
    assert refused(model, output=output, out_dir=str(tmp_path)).startswith("model-output")


class TestNeverOverAnInput:
    """Whatever name an input goes by."""

    def over(self, model: Path, output: Path, *others: Path) -> None:
        if others:
            assert "is the input" in refused(model, *others, out_dir=str(output))
        else:
            assert "is the input" in refused(model, output=str(output))

    def test_its_own(self, model: Path) -> None:
        self.over(model, model)
        self.over(model, model.parent / ".." / model.parent.name / model.name)

    def test_a_link_to_it(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "link.tflite").symlink_to(model)
        self.over(model, tmp_path / "link.tflite")
        self.over(tmp_path / "link.tflite", model)

    def test_a_second_name_of_the_file(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "twin.tflite").hardlink_to(model)
        self.over(model, tmp_path / "twin.tflite")

    def test_another_models_output(self, model: Path) -> None:
        other = model.with_name("my model_edgetpu.tflite")
        other.write_bytes(b"plain too")
        self.over(model, model.parent, other)

    def test_its_log(self, tmp_path: Path) -> None:
        odd = tmp_path / "x.log"
        odd.write_bytes(b"a model with an odd name")
        self.over(odd, tmp_path / "x.tflite")


def test_a_loop_of_links_is_no_input(model: Path, tmp_path: Path) -> None:
    loop = tmp_path / "loop.tflite"
    loop.symlink_to(loop)
    [places] = places_for([model], 1, str(loop), None)
    write_files({places.parts[0]: b"compiled"})
    assert loop.read_bytes() == b"compiled"
    assert not loop.is_symlink()


def test_two_outputs_of_one_name_are_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / model.name
    assert "two outputs would be" in refused(model, twin, out_dir=str(tmp_path / "out"))
    assert "two outputs would be" in refused(model, output=str(tmp_path / "x.log"))


class TestWriting:
    """All files of a compilation are written before the first one gets its name."""

    def test_older_files_are_replaced(self, tmp_path: Path) -> None:
        files = {tmp_path / "a": b"new", tmp_path / "b": b"too"}
        (tmp_path / "a").write_bytes(b"old")
        write_files(files)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files

    def test_where_one_cannot_be_written_none_is(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"old")
        with pytest.raises(CoralforgeError) as caught:
            write_files({tmp_path / "a": b"new", tmp_path / "gone" / "b": b"too"})
        assert caught.value.reason == "model-write"
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}

    def test_a_link_is_replaced_and_what_it_points_to_stays(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").write_bytes(b"theirs")
        (tmp_path / "a").symlink_to("theirs")
        write_files({tmp_path / "a": b"ours"})
        assert ((tmp_path / "theirs").read_bytes(), (tmp_path / "a").read_bytes()) == (b"theirs", b"ours")


def test_a_pipe_is_refused_before_the_compiler_runs(model: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    assert refused(model, output=str(tmp_path / "pipe.tflite")).startswith("model-write: ")
