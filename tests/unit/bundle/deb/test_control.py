"""What the packages say of themselves: names, versions, relations."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from itertools import pairwise

import pytest

from coralforge.bundle.deb.control import PackageSet, changelog, control, installed_size
from coralforge.bundle.deb.packages import OTHERS, RUNTIMES, Package, packages_of, versions
from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.elf.needs import Needs
from coralforge.errors import CoralforgeError, ExitCode

REAL = (Variant.THROTTLED, Variant.DIRECT)
SET = PackageSet("2.14.1", Arch.ARMV7, REAL, versions("2.14.1", "0.2.0"))
NEEDS = Needs(
    frozenset(
        {"libc.so.6", "libm.so.6", "ld-linux-armhf.so.3", "libstdc++.so.6", "libgcc_s.so.1", "libusb-1.0.so.0"}
    ),
    {"GLIBC": "2.27", "GLIBCXX": "3.4.22", "GCC": "3.5"},
)
BY_NAME = {package.name: package for package in (*RUNTIMES.values(), *OTHERS)}
EDGETPU = "16.0tf2.14.1-0coralforge0.2.0"


def fields(package: Package, of: PackageSet = SET, needs: Needs = NEEDS) -> dict[str, str]:
    """The one-line fields of the control file."""
    lines = control(package, of, needs, 7).splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


def test_a_library_needs_what_was_measured() -> None:
    found = fields(BY_NAME["libedgetpu1-std"])
    assert found["Architecture"] == "armhf"
    assert found["Multi-Arch"] == "same"
    assert found["Installed-Size"] == "7"
    assert found["Depends"].split(", ") == [
        "libc6 (>= 2.27)",
        "libgcc-s1 | libgcc1",
        "libstdc++6 (>= 6)",
        "libusb-1.0-0 (>= 2:1.0.16)",
    ]


def test_the_real_ones_are_googles_to_others_and_one_at_a_time() -> None:
    for name in ("libedgetpu1-std", "libedgetpu1-max"):
        found = fields(BY_NAME[name])
        assert found["Provides"] == f"libedgetpu1 (= {EDGETPU})"
        assert found["Conflicts"] == "libedgetpu1, libedgetpu1-legacy"
        assert found["Replaces"] == "libedgetpu1"


def test_the_simulated_one_says_so_and_is_nobodys_libedgetpu1() -> None:
    package = BY_NAME["libedgetpu1-simulated"]
    found = fields(package)
    assert "Provides" not in found
    assert found["Conflicts"].startswith("libedgetpu1,")
    assert found["Description"].startswith("SIMULATED ")
    others = [fields(one)["Description"] for one in BY_NAME.values() if one is not package]
    assert not any("SIMULATED" in text for text in others)


def test_programs_need_the_set_they_were_built_with_the_default_variant_first() -> None:
    needs = Needs(frozenset({"libedgetpu.so.1", "libtensorflowlite.so"}), {})
    of = replace(SET, variants=(Variant.DIRECT,))
    assert fields(BY_NAME["coralforge-tools"], of, needs)["Depends"] == (
        f"libedgetpu1-max (= {EDGETPU}) | libedgetpu1-std (= {EDGETPU}) | libedgetpu1-simulated (= {EDGETPU}), "
        "libtensorflowlite (= 2.14.1-0coralforge0.2.0)"
    )


def test_a_library_that_no_package_is_known_for_is_refused() -> None:
    with pytest.raises(CoralforgeError, match=r"coralforge-tools .* libnew\.so\.1") as caught:
        control(BY_NAME["coralforge-tools"], SET, Needs(frozenset({"libnew.so.1"}), {}), 1)
    assert (caught.value.reason, caught.value.code) == ("deb-needed", ExitCode.GATE)


def test_a_local_checkout_is_said_in_every_description() -> None:
    for package in packages_of(REAL):
        assert "local checkout of libedgetpu" in control(package, replace(SET, unpinned=("libedgetpu",)), NEEDS, 1)


@pytest.mark.parametrize("package", BY_NAME.values(), ids=BY_NAME)
def test_the_text_has_debians_form(package: Package) -> None:
    text = control(package, SET, NEEDS, 1)
    assert text.isascii() and text.endswith("\n") and "\n\n" not in text
    assert "{" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if line.startswith(" "))
    assert len(fields(package)["Description"]) < 80
    assert not re.match(r"(a|an|the) ", fields(package)["Description"], re.IGNORECASE)


# From the lowest to the highest: Google's, those of others (whose names are these), ours among them.
UPGRADES = (
    "15.0",
    "16.0",
    "16.0tf2.13.1-2",
    "16.0tf2.14.1-0coralforge0.1.0",
    "16.0tf2.14.1-0coralforge0.2.0",
    "16.0tf2.14.1-0coralforge0.10.0",
    "16.0tf2.14.1-1",
    "16.0tf2.16.1-0coralforge0.1.0",
    "16.0tf2.16.1-1",
    "16.0tf2.19.1-1.trixie",
)


@pytest.mark.parametrize(("lower", "higher"), [*pairwise(UPGRADES)])
def test_versions_compare_as_upgrades_should(lower: str, higher: str) -> None:
    subprocess.run(["dpkg", "--compare-versions", lower, "lt", higher], check=True)


def test_versions_are_those_that_were_compared() -> None:
    for release, coralforge in (("2.14.1", "0.1.0"), ("2.14.1", "0.10.0"), ("2.16.1", "0.1.0")):
        made = versions(release, coralforge)
        assert made[True] in UPGRADES
        assert made[True] == f"16.0tf{made[False]}"


def test_sizes_are_rounded_up_file_by_file() -> None:
    assert installed_size([0, 1, 1024, 1025], 3) == 0 + 1 + 1 + 2 + 3


def test_a_changelog_has_debians_form() -> None:
    log = changelog(
        BY_NAME["libedgetpu1-std"], SET, "0.2.0", "Tue, 24 Nov 2026 00:00:00 +0000", ["tensorflow 2.14.1"]
    )
    head, *body = log.splitlines()
    assert head == f"coralforge ({EDGETPU}) unstable; urgency=medium"
    assert body[-1] == " -- coralforge <packages@coralforge.invalid>  Tue, 24 Nov 2026 00:00:00 +0000"
