"""Checks a whole tree (an SDK or a bundle) and refuses it as one error that names everything that is wrong."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from coralforge.elf.archive import check_archive
from coralforge.elf.closure import Tree, check_needed, check_runpath, check_soname, real
from coralforge.elf.contents import Contents, scan
from coralforge.elf.policy import Policy, Violation
from coralforge.elf.read import Elf, NotElf, is_elf, read_elf
from coralforge.elf.rules import check_hardening, check_header, check_versions
from coralforge.errors import gate_error

_MUST_BE_ELF = re.compile(r"bin/[^/]+|(.*/)?lib[^/]*\.so(\.\d+)*")


def gate(root: Path, policy: Policy) -> None:
    """Refuse the tree at ``root`` unless every file satisfies the policy.

    Raises:
        CoralforgeError: reason ``gate``, exit code 6; ``details`` has one line per violation.
    """
    violations = check_tree(root, policy)
    if not violations:
        return
    files = sorted({violation.file for violation in violations})
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    raise gate_error(
        f"the gate refuses {files[0]}{others}: {len(violations)} violation(s) of what a bundle promises",
        reason="gate",
        details="\n".join(str(violation) for violation in violations),
        remedy="each line says what to do; nothing was written",
    )


def check_tree(root: Path, policy: Policy) -> list[Violation]:
    """All violations in the tree, sorted by file. Raises OSError when a file cannot be read.

    Raises:
        CoralforgeError: reason ``gate`` when there is no file at all, since nothing checked is not a pass.
    """
    root = root.resolve()
    files, links, violations = _walk(root)
    if not files:
        raise gate_error(f"there is nothing to check in {root}", reason="gate", remedy="build it first")
    elves: dict[Path, Elf] = {}
    stamps: dict[Path, frozenset[str]] = {}
    for path in files:
        contents = scan(path, policy.forbidden)
        stamps[path] = contents.stamps
        violations += _check_contents(_name(root, path), contents)
        violations += _check_kind(root, path, policy, elves)
    tree = Tree(root, elves, _aliases(links))
    for path, elf in elves.items():
        violations += _check_elf(tree, path, elf, policy)
    violations += _check_links(root, links)
    violations += _check_stamps(tree, stamps, policy)
    return sorted(violations, key=lambda v: (v.file, v.what, v.detail))


def _walk(root: Path) -> tuple[list[Path], list[Path], list[Violation]]:
    """Regular files, symbolic links, and what is neither; sorted."""
    files, links, odd = [], [], []
    for folder, names, others in os.walk(root):
        for name in sorted(names + others):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                links.append(path)
            elif stat.S_ISREG(mode):
                files.append(path)
            elif not stat.S_ISDIR(mode):
                detail = "is neither a file, a folder nor a link"
                odd.append(Violation(_name(root, path), "file-type", detail, "remove it"))
    return sorted(files), sorted(links), odd


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _aliases(links: list[Path]) -> dict[Path, tuple[Path, ...]]:
    aliases: dict[Path, tuple[Path, ...]] = {}
    for link in links:
        target = real(link)
        aliases[target] = (*aliases.get(target, ()), link)
    return aliases


def _check_contents(file: str, contents: Contents) -> Iterator[Violation]:
    for found in contents.paths:
        detail = f"has a path of the build machine in it: {found}"
        remedy = "compile with -ffile-prefix-map, use paths relative to the file, or strip it"
        yield Violation(file, "build-path", detail, remedy)


def _check_kind(root: Path, path: Path, policy: Policy, elves: dict[Path, Elf]) -> Iterator[Violation]:
    """Read the file if it is an ELF file (into ``elves``); complain if its name promises what it is not."""
    file = _name(root, path)
    if is_elf(path):
        try:
            elves[path] = read_elf(path)
        except NotElf as error:
            yield Violation(file, "malformed", f"is a damaged ELF file: {error}", "build it again")
    elif path.suffix == ".a":
        yield from check_archive(file, path, policy)
    elif _MUST_BE_ELF.fullmatch(file):
        detail = "has the name of a program or library, but is not an ELF file"
        yield Violation(
            file, "malformed", detail, "build it again; a cut-off copy or a linker script looks like this"
        )


def _check_elf(tree: Tree, path: Path, elf: Elf, policy: Policy) -> Iterator[Violation]:
    file = tree.name(path)
    yield from check_header(file, elf, policy)
    yield from check_hardening(file, elf)
    try:
        yield from check_versions(file, path, elf, policy)
    except NotElf as error:
        yield Violation(file, "malformed", f"is a damaged ELF file: {error}", "build it again")
    if elf.interpreter is None:
        yield from check_soname(tree, path, elf)
    yield from check_runpath(tree, path, elf)
    yield from check_needed(tree, path, elf, policy)


def _check_links(root: Path, links: list[Path]) -> Iterator[Violation]:
    for link in links:
        target, end = link.readlink(), real(link)
        if target.is_absolute() or not end.is_relative_to(root):
            detail = f"is a link to {target}, which is not in the bundle"
            yield Violation(_name(root, link), "link", detail, "make it a relative link to a file of the bundle")
        elif not os.path.lexists(end) or end.is_symlink():
            yield Violation(
                _name(root, link), "link", f"is a link to {target}, which does not exist", "add its target"
            )


def _check_stamps(tree: Tree, stamps: dict[Path, frozenset[str]], policy: Policy) -> Iterator[Violation]:
    for pattern in policy.stamped:
        libraries = [path for path in tree.elves if fnmatchcase(path.name, pattern)]
        if not libraries:
            detail = "is not in the tree, so its TENSORFLOW_COMMIT is unknown"
            yield Violation(pattern, "stamp", detail, "build it into the SDK")
        for path in libraries:
            yield from _check_stamp(tree.name(path), stamps[path], policy.commit)


def _check_stamp(file: str, found: frozenset[str], commit: str) -> Iterator[Violation]:
    remedy = "build it from the release's own sources with --embed_label=TENSORFLOW_COMMIT=<commit>"
    if not found:
        detail = "has no TENSORFLOW_COMMIT stamp: unknown is not a pass"
        yield Violation(file, "stamp", detail, remedy)
    for other in sorted(found - {commit}):
        detail = f"is stamped with TENSORFLOW_COMMIT={other}, the release has {commit}: together they crash"
        yield Violation(file, "stamp", detail, remedy)
