"""The simulated libedgetpu can take the place of the real one: headers, version script and exports fit each other.

tests/integration/test_simulator.py holds the list of exports against the built libraries, and all of this against
the real library's source where that is at hand.
"""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.support.interface_reader import (
    Export,
    Headers,
    VersionScript,
    read_exports,
    read_headers,
    read_version_script,
)

SIMULATOR = ROOT / "simulator"
PLUGIN = ["tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"]  # no header declares them


@pytest.fixture(scope="module")
def headers() -> Headers:
    return read_headers(SIMULATOR / "include")


@pytest.fixture(scope="module")
def script() -> VersionScript:
    return read_version_script(SIMULATOR / "libedgetpu_simulated.lds")


@pytest.fixture(scope="module")
def exports() -> list[Export]:
    return read_exports(SIMULATOR / "exports.txt")


def test_the_c_functions_of_the_header_are_exported_and_no_others(headers: Headers, exports: list[Export]) -> None:
    plain = [export.symbol for export in exports if not export.meaning]
    assert sorted([*headers.functions, *PLUGIN]) == plain
    assert headers.functions["edgetpu_verbosity"] == "void edgetpu_verbosity(int verbosity)"


def test_the_cpp_functions_of_the_header_are_exported_and_no_others(headers: Headers, exports: list[Export]) -> None:
    meanings = {export.meaning.partition("(")[0] for export in exports if export.meaning}
    assert meanings == set(headers.exported)


def test_a_mangled_name_has_the_parts_of_its_meaning(exports: list[Export]) -> None:
    for export in exports:
        for word in re.findall(r"[A-Za-z]\w+", export.meaning.replace("std::ostream", "").replace("operator", "")):
            assert f"{len(word)}{word}" in export.symbol, export


def test_the_version_script_shows_what_is_exported(script: VersionScript, exports: list[Export]) -> None:
    assert script.node == "VER_1.0"
    assert [export for export in exports if not script.shows(export)] == []
    assert not script.shows(Export("TfLiteInterpreterCreate", ""))
    assert not script.shows(Export("_ZN6tflite11InterpreterD1Ev", "tflite::Interpreter::~Interpreter()"))


def test_the_virtual_functions_stand_in_the_order_of_the_binary_interface(headers: Headers) -> None:
    def names(of: str) -> list[str]:
        return [re.findall(r"(~?\w+)\(", text)[0] for text in headers.virtuals[of]]

    assert names("EdgeTpuManager") == [
        *["NewEdgeTpuContext"] * 4,
        "EnumerateEdgeTpu",
        *["OpenDevice"] * 4,
        "GetOpenedDevices",
        "SetVerbosity",
        "Version",
        "~EdgeTpuManager",
    ]
    assert names("EdgeTpuContext") == ["~EdgeTpuContext", "GetDeviceEnumRecord", "GetDeviceOptions", "IsReady"]
    assert headers.types["DeviceType"] == "kApexPci = 0, kApexUsb = 1"
    assert headers.types["edgetpu_device"] == "enum edgetpu_device_type type; const char* path;"
