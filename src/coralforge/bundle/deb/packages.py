"""The table of Debian packages that a bundle becomes. Where each file goes stands in ``mapping``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coralforge.config.base import Variant

GOOGLES = "16.0"
"""Google's version of libedgetpu and its packages since 2021: the first entry of debian/changelog in its source."""
TFLITE, EDGETPU_DEV, DEV, TOOLS = "libtensorflowlite", "libedgetpu-dev", "coralforge-dev", "coralforge-tools"
ANY_EDGETPU = "libedgetpu1"
"""The name that Google's packages provide and those of others depend on: a libedgetpu that drives hardware."""

# Lintian's tags that stay, each with its reason. Tags of newer releases are unknown to older ones, which say so.
_UDEV = (
    (
        "# Where /usr is not merged (Ubuntu 18.04, Debian 10), udev reads its rules only there.",
        "aliased-location *",
    ),
    (
        "# It is, in the line before: the group has a line of its own, since one that does not exist voids its line.",
        "udev-rule-missing-uaccess *",
    ),
    (
        "# A library has no metadata for software centres.",
        "appstream-metadata-missing-modalias-provide *",
    ),
)
_TWO_OF_A_KIND = (
    "# Two packages for one SONAME, with the names that Google's have; they conflict with each other.",
    "package-name-doesnt-match-sonames",
)
_FOR_THE_REAL_ONE = (
    "# A program that was built with the simulated library is to run with the real one.",
    "distant-prerequisite-in-shlibs *",
)
_UNVERSIONED = tuple(
    ("# TensorFlow Lite's own build gives them no version, and programs ask for them by these names.", f"{tag} *")
    for tag in ("shared-library-lacks-version", "lacks-unversioned-link-to-shared-library")
)
_LABELS = (
    "# Labels for coral-model: data, not documentation.",
    "package-contains-documentation-outside-usr-share-doc *",
)


@dataclass(frozen=True)
class Package:
    """One Debian package."""

    name: str
    summary: str
    text: tuple[str, ...]
    """The description's paragraphs."""
    section: str = "libs"
    same: bool = True
    """Multi-Arch: same; those of several architectures may be installed side by side."""
    edgetpu: bool = False
    """Whether its version is libedgetpu's; else TensorFlow Lite's."""
    depends: tuple[str, ...] = ()
    """Packages of the same set that it needs beside those whose libraries its files ask for."""
    relations: tuple[tuple[str, str], ...] = ()
    """Other fields of the control file; {version} is the package's own."""
    library: str = ""
    """The dependency of others on its library, for dpkg-shlibdeps."""
    overrides: tuple[tuple[str, ...], ...] = ()
    """Lintian's tags that do not count here, each with a comment before it."""


# As Google's: one of them at a time, and each in the place of another.
_ONLY_ONE = (("Conflicts", f"{ANY_EDGETPU}, libedgetpu1-legacy"), ("Replaces", ANY_EDGETPU))
_REAL = (("Provides", f"{ANY_EDGETPU} (= {{version}})"), *_ONLY_ONE)
_SHLIBS = f"libedgetpu 1 libedgetpu1-std (>= {GOOGLES}) | {ANY_EDGETPU} (>= {GOOGLES})"
_PURPOSE = (
    "Programs that use Google's Coral Edge TPU (USB Accelerator, PCIe and M.2 cards, Dev Board) load it as a "
    "delegate of TensorFlow Lite. It fits TensorFlow Lite {release}, built from the same commit, and no other."
)


def _runtime(name: str, summary: str, *text: str, real: bool = True) -> Package:
    return Package(
        name=name,
        summary=summary,
        text=(_PURPOSE, *text),
        edgetpu=True,
        relations=_REAL if real else _ONLY_ONE,
        library=_SHLIBS,
        overrides=(_TWO_OF_A_KIND, *(_UDEV if real else (_FOR_THE_REAL_ONE,))),
    )


RUNTIMES: Mapping[Variant, Package] = {
    Variant.THROTTLED: _runtime(
        "libedgetpu1-std",
        "runtime library of the Coral Edge TPU, reduced clock",
        "This variant runs a USB Accelerator at half of its clock, where it stays cooler. On PCIe nothing differs.",
    ),
    Variant.DIRECT: _runtime(
        "libedgetpu1-max",
        "runtime library of the Coral Edge TPU, maximum clock",
        "This variant runs a USB Accelerator at its full clock. Warning: it becomes hot, and touching its metal may "
        "burn the skin. Operate it where it is no warmer than 25 degrees Celsius.",
    ),
    Variant.SIMULATED: _runtime(
        "libedgetpu1-simulated",
        "SIMULATED stand-in for the Coral Edge TPU's runtime library",
        "This variant is SIMULATED and drives no hardware: it shows the devices that CORALFORGE_SIMULATED_DEVICES "
        "names, and runs models that were compiled for it on the CPU. It is for tests, and fulfils no dependency of "
        "others on libedgetpu1.",
        real=False,
    ),
}
"""The package with libedgetpu, by variant."""

OTHERS = (
    Package(
        name=TFLITE,
        summary="TensorFlow Lite {release} for programs that use the Coral Edge TPU",
        text=(
            "Runs TensorFlow Lite models; with a libedgetpu for the same release, on a Coral Edge TPU. This package "
            "has the C++ and the C interface. They carry no version in their names: programs fit TensorFlow Lite "
            "{release} and have to be compiled again for another.",
        ),
        overrides=_UNVERSIONED,
    ),
    Package(
        name=EDGETPU_DEV,
        summary="header files of the Coral Edge TPU's runtime library",
        text=("edgetpu.h and edgetpu_c.h, and the link for the linker. They need the headers of TensorFlow Lite.",),
        section="libdevel",
        edgetpu=True,
        depends=(ANY_EDGETPU,),
    ),
    Package(
        name=DEV,
        summary="build C++ programs for the Coral Edge TPU (CMake, pkg-config)",
        text=(
            "The CMake package Coral (Coral::tflite, Coral::tflite_c, Coral::edgetpu, Coral::flatbuffers), coral.pc, "
            "and the headers of TensorFlow Lite {release} and of the flatbuffers that it was built with, in a folder "
            "of their own.",
        ),
        section="libdevel",
        depends=(ANY_EDGETPU, TFLITE, EDGETPU_DEV),
    ),
    Package(
        name=TOOLS,
        summary="list, try and measure Coral Edge TPUs",
        text=(
            "lstpu lists Edge TPUs and says why one cannot be used, coral-model classifies an image, coral-detect "
            "finds objects in one, coral-benchmark measures a model, and coral-smoke tries out this machine with the "
            "models of this package.",
        ),
        section="science",
        same=False,
        overrides=(_LABELS,),
    ),
)
"""All other packages."""


def packages_of(variants: Sequence[Variant]) -> tuple[Package, ...]:
    """The packages of a bundle with these variants."""
    return (*(RUNTIMES[variant] for variant in variants), *OTHERS)


def versions(release: str, coralforge: str) -> dict[bool, str]:
    """The version of packages by whether it is libedgetpu's (``Package.edgetpu``).

    libedgetpu's is above Google's 16.0. Others call theirs 16.0tf2.16.1-1: it is below those for a newer TensorFlow
    Lite, above those for an older one, and below those for the same.
    """
    revision = f"{release}-0coralforge{coralforge}"
    return {True: f"{GOOGLES}tf{revision}", False: revision}
