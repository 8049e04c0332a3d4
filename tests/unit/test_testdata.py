"""The models in tests/data and sample are what their READMEs say, and small enough for a repository."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.conftest import ROOT, SAMPLE, TESTDATA
from tests.support.inspect_everything import inspect_everything

LARGEST = 4_000_000  # bytes of one file


@pytest.mark.parametrize("folder", [TESTDATA, SAMPLE], ids=lambda folder: folder.name)
def test_each_file_is_the_one_that_its_readme_names(folder: Path) -> None:
    rows = re.findall(r"^\| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert found.keys() - dict(rows).keys() <= {"LICENSE", "README.md"}
    assert {name: found[name] for name, _ in rows} == dict(rows)
    assert {name for name, data in files.items() if len(data) > LARGEST} == set()


def test_each_file_is_used_by_a_test(testdata: Path) -> None:
    """Files that nothing uses would stay in the repository for ever."""
    tests = "".join(path.read_text() for path in TESTDATA.parent.rglob("*.py"))
    names = {path.stem.removesuffix("_edgetpu") for path in testdata.iterdir()} - {"LICENSE"}
    assert {name for name in names if name not in tests} == set()


def test_the_damaged_model_is_refused_by_tensorflow_lite(testdata: Path) -> None:
    model = testdata / "person_detect_model.tflite"
    with pytest.raises(ValueError, match="quantized_dimension must be in range"):
        Interpreter(str(model)).allocate_tensors()
    inspect_everything(model.read_bytes())


def test_nothing_beside_the_project_is_needed() -> None:
    """The models once lay in a folder beside it, and in a clone by itself their tests were skipped."""
    beside = "../" + "shared"
    folders = ("docs", "scripts", "src", "tests", ".ci")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = [path for path in (*paths, *ROOT.glob("*.*")) if path.suffix not in (".pyc", ".tflite", ".bmp")]
    assert [path for path in texts if path.is_file() and beside in path.read_text(errors="replace")] == []
