"""The rules for a static library: every member is an object file of the right machine, and some show nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from elftools.elf.enums import ENUM_E_MACHINE

from coralforge.elf.policy import Policy, Violation
from coralforge.elf.read import MAGIC, NotElf, visible_symbols
from coralforge.elf.rules import REBUILD

_SHOWN = 8
_NAMES_MEMBER = b"//"
_MAX_NAMES = 1 << 20
_NAMES = {number: name for name, number in ENUM_E_MACHINE.items() if isinstance(number, int)}


def check_archive(file: str, path: Path, policy: Policy) -> Iterator[Violation]:
    """Members are object files of the right machine; those of a hidden archive show nothing of what they define."""
    wrong: dict[str, list[str]] = {}
    seen: list[str] = []
    hidden = path.name in policy.hidden
    try:
        for name, data in _members(path, whole=hidden):
            problem = _object_problem(data, policy)
            if problem:
                wrong.setdefault(problem, []).append(name)
            elif hidden:
                seen += visible_symbols(data)
    except (ValueError, NotElf) as error:
        yield Violation(file, "archive", f"is not a static library: {error}", "make it with llvm-ar rcsD")
    for problem, names in sorted(wrong.items()):
        shown = ", ".join(names[:_SHOWN])
        yield Violation(file, "machine", f"has {len(names)} member(s) that are {problem}: {shown}", REBUILD)
    if seen:
        shown = ", ".join(sorted(seen)[:_SHOWN])
        detail = f"defines {len(seen)} symbol(s) that are not hidden: {shown}"
        remedy = "hide them: a library that is linked with it would offer them to others in place of the system's"
        yield Violation(file, "visible-symbol", detail, remedy)


def _object_problem(data: bytes, policy: Policy) -> str:
    if data[:4] != MAGIC or len(data) < 20:
        return "not ELF objects"
    machine = _NAMES.get(int.from_bytes(data[18:20], "little"), "another machine's")
    if (machine, 32 * data[4], data[5]) != (policy.machine, policy.bits, 1):
        return f"{machine}, {32 * data[4]}-bit"
    return "" if int.from_bytes(data[16:18], "little") == 1 else "not relocatable objects"


def _members(path: Path, whole: bool) -> Iterator[tuple[str, bytes]]:
    """Name and bytes (unless ``whole``, the first 20) of each member of a GNU ``ar`` archive.

    Raises:
        ValueError: it is malformed.
    """
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
                yield _member_name(name, names), stream.read(int(length) if whole else 20)
            position = end + (end & 1)


def _member_name(name: bytes, names: bytes) -> str:
    """The long form of ``/123`` (an offset into the names member), else the name without its final slash."""
    if name.startswith(b"/") and name[1:].isdigit():
        name = names[int(name[1:]) :].split(b"\n", 1)[0]
    return name.rstrip(b"/")[:100].decode("utf-8", "replace")
