"""Whether every shared library that a file asks for is found, by the rules of the dynamic loader."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from coralforge.elf.policy import Policy, Violation
from coralforge.elf.read import Elf

_LINK = "make the links as the linker wants them: lib<name>.so -> SONAME -> the file"


def real(path: Path) -> Path:
    """The path with links followed. Unlike ``Path.resolve`` it does not raise for a loop of links (Python < 3.13)."""
    return Path(os.path.realpath(path))


@dataclass(frozen=True)
class Tree:
    """A folder that is looked at: its real path, the ELF files in it, and where symbolic links to each file stand.

    Keys are real absolute paths. ``aliases`` holds the links themselves, each with its own (unresolved) path.
    """

    root: Path
    elves: Mapping[Path, Elf]
    aliases: Mapping[Path, tuple[Path, ...]]

    def name(self, path: Path) -> str:
        """The path as messages show it, relative to the root."""
        return path.relative_to(self.root).as_posix()

    def contains(self, path: Path) -> bool:
        """Whether the path, with all its links followed, stays in the tree."""
        return real(path).is_relative_to(self.root)


def check_soname(tree: Tree, path: Path, elf: Elf) -> Iterator[Violation]:
    """A shared library has a SONAME, is found under it, and under the name that the linker looks for."""
    file = tree.name(path)
    if not elf.soname:
        detail = "has no SONAME: programs would look for it by the path it was linked by"
        yield Violation(file, "soname", detail, f"link it with -Wl,-soname,{path.name}")
        return
    if "/" in elf.soname:
        yield Violation(file, "soname", f"has a path as its SONAME ({elf.soname})", "use the plain file name")
        return
    wanted = [elf.soname]
    if ".so." in elf.soname:
        wanted.append(elf.soname.partition(".so.")[0] + ".so")
    for name in wanted:
        beside = path.parent / name
        if not os.path.lexists(beside):
            detail = f"has the SONAME {elf.soname}, but there is no {name} beside it"
            yield Violation(file, "soname-link", detail, _LINK)
        elif real(beside) != path:
            detail = f"has the SONAME {elf.soname}, but {name} beside it is another file"
            yield Violation(file, "soname-link", detail, _LINK)


def check_runpath(tree: Tree, path: Path, elf: Elf) -> Iterator[Violation]:
    """Library search paths are RUNPATHs, relative to the file, and stay in the tree."""
    file = tree.name(path)
    if elf.rpath:
        detail = f"has an RPATH ({':'.join(elf.rpath)}), which a user's LD_LIBRARY_PATH cannot override"
        yield Violation(file, "rpath", detail, "link with -Wl,--enable-new-dtags")
    for entry in elf.runpath:
        if entry != "$ORIGIN" and not entry.startswith("$ORIGIN/"):
            detail = f"has the RUNPATH entry {entry!r}, which is a place of the build machine or the current folder"
            yield Violation(file, "runpath", detail, "use paths that begin with $ORIGIN")
            continue
        for origin in _origins(tree, path, elf):
            if not tree.contains(_expand(entry, origin)):
                detail = f"has the RUNPATH entry {entry!r}, which leads out of the bundle from {tree.name(origin)}/"
                yield Violation(file, "runpath", detail, "point it to the bundle's own lib folder")


def check_needed(tree: Tree, path: Path, elf: Elf, policy: Policy) -> Iterator[Violation]:
    """Each NEEDED library is the system's, or in the tree where this file's own RUNPATH leads.

    A RUNPATH counts only for the file that has it, so the files it loads are checked on their own.
    """
    for needed in elf.needed:
        if needed in policy.system:
            continue
        for origin in _origins(tree, path, elf):
            found = [_expand(entry, origin) / needed for entry in elf.runpath if entry.startswith("$ORIGIN")]
            problem = _problem(tree, [place for place in found if os.path.lexists(place)], needed)
            if problem:
                where = f" when it is loaded from {tree.name(origin)}/" if origin != path.parent else ""
                yield Violation(tree.name(path), "needed", f"needs {needed}{where}, {problem}", _remedy(tree, needed))
                break


def _origins(tree: Tree, path: Path, elf: Elf) -> list[Path]:
    """Folders that $ORIGIN can stand for.

    The loader takes the folder of the name it opened a library by, links not followed; of a program, the kernel
    tells it the real path.
    """
    if elf.interpreter is not None:
        return [path.parent]
    return sorted({path.parent, *(link.parent for link in tree.aliases.get(path, ()))})


def _expand(entry: str, origin: Path) -> Path:
    return Path(entry.replace("$ORIGIN", str(origin), 1))


def _problem(tree: Tree, places: list[Path], needed: str) -> str:
    if not places:
        return "which is neither in the bundle where its RUNPATH leads nor a library of the system"
    # The loader takes the first that exists.
    target = real(places[0])
    if target not in tree.elves:
        return f"but {needed} there is not a library of the bundle"
    if tree.elves[target].soname != needed:
        return f"but {tree.name(target)} there has the SONAME {tree.elves[target].soname}"
    return ""


def _remedy(tree: Tree, needed: str) -> str:
    names = {path: path.name for path in tree.elves}
    names.update({link: link.name for links in tree.aliases.values() for link in links})
    elsewhere = sorted(tree.name(path) for path, name in names.items() if name == needed)
    if elsewhere:
        return f"it is at {elsewhere[0]}: correct the RUNPATH, or add a link"
    return "add it to the bundle, or link it statically; a static archive picked up by mistake hides such needs"
