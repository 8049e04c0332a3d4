"""The files that a bundle's own CMake package, pkg-config file and README speak of: each has to be in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from coralforge.errors import gate_error

_README = re.compile(r"(?<![\w./$<>-])((?:bin|include|lib|share)/[\w.+/-]*[\w/])")
_LIBRARY = re.compile(r"(?<![\w.-])(lib[\w.+-]*\.(?:so|a)(?:\.\d+)*)(?![\w.])")
_VARIANTS = re.compile(r"foreach\(_coral_variant IN ITEMS[^)]*\)")


def require_promised(folder: Path) -> None:
    """Refuse a bundle in which a file is missing that it promises.

    Raises:
        CoralforgeError: reason ``bundle-promise``, exit code 6.
    """
    absent = [f"{name} ({by} promises it)" for name, by in sorted(promised(folder)) if not (folder / name).exists()]
    if absent:
        raise gate_error(
            f"the bundle lacks {len(absent)} file{'s' if len(absent) > 1 else ''} that it promises",
            reason="bundle-promise",
            details="\n".join(absent),
            remedy="correct the template that promises it, or what builds it (docs/bundle.md says what stands where)",
        )


def promised(folder: Path) -> set[tuple[str, str]]:
    """Relative paths, each with the file that promises it. A promising file that is missing promises itself."""
    found = {(by, by) for by in _READERS}
    for by, names_in in _READERS.items():
        if (folder / by).is_file():
            found |= {(name, by) for name in names_in((folder / by).read_text(encoding="utf-8"))}
    return found


def _of_cmake(text: str) -> Iterator[str]:
    for name in _LIBRARY.findall(_VARIANTS.sub("", text)):
        yield f"lib/{name}"


def _of_pkgconfig(text: str) -> Iterator[str]:
    for private, flags in re.findall(r"^Libs(\.private)?:(.*)$", text, re.MULTILINE):
        for name in re.findall(r"(?:^|\s)-l([\w.+-]+)", flags):
            yield f"lib/lib{name}.{'a' if private else 'so'}"


def _of_readme(text: str) -> Iterator[str]:
    yield from _README.findall(text)


_READERS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "lib/cmake/Coral/CoralConfig.cmake": _of_cmake,
    "lib/pkgconfig/coral.pc": _of_pkgconfig,
    "README.md": _of_readme,
}
