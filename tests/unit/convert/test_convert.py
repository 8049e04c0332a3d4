"""The engine around the converter, which is a STAND-IN here: a small script without onnx2tf."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from coralforge.convert import environment
from coralforge.convert.models import quantize_any
from coralforge.convert.worker import shapes
from coralforge.convert.worker.heads import candidates
from coralforge.convert.worker.request import ConvertRequest, read_request
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.quantize.converted import Converted, conversion_text
from coralforge.quantize.environment import STAMP
from coralforge.quantize.quantize import QuantizeOptions
from tests.conftest import ROOT
from tests.support.keras_maker import write_keras

ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0\x3a\x04body"


@pytest.fixture
def options(tmp_path: Path) -> QuantizeOptions:
    (tmp_path / "m.onnx").write_bytes(ONNX)
    return QuantizeOptions(tmp_path / "m.onnx", tmp_path / "m.tflite", random=5, shape="3x8x9", folder=tmp_path)


def stand_in(tmp_path: Path, body: str) -> Path:
    """A stand-in for the Python with onnx2tf."""
    python = tmp_path / "python"
    text = f"""\
        #!{sys.executable} -I
        # A stand-in for the converter.
        import json, os, sys
        request = json.load(open(sys.argv[3]))
        def send(**event):
            os.write(int(sys.argv[4]), json.dumps(event).encode() + b"\\n")
        """
    python.write_text(textwrap.dedent(text) + textwrap.dedent(body))
    python.chmod(0o755)
    return python


class TestCourse:
    """Which models are converted, and how the converter's errors come out."""

    def test_the_converter_gets_the_model_and_what_is_said_of_it(
        self, options: QuantizeOptions, tmp_path: Path
    ) -> None:
        python = stand_in(
            tmp_path,
            """
            send(event="error", brief=json.dumps(request), reason="model-invalid", code=2, details="", remedy="")
            """,
        )
        with pytest.raises(CoralforgeError) as raised:
            quantize_any(options, Recorder(), ("boxes", "scores"), python)
        said = json.loads(raised.value.brief)
        assert said["model"] == str(options.model)
        assert (said["shape"], said["outputs"]) == ([3, 8, 9], ["boxes", "scores"])
        assert not Path(said["staging"]).exists(), "removed"

    def test_a_converter_that_fails_is_one_error(self, options: QuantizeOptions, tmp_path: Path) -> None:
        with pytest.raises(CoralforgeError) as raised:
            quantize_any(options, Recorder(), (), stand_in(tmp_path, "sys.exit(3)"))
        assert raised.value.reason == "quantize-crashed"
        assert raised.value.brief == "the process with TensorFlow and onnx2tf failed (exit status 3)"

    def test_outputs_of_a_model_that_is_not_converted(self, tmp_path: Path) -> None:
        model = write_keras(tmp_path / "m.keras")
        with pytest.raises(CoralforgeError) as raised:
            quantize_any(QuantizeOptions(model, tmp_path / "m.tflite", random=5), Recorder(), ("boxes",))
        assert (raised.value.reason, raised.value.code) == ("quantize-option", ExitCode.USER)

    def test_a_file_of_pytorch_says_how_it_is_exported(self, tmp_path: Path) -> None:
        (tmp_path / "m.pth").write_bytes(b"\x80\x02}q\x00.")
        with pytest.raises(CoralforgeError) as raised:
            quantize_any(QuantizeOptions(tmp_path / "m.pth", tmp_path / "m.tflite", random=5), Recorder())
        assert raised.value.reason == "model-format"
        assert "torch.onnx.export(" in raised.value.remedy

    def test_a_request_survives_its_file(self, tmp_path: Path) -> None:
        request = ConvertRequest("m", "s", (1, 2), ("a", "b"))
        (tmp_path / "r.json").write_text(request.text())
        assert read_request(tmp_path / "r.json") == request


