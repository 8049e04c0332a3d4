"""What the scripts in the builder image say when a build fails."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

REQUEST = {"arch": "armv7", "platforms": {"armv7": {"triple": "arm-linux-gnueabihf"}}}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/bazel_build.py, with a sysroot from which two functions were taken."""
    spec = importlib.util.spec_from_file_location("bazel_build", ROOT / "scripts" / "bazel_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "arm-linux-gnueabihf"
    root.mkdir()
    gone = {"gettid": "GLIBC_2.30", "std::thing<char>::thing()": "GLIBCXX_3.4.26"}
    (root / "floor.json").write_text(json.dumps({"gone": gone}))
    monkeypatch.setattr(module, "SYSROOTS", tmp_path)
    return module


@pytest.mark.parametrize(
    ("line", "added"),
    [
        ("ld.lld: error: undefined symbol: gettid", " (it is GLIBC_2.30, above the floor of armv7)"),
        ("x: undefined symbol: std::thing<char>::thing()", " (it is GLIBCXX_3.4.26, above the floor of armv7)"),
        ("ld.lld: error: undefined symbol: my_function", ""),
        ("a.cc:3:1: error: expected ';'", ""),
    ],
)
def test_a_symbol_above_the_floor_is_explained(script: ModuleType, line: str, added: str) -> None:
    assert script.explained(line, REQUEST) == line + added
