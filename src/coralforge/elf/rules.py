"""The rules for one ELF file, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from coralforge.config.arch import NAMED_VERSIONS
from coralforge.elf.policy import Policy, Violation
from coralforge.elf.read import Elf, Need, symbols_with

_SHOWN = 8
REBUILD = "build it in the builder image for this architecture"


def check_header(file: str, elf: Elf, policy: Policy) -> Iterator[Violation]:
    """Machine, word size, byte order, file type and dynamic loader."""
    if (elf.machine, elf.bits, elf.little_endian) != (policy.machine, policy.bits, True):
        order = "little" if elf.little_endian else "big"
        wanted = f"{policy.machine}, {policy.bits}-bit, little-endian is wanted"
        found = f"is {elf.machine}, {elf.bits}-bit, {order}-endian; {wanted}"
        yield Violation(file, "machine", found, REBUILD)
    if elf.kind == "ET_EXEC":
        detail = "is not position-independent (ET_EXEC)"
        yield Violation(file, "not-pie", detail, "compile with -fPIE and link with -pie")
    elif elf.kind != "ET_DYN":
        yield Violation(file, "type", f"is {elf.kind}, neither a program nor a shared library", "do not ship it")
    if elf.interpreter is not None and elf.interpreter != policy.interpreter:
        detail = f"asks for the loader {elf.interpreter!r}, not {policy.interpreter}"
        yield Violation(file, "interpreter", detail, "link with the platform's sysroot and no --dynamic-linker")


def check_hardening(file: str, elf: Elf) -> Iterator[Violation]:
    """No executable stack, no text relocations, nothing left of the build's symbols."""
    if elf.executable_stack is not False:
        detail = (
            "has an executable stack" if elf.executable_stack else "does not say that its stack is not executable"
        )
        yield Violation(file, "executable-stack", detail, "link with -z noexecstack; assembly needs .note.GNU-stack")
    if elf.text_relocations:
        yield Violation(file, "text-relocations", "has text relocations", "compile everything in it with -fPIC")
    if elf.debug_sections:
        detail = f"is not stripped ({', '.join(elf.debug_sections[:_SHOWN])})"
        yield Violation(file, "not-stripped", detail, "run llvm-strip --strip-all on it")


def check_versions(file: str, path: Path, elf: Elf, policy: Policy) -> Iterator[Violation]:
    """No symbol version above the platform's floor; names the symbols that need it."""
    for need in elf.needs:
        too_new = _above(need, policy)
        if too_new is None:
            continue
        symbols = symbols_with(path, need.index)
        shown = ", ".join(symbols[:_SHOWN]) + (f" and {len(symbols) - _SHOWN} more" if len(symbols) > _SHOWN else "")
        detail = f"needs {need.version} of {need.library} for {shown or 'no symbol that it names'}; {too_new}"
        remedy = "compile and link everything in it against the platform's sysroot; a prebuilt part may be too new"
        yield Violation(file, "symbol-version", detail, remedy)


def _above(need: Need, policy: Policy) -> str | None:
    prefix = need.version.partition("_")[0]
    floor = dict(policy.floors).get(prefix)
    if floor is None:
        return None
    number = numbers_of(need)
    if number is None:
        return "it belongs to one build of that library"
    return None if number <= _numbers(floor) else f"the platform has {prefix}_{floor}"


def numbers_of(need: Need) -> tuple[int, ...] | None:
    """The version without its family, to be compared; None where it fits one build of the library only."""
    try:
        return _numbers(NAMED_VERSIONS.get(need.version, need.version.partition("_")[2]))
    except ValueError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