class TestPython:
    """Which interpreter runs the converter."""

    LOCKS = environment.CONVERT.locks

    def make(self, root: Path) -> Path:
        python = root / environment.CONVERT.folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        stamp = ""
        for name in self.LOCKS:
            (root / name).write_text(name)
            stamp += f"{hashlib.sha256(name.encode()).hexdigest()}  {root / name}\n/usr/bin/python3\n"
        (root / environment.CONVERT.folder / STAMP).write_text(stamp)
        return python

    def test_the_one_that_bootstrap_made(self, tmp_path: Path) -> None:
        python = self.make(tmp_path)
        assert environment.find_python(tmp_path, {}) == python

    @pytest.mark.parametrize("changed", LOCKS)
    def test_one_of_another_lock_is_not_used(self, tmp_path: Path, changed: str) -> None:
        self.make(tmp_path)
        (tmp_path / changed).write_text("another")
        with pytest.raises(CoralforgeError) as raised:
            environment.find_python(tmp_path, {})
        assert (raised.value.reason, raised.value.code) == ("converter-missing", ExitCode.MISSING)

    def test_what_to_do_without(self, tmp_path: Path) -> None:
        with pytest.raises(CoralforgeError) as raised:
            environment.find_python(tmp_path, {})
        assert "scripts/bootstrap --convert" in raised.value.remedy

    def test_the_users_own_comes_first_and_has_to_be_a_program(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        variable = environment.CONVERT.variable
        assert environment.find_python(tmp_path, {variable: sys.executable}) == Path(sys.executable)
        with pytest.raises(CoralforgeError, match="which is no program") as raised:
            environment.find_python(tmp_path, {variable: str(tmp_path)})
        assert raised.value.remedy == f"correct or unset {variable}"

    def test_its_lock_is_that_of_the_project(self) -> None:
        project = (ROOT / "pyproject.toml").read_text()
        lock = (ROOT / environment.CONVERT.locks[0]).read_text()
        group = project.partition("convert = [")[2]
        pins = [line.strip().strip('",') for line in group.partition("]")[0].splitlines() if "==" in line]
        assert len(pins) == 7
        assert all(f"\n{pin} " in lock for pin in pins)


def test_the_converter_has_no_network() -> None:
    """onnx2tf fetches sample pictures for each model that takes pictures."""
    script = """
import socket, sys
from coralforge.convert.worker.__main__ import forbid_network
forbid_network()
for reach in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: socket.getaddrinfo("localhost", 80)):
    try:
        reach()
    except PermissionError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "the converter may not use the network (socket.getaddrinfo)",
        "the converter may not use the network (socket.getaddrinfo)",
    ]


@pytest.mark.parametrize(
    ("known", "said", "expected"),
    [
        ((3, 8, 9), (), (3, 8, 9)),
        ((3, 0, 0), (3, 8, 9), [3, 8, 9]),
        ((3, 0, 0), (8, 9, 3), [3, 8, 9]),
        ((0, 0, 0), (3, 8, 9), [3, 8, 9]),
        ((3, 8, 0), (3, 7, 9), None),
        ((3, 0), (3, 8, 9), None),
    ],
)
def test_sizes_are_said_in_the_files_order_or_that_of_pictures(
    known: tuple[int, ...], said: tuple[int, ...], expected: Any
) -> None:
    assert shapes._wanted(known, said) == expected


def test_a_detector_is_known_by_how_many_boxes_it_gives() -> None:
    assert {8400, 25200} <= candidates(640, 640)
    assert 2100 in candidates(320, 320)
    assert 1000 not in candidates(224, 224)


FACTS: dict[str, Any] = {
    "by": "onnx2tf 1.29.24",
    "inferences": 3,
    "inputs": [{"name": "image", "onnx": [1, 3, 8, 9], "shape": [1, 8, 9, 3]}],
    "outputs": [
        {"name": "b", "onnx": [1, 4, 7], "shape": [1, 4, 7], "error": 2e-7},
        {"name": "a", "onnx": [1, 5, 7], "shape": [1, 5, 7], "error": 1e-6},
    ],
    "head": {"output": "out", "boxes": "b", "scores": "a"},
}


class TestReport:
    """A conversion in the report."""

    def test_for_the_terminal(self) -> None:
        by, layout, head = conversion_text(FACTS)
        assert by.startswith("Converted by onnx2tf 1.29.24: in float, 3 inferences with noise differ by 0.0001 % of ")
        assert layout == "  input image: 1x3x8x9 in the file, 1x8x9x3 now (channels last)"
        assert "parted into b and a; bin/detect takes the two" in head

    def test_the_facts_are_those_of_the_file(self) -> None:
        converted = Converted(Path("x"), "ONNX", ("image",), ("b", "a"), FACTS, {"onnx": "1"}, 2.0, 7)
        facts = {
            "model": {"kind": "SavedModel", "scales_pixels": True},
            "versions": {"tensorflow": "2"},
            "peak_memory": 5,
        }
        made = converted.completed(facts)
        assert made["model"] == {"kind": "ONNX", "scales_pixels": True}
        assert made["versions"] == {"tensorflow": "2", "onnx": "1"}
        assert made["peak_memory"] == 7
