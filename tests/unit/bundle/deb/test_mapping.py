"""Where the files of a bundle go: each to one place, or to none for a reason."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.deb.mapping import RULES, place
from coralforge.bundle.deb.packages import OTHERS, RUNTIMES, packages_of
from coralforge.bundle.manifest import files_of
from coralforge.config.base import Variant
from coralforge.errors import CoralforgeError
from coralforge.settings import Options, Project, resolve
from coralforge.templates import render_bundle
from tests.conftest import ROOT
from tests.support.bundle_maker import make_inputs

TRIPLE = "aarch64-linux-gnu"
REAL = (Variant.THROTTLED, Variant.DIRECT)
NAMES = [package.name for package in (*RUNTIMES.values(), *OTHERS)]


def bundle_names(tmp_path: Path, variants: tuple[Variant, ...]) -> list[str]:
    """The files of a bundle with the real templates."""
    inputs = make_inputs(tmp_path / "inputs", variants)
    settings = resolve(Project(ROOT), Options(arch="aarch64", variants=tuple(one.value for one in variants)))
    inputs = type(inputs)(**{**vars(inputs), "templates": render_bundle(settings)})
    folder = tmp_path / "bundle"
    folder.mkdir()
    assemble(inputs, folder)
    return [*files_of(folder), "MANIFEST.json"]


@pytest.mark.parametrize("variants", [REAL, (Variant.SIMULATED,), (*REAL, Variant.SIMULATED)])
def test_every_file_has_one_place_or_a_reason_for_none(tmp_path: Path, variants: tuple[Variant, ...]) -> None:
    names = bundle_names(tmp_path, variants)
    placed = place(names, TRIPLE, [package.name for package in packages_of(variants)])
    count = Counter(name for files in placed.values() for name in files.values())
    left_out = {name for name in names if re.fullmatch(_left_out(), name)}
    (rules,) = (name for name in names if name.endswith(".rules"))
    assert {name for name in names if name not in count} == left_out | (
        set() if set(variants) & set(REAL) else {rules}
    )
    twice = {name for name, times in count.items() if times > 1}
    assert twice == ({rules} if set(REAL) <= set(variants) else set())


def _left_out() -> str:
    return "|".join(f"({rule.pattern})" for rule in RULES if not rule.packages).replace("?P<name>", "")


def test_each_rule_says_where_to_or_why_not() -> None:
    for rule in RULES:
        assert bool(rule.packages) == bool(rule.target) != bool(rule.because), rule
        assert set(rule.packages) <= set(NAMES), rule


def test_libraries_are_where_every_program_looks(tmp_path: Path) -> None:
    names = bundle_names(tmp_path, REAL)
    placed = place(names, TRIPLE, NAMES)
    assert placed["libedgetpu1-std"][f"usr/lib/{TRIPLE}/libedgetpu.so.1.0"] == "lib/throttled/libedgetpu.so.1.0"
    assert placed["libedgetpu1-max"][f"usr/lib/{TRIPLE}/libedgetpu.so.1"] == "lib/direct/libedgetpu.so.1"
    assert set(placed["libtensorflowlite"]) == {
        f"usr/lib/{TRIPLE}/libtensorflowlite.so",
        f"usr/lib/{TRIPLE}/libtensorflowlite_c.so",
    }
    assert set(placed["libedgetpu-dev"]) >= {"usr/include/edgetpu_c.h", f"usr/lib/{TRIPLE}/libedgetpu.so"}


def test_nothing_stands_where_debians_own_flatbuffers_does() -> None:
    placed = place(["include/flatbuffers/base.h", "lib/libflatbuffers.a"], TRIPLE, NAMES)
    assert set(placed["coralforge-dev"]) == {
        "usr/include/coralforge/flatbuffers/base.h",
        f"usr/lib/{TRIPLE}/coralforge/libflatbuffers.a",
    }


@pytest.mark.parametrize("name", ["lib/libnew.so.1", "etc/passwd", "share/new/file", "bin/sub/program"])
def test_a_file_that_no_rule_is_about_is_an_error(name: str) -> None:
    with pytest.raises(CoralforgeError, match=re.escape(name)) as caught:
        place([name], TRIPLE, NAMES)
    assert caught.value.reason == "deb-unplaced"


def test_two_files_for_one_path_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from coralforge.bundle.deb import mapping

    both = mapping.Rule(r"a|b", "usr/share/coralforge/x", ("coralforge-tools",))
    monkeypatch.setattr(mapping, "RULES", (both,))
    with pytest.raises(CoralforgeError, match="b and a both want to be /usr/share/coralforge/x"):
        place(["a", "b"], TRIPLE, NAMES)
