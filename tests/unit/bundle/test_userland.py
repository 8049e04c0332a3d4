"""Which userland a bundle is tried on."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.pack import pack
from coralforge.bundle.userland import choose
from coralforge.config.arch import OLD_BOARDS, Arch
from coralforge.config.userlands import USERLANDS, oldest
from coralforge.containers.image import board
from coralforge.errors import CoralforgeError, ExitCode
from tests.conftest import ROOT
from tests.support.bundle_maker import make_inputs

FLOOR = OLD_BOARDS.versions()


def make_bundle(folder: Path, glibc: str) -> Path:
    """A packed bundle with this floor."""
    inputs = make_inputs(folder / "inputs")
    bundle = folder / "coralforge-2.14.1-aarch64-linux-gnu"
    bundle.mkdir()
    assemble(replace(inputs, floor=replace(inputs.floor, glibc=glibc)), bundle)
    pack(bundle, folder / "b.tar.gz")
    return folder / "b.tar.gz"


@pytest.mark.parametrize(
    ("floors", "name"),
    [
        (FLOOR, "glibc-2.27"),
        ({**FLOOR, "GLIBC": "2.28"}, "bullseye"),
        ({**FLOOR, "GLIBCXX": "3.4.26"}, "bullseye"),
        ({**FLOOR, "CXXABI": "1.3.13"}, "bookworm"),
        ({"GLIBC": "2.9"}, "glibc-2.27"),
        ({"GLIBC": "2.37"}, "trixie"),
        ({"GLIBC": "2.50"}, "trixie"),
    ],
)
def test_the_oldest_userland_that_has_all_of_a_floor(floors: dict[str, str], name: str) -> None:
    assert oldest(floors).name == name


def test_the_table_goes_from_old_to_new() -> None:
    for older, newer in itertools.pairwise(USERLANDS):
        assert newer.fits(older.offers.versions())
        assert not older.fits(newer.offers.versions())


def test_a_masked_one_says_what_it_does_not_show_and_the_others_nothing() -> None:
    assert {one.name: one.note for one in USERLANDS if one.note} == {
        "glibc-2.27": "bullseye's libraries, versions above 2.27 removed: "
        "shows what programs need, not how glibc 2.27 behaves"
    }


def test_a_bundles_own_floor_decides(tmp_path: Path) -> None:
    archive = make_bundle(tmp_path, "2.34")
    assert choose(None, archive, FLOOR).name == "bookworm"


def test_what_is_said_comes_before_the_floor(tmp_path: Path) -> None:
    archive = make_bundle(tmp_path, "2.34")
    assert choose("glibc-2.27", archive, FLOOR).name == "glibc-2.27"


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"])
def test_what_is_no_bundle_is_refused_later_and_by_better_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar.gz").write_bytes(content)
    assert choose(None, tmp_path / "b.tar.gz", {**FLOOR, "GLIBC": "2.31"}).name == "bullseye"


@pytest.mark.parametrize("said", ["buster", "", "GLIBC-2.27"])
def test_an_unknown_one_is_an_error_that_lists_them(tmp_path: Path, said: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        choose(said, tmp_path, FLOOR)
    assert (caught.value.reason, caught.value.code) == ("userland-unknown", ExitCode.USER)
    assert [line.partition(":")[0] for line in caught.value.details.splitlines()] == [one.name for one in USERLANDS]
    assert "not how glibc 2.27 behaves" in caught.value.details


@pytest.mark.parametrize("arch", Arch)
def test_each_userland_of_each_architecture_is_an_image_of_its_own(arch: Arch) -> None:
    images = [board(ROOT / "docker", one, arch) for one in USERLANDS]
    assert len({image.key for image in images}) == len(USERLANDS)
    for one, image in zip(USERLANDS, images, strict=True):
        facts = json.loads(dict(image.files)["userland.json"])
        assert (facts["userland"], facts["masked"], facts["arch"]) == (one.name, one.note, arch.value)
