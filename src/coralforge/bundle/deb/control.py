"""The control file of a Debian package: who it is, and what it needs, measured in its files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coralforge.bundle.deb.packages import ANY_EDGETPU, OTHERS, RUNTIMES, TFLITE, Package
from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.elf.needs import Needs
from coralforge.elf.policy import GLIBC_PARTS
from coralforge.errors import gate_error

MAINTAINER = "coralforge <packages@coralforge.invalid>"
"""Nobody to write to: who makes the packages gives them to whom they like."""
HOMEPAGE = "https://coral.ai/"
_WIDTH = 78
# The newest function of it that libedgetpu calls, libusb_get_port_numbers, came with 1.0.16; all boards have that.
_USB = "libusb-1.0-0 (>= 2:1.0.16)"
# Debian 10 and Ubuntu 18.04 have the older name; the newer package provides it, but not in a version that compares.
_GCC = "libgcc-s1 | libgcc1"


@dataclass(frozen=True)
class PackageSet:
    """The facts that all packages of a bundle share."""

    release: str
    arch: Arch
    variants: tuple[Variant, ...]
    """The bundle's, the default first."""
    versions: Mapping[bool, str]
    """As ``packages.versions`` gives them."""
    unpinned: tuple[str, ...] = ()
    """Sources that are not what the release pins."""

    def version(self, package: Package) -> str:
        """The package's version."""
        return self.versions[package.edgetpu]

    def of_this_set(self, name: str) -> str:
        """The dependency on a package of the set; for ``ANY_EDGETPU`` on any variant, the bundle's default first."""
        if name != ANY_EDGETPU:
            [package] = (one for one in OTHERS if one.name == name)
            return f"{name} (= {self.version(package)})"
        order = dict.fromkeys((*self.variants, *RUNTIMES))
        return " | ".join(f"{RUNTIMES[variant].name} (= {self.versions[True]})" for variant in order)


def control(package: Package, of: PackageSet, needs: Needs, size_kib: int) -> str:
    """The text of the control file.

    Raises:
        CoralforgeError: ``deb-needed``, exit code 6: no package is known that has a library which a file needs.
    """
    fields = {
        "Package": package.name,
        "Source": "coralforge" if not package.edgetpu else f"coralforge ({of.versions[False]})",
        "Version": of.version(package),
        "Architecture": of.arch.row.debian,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size_kib),
        "Depends": ", ".join(depends(package, of, needs)),
        **{field: text.format(version=of.version(package)) for field, text in package.relations},
        "Section": package.section,
        "Priority": "optional",
        **({"Multi-Arch": "same"} if package.same else {}),
        "Homepage": HOMEPAGE,
        "Description": package.summary.format(release=of.release),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\n".join([*lines, *_description(package, of)]) + "\n"


def depends(package: Package, of: PackageSet, needs: Needs) -> list[str]:
    """Its dependencies, sorted: packages of the set, and those with the libraries that its files need."""
    found = {of.of_this_set(name) for name in package.depends}
    glibc = {*GLIBC_PARTS, of.arch.row.loader.rpartition("/")[2]}
    for library in needs.libraries:
        if library in glibc:
            found.add(f"libc6 (>= {needs.versions['GLIBC']})")
        elif library == "libstdc++.so.6":
            found.add(f"libstdc++6 (>= {needs.gcc})")
        else:
            found.add(_with_library(library, of, package))
    return sorted(found)


def _with_library(library: str, of: PackageSet, package: Package) -> str:
    known = {
        "libgcc_s.so.1": _GCC,
        "libusb-1.0.so.0": _USB,
        "libedgetpu.so.1": of.of_this_set(ANY_EDGETPU),
        "libtensorflowlite.so": of.of_this_set(TFLITE),
        "libtensorflowlite_c.so": of.of_this_set(TFLITE),
    }
    if library not in known:
        raise gate_error(
            f"{package.name} has a file that needs {library}, and no Debian package is known that has it",
            reason="deb-needed",
            remedy="add it to src/coralforge/bundle/deb/control.py",
        )
    return known[library]


def _description(package: Package, of: PackageSet) -> Iterator[str]:
    paragraphs = [text.format(release=of.release) for text in package.text]
    paragraphs += [f"Made from a local checkout of {name}, not from what the release pins." for name in of.unpinned]
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield " ."
        yield from (f" {line}" for line in textwrap.wrap(paragraph, _WIDTH))


def installed_size(sizes: Iterable[int], others: int) -> int:
    """KiB as dpkg-gencontrol counts them: each file rounded up, and one for each folder or link (``others``)."""
    return sum(-(-size // 1024) for size in sizes) + others


def changelog(package: Package, of: PackageSet, coralforge: str, date: str, sources: Sequence[str]) -> str:
    """The text of changelog.Debian: one entry. ``sources`` are names with versions, ``date`` as in RFC 5322."""
    made = f"* Made by coralforge {coralforge}, with TensorFlow Lite {of.release}, from {', '.join(sources)}."
    lines = textwrap.wrap(made, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    head = f"coralforge ({of.version(package)}) unstable; urgency=medium"
    return "\n".join([head, "", *lines, "", f" -- {MAINTAINER}  {date}"]) + "\n"
