"""The rules for one ELF file or static archive, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from coralforge.elf.policy import Policy, Violation
from coralforge.elf.read import MAGIC, Elf, Need, symbols_with

# Versions that are no numbers, with the release that brought them. GLIBC_PRIVATE is in none: it fits one glibc only.
_NAMED = {
    "GLIBC_ABI_DT_RELR": "2.36",
    "GLIBC_ABI_DT_X86_64_PLT": "2.42",
    "GLIBC_ABI_GNU2_TLS": "2.42",
    "GLIBC_ABI_GNU_TLS": "2.42",
    "CXXABI_TM_1": "1.3.5",
    "CXXABI_FLOAT128": "1.3.9",
}
_SHOWN = 8
_REBUILD = "build it in the builder image for this architecture"
_NAMES_MEMBER = b"//"
_MAX_NAMES = 1 << 20


def check_header(file: str, elf: Elf, policy: Policy) -> Iterator[Violation]:
    """Machine, word size, byte order, file type and dynamic loader."""
    if (elf.machine, elf.bits, elf.little_endian) != (policy.machine, 64, True):
        order = "little" if elf.little_endian else "big"
        found = f"is {elf.machine}, {elf.bits}-bit, {order}-endian; {policy.machine}, 64-bit, little-endian is wanted"
        yield Violation(file, "machine", found, _REBUILD)
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
    number = _NAMED.get(need.version, need.version.partition("_")[2])
    try:
        fits = _numbers(number) <= _numbers(floor)
    except ValueError:
        return "it belongs to one build of that library"
    return None if fits else f"the platform has {prefix}_{floor}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def check_archive(file: str, path: Path, policy: Policy) -> Iterator[Violation]:
    """Every member of a static library is an object file of the right machine."""
    wrong: dict[str, list[str]] = {}
    try:
        for name, head in _members(path):
            problem = _object_problem(head, policy)
            if problem:
                wrong.setdefault(problem, []).append(name)
    except ValueError as error:
        yield Violation(file, "archive", f"is not a static library: {error}", "make it with llvm-ar rcsD")
    for problem, names in sorted(wrong.items()):
        shown = ", ".join(names[:_SHOWN])
        yield Violation(file, "machine", f"has {len(names)} member(s) that are {problem}: {shown}", _REBUILD)


def _object_problem(head: bytes, policy: Policy) -> str:
    if head[:4] != MAGIC or len(head) < 20:
        return "not ELF objects"
    machine = {183: "EM_AARCH64", 62: "EM_X86_64"}.get(int.from_bytes(head[18:20], "little"), "another machine's")
    if head[4] != 2 or head[5] != 1 or machine != policy.machine:
        return f"{machine}, {32 * head[4]}-bit"
    return "" if int.from_bytes(head[16:18], "little") == 1 else "not relocatable objects"


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and first 20 bytes of each member of a GNU ``ar`` archive. Raises ValueError when it is malformed."""
    size = path.stat().st_size
    names = b""
    with path.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise ValueError("it does not begin with !<arch> (a thin archive only points to files)")
        position = 8
        while position < size:
            stream.seek(position)
            header = stream.read(60)
            length = header[48:58].strip()
            if len(header) < 60 or header[58:] != b"`\n" or not length.isdigit():
                raise ValueError(f"the member header at byte {position} is damaged")
            end = position + 60 + int(length)
            if end > size:
                raise ValueError(f"the member at byte {position} is cut off")
            name = header[:16].rstrip()
            if name == _NAMES_MEMBER:
                names = stream.read(min(int(length), _MAX_NAMES))
            elif name not in (b"/", b"/SYM64/"):
                yield _member_name(name, names), stream.read(20)
            position = end + (end & 1)


def _member_name(name: bytes, names: bytes) -> str:
    """The long form of ``/123`` (an offset into the names member), else the name without its final slash."""
    if name.startswith(b"/") and name[1:].isdigit():
        name = names[int(name[1:]) :].split(b"\n", 1)[0]
    return name.rstrip(b"/")[:100].decode("utf-8", "replace")
