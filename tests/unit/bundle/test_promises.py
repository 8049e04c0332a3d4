"""A bundle in which a promised file is missing is refused, and the error says who promises it."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.bundle.promises import promised, require_promised
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.settings import Options, Project, resolve
from coralforge.templates import render_bundle, write_files
from tests.conftest import ROOT


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The rendered files of a bundle, and an empty file for each other one that they promise."""
    settings = resolve(Project(ROOT), Options(), {"CORALFORGE_CACHE": str(tmp_path / "cache")})
    folder = tmp_path / "bundle"
    write_files(render_bundle(settings), folder)
    for name, _ in promised(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir(exist_ok=True) if name.endswith("/") else (folder / name).touch()
    return folder


def test_a_bundle_with_all_it_promises_passes(bundle: Path) -> None:
    require_promised(bundle)


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("lib/libtensorflowlite_c.so", "CoralConfig.cmake"),
        ("lib/libusb-1.0.so.0", "CoralConfig.cmake"),
        ("lib/libedgetpu.so", "coral.pc"),
        ("lib/libflatbuffers.a", "coral.pc"),
        ("bin/benchmark", "README.md"),
        ("share/models/labels.txt", "README.md"),
        ("lib/pkgconfig/coral.pc", "coral.pc"),
        ("README.md", "README.md"),
    ],
)
def test_each_promised_file_is_demanded(bundle: Path, name: str, by: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(CoralforgeError) as caught:
        require_promised(bundle)
    assert (caught.value.reason, caught.value.code) == ("bundle-promise", ExitCode.GATE)
    assert name in caught.value.details
    assert by in caught.value.details


def test_examples_of_the_readers_own_paths_are_no_promises(bundle: Path) -> None:
    (bundle / "README.md").write_text(
        "`-DCMAKE_PREFIX_PATH=<this folder>/lib/mine`, `/usr/lib/x.so`, `$ORIGIN/../lib/y`"
    )
    require_promised(bundle)
