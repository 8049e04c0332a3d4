"""The content of each Debian package: the bundle's files in their places, and what a package has beside them."""

from __future__ import annotations

import gzip
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coralforge.bundle.deb.mapping import HOME, LIB, PRIVATE, SHARED
from coralforge.bundle.deb.packages import DEV, RUNTIMES, TOOLS, Package
from coralforge.templates import PROGRAMS, File, Files


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str
    """As it is written, relative to the folder of the link."""


Content = Path | File | Link
"""A file (or link) of the bundle that is copied, one that is made, or a link."""
Contents = Mapping[str, Content]
"""By path below the root folder."""


@dataclass(frozen=True)
class Texts:
    """Made files that go into packages."""

    rendered: Files
    """As ``templates.render_packaged`` gives them."""
    copyright: str
    changelog: str


def commands() -> dict[str, str]:
    """The commands below /usr/bin, each with its program. All but lstpu have names that are too general there."""
    return {name if name.startswith("ls") else f"coral-{name}": f"{HOME}/bin/{name}" for name in PROGRAMS}


SMOKE = "coral-smoke"
"""The command that runs smoke.sh, which has to be run by its own path."""


def contents(package: Package, placed: Mapping[str, str], bundle: Path, triple: str, texts: Texts) -> Contents:
    """All files of the package. ``placed`` are its files of the bundle, by target."""
    found: dict[str, Content] = {target: bundle / name for target, name in placed.items()}
    documents = f"usr/share/doc/{package.name}"
    found[f"{documents}/copyright"] = File(texts.copyright.encode())
    found[f"{documents}/changelog.Debian.gz"] = _packed(texts.changelog.encode())
    if package.overrides:
        lines = [f"{comment}\n{package.name}: {tag}\n" for comment, tag in package.overrides]
        found[f"usr/share/lintian/overrides/{package.name}"] = File("".join(lines).encode())
    for variant, runtime in RUNTIMES.items():
        if runtime is package:  # tells programs and the CMake package which one it is
            found[f"{PRIVATE.format(triple=triple)}/{variant.value}/libedgetpu.so.1"] = Link("../../libedgetpu.so.1")
    if package.name == DEV:
        found |= dict(_development(texts.rendered, triple))
    if package.name == TOOLS:
        found |= dict(_tools(texts.rendered))
    return found


def _development(rendered: Files, triple: str) -> Iterator[tuple[str, Content]]:
    """The files for CMake and pkg-config."""
    for name, file in rendered.items():
        if name.parts[0] == "lib":
            yield f"{LIB.format(triple=triple)}/{name.relative_to('lib')}", file


def _tools(rendered: Files) -> Iterator[tuple[str, Content]]:
    """Commands, one manual page for all of them, and the link by which smoke.sh finds its models beside it."""
    yield f"{HOME}/share", _link(f"{HOME}/share", SHARED)
    yield f"usr/bin/{SMOKE}", File(rendered[PurePosixPath(SMOKE)].content, executable=True)
    for command, program in commands().items():
        yield f"usr/bin/{command}", _link(f"usr/bin/{command}", program)
    first, *others = (*commands(), SMOKE)
    yield f"usr/share/man/man1/{first}.1.gz", _packed(rendered[PurePosixPath("manual.1")].content)
    for command in others:
        yield f"usr/share/man/man1/{command}.1.gz", Link(f"{first}.1.gz")


def _link(place: str, target: str) -> Link:
    return Link(posixpath.relpath(target, posixpath.dirname(place)))


def _packed(data: bytes) -> File:
    """As ``gzip -9n``: without name and time."""
    return File(gzip.compress(data, compresslevel=9, mtime=0))
