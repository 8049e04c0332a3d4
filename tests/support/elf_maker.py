"""Makes small ELF files and static libraries byte by byte, so that tests of the gate need no compiler."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

AARCH64, X86_64 = 183, 62
LOADER = "/lib/ld-linux-aarch64.so.1"
COMMIT = "99d80a9e254c9df7940b2902b14d15914dbbbcd9"
STAMP = f"TENSORFLOW_COMMIT={COMMIT}\0".encode()


@dataclass(frozen=True)
class Spec:
    """The header of the file; ``versions``: library, version, symbols; ``stack``: flags of PT_GNU_STACK."""

    machine: int = AARCH64
    kind: int = 3
    interpreter: str | None = None
    soname: str | None = None
    needed: Sequence[str] = ("libc.so.6",)
    runpath: str | None = None
    rpath: str | None = None
    versions: Mapping[str, Mapping[str, Sequence[str]]] = field(
        default_factory=lambda: {"libc.so.6": {"GLIBC_2.17": ["__libc_start_main"]}}
    )
    stack: int | None = 6
    text_relocations: bool = False
    symtab: bool = False
    payload: bytes = b"hello\0"
    section_headers: bool = True
    build_id: bytes = b""


class _Strings:
    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        offset = len(self.data)
        self.data += text.encode() + b"\0"
        return offset


def library(soname: str, **changes: object) -> bytes:
    """A shared library that a gate with the platform's floors accepts, with changes."""
    return elf(Spec(soname=soname, **changes))  # type: ignore[arg-type]


def program(**changes: object) -> bytes:
    """A program for aarch64 that the gate accepts, with changes."""
    return elf(Spec(interpreter=LOADER, runpath="$ORIGIN/../lib", **changes))  # type: ignore[arg-type]


def elf(spec: Spec) -> bytes:
    """The bytes of a 64-bit little-endian ELF file; virtual addresses are file offsets."""
    strings = _Strings()
    tags = _tags(spec, strings)
    symbols, versym, verneed, libraries = _versions(spec, strings)
    bodies: list[tuple[str, int, bytes, int, int, int]] = []  # name, type, data, link (section number), info, entsize
    bodies.append((".interp", 1, (spec.interpreter or "").encode() + b"\0", 0, 0, 0))
    bodies.append((".dynstr", 3, strings.data, 0, 0, 0))
    bodies.append((".dynsym", 11, symbols, 2, 1, 24))
    bodies.append((".gnu.version", 0x6FFFFFFF, versym, 3, 0, 2))
    bodies.append((".gnu.version_r", 0x6FFFFFFE, verneed, 2, libraries, 0))
    bodies.append((".rodata", 1, spec.payload, 0, 0, 0))
    note = struct.pack("<III", 4, len(spec.build_id), 3) + b"GNU\0" + spec.build_id
    bodies.append((".note.gnu.build-id", 7, note if spec.build_id else b"", 0, 0, 0))
    if spec.symtab:
        bodies.append((".symtab", 2, b"\0" * 24, 2, 1, 24))
    return _lay_out(spec, bodies, tags)


def _tags(spec: Spec, strings: _Strings) -> list[tuple[int, int]]:
    tags = [(1, strings.add(name)) for name in spec.needed]
    for number, text in ((14, spec.soname), (29, spec.runpath), (15, spec.rpath)):
        if text is not None:
            tags.append((number, strings.add(text)))
    return tags + [(22, 0)] if spec.text_relocations else tags


def _versions(spec: Spec, strings: _Strings) -> tuple[bytes, bytes, bytes, int]:
    symbols, versym, verneed = b"\0" * 24, struct.pack("<H", 0), b""
    index = 2
    for position, (library_name, versions) in enumerate(spec.versions.items()):
        last = position == len(spec.versions) - 1
        following = 0 if last else 16 + 16 * len(versions)
        verneed += struct.pack("<HHIII", 1, len(versions), strings.add(library_name), 16, following)
        for number, (version, names) in enumerate(versions.items()):
            step = 16 if number < len(versions) - 1 else 0
            verneed += struct.pack("<IHHII", 0, 0, index, strings.add(version), step)
            for name in names:
                symbols += struct.pack("<IBBHQQ", strings.add(name), 0x12, 0, 0, 0, 0)
                versym += struct.pack("<H", index)
            index += 1
    return symbols, versym, verneed, len(spec.versions)


def _lay_out(spec: Spec, bodies: list[tuple[str, int, bytes, int, int, int]], tags: list[tuple[int, int]]) -> bytes:
    names = _Strings()
    segments = 5
    position = 64 + 56 * segments
    blob, headers, offsets = b"", [b"\0" * 64], {}
    tags_size = 16 * (len(tags) + 4)
    for name, kind, data, link, info, size in [*bodies, (".dynamic", 6, b"\0" * tags_size, 2, 0, 16)]:
        padding = -(position + len(blob)) % 8
        blob += b"\0" * padding
        offset = position + len(blob)
        offsets[name] = (offset, len(data))
        headers.append(
            struct.pack("<IIQQQQIIQQ", names.add(name), kind, 2, offset, offset, len(data), link, info, 8, size)
        )
        blob += data
    table = [*tags, (10, offsets[".dynstr"][1]), (5, offsets[".dynstr"][0]), (6, offsets[".dynsym"][0]), (0, 0)]
    blob = blob[:-tags_size] + b"".join(struct.pack("<QQ", *tag) for tag in table)
    names.add(".shstrtab")
    offset = position + len(blob)
    blob += names.data
    label = names.data.index(b".shstrtab")
    headers.append(struct.pack("<IIQQQQIIQQ", label, 3, 0, 0, offset, len(names.data), 0, 0, 1, 0))
    count = len(headers) if spec.section_headers else 0
    start = position + len(blob) if count else 0
    ident = b"\x7fELF" + bytes([2, 1, 1, 0]) + b"\0" * 8
    head = struct.pack(
        "<HHIQQQIHHHHHH", spec.kind, spec.machine, 1, 0, 64, start, 0, 64, 56, segments, 64, count, max(count - 1, 0)
    )
    return ident + head + _segments(spec, offsets, position + len(blob)) + blob + b"".join(headers[:count])


def _segments(spec: Spec, offsets: dict[str, tuple[int, int]], size: int) -> bytes:
    def segment(kind: int, flags: int, where: tuple[int, int]) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, flags, where[0], where[0], where[0], where[1], where[1], 8)

    parts = [
        segment(1, 5, (0, size)),
        segment(2, 6, offsets[".dynamic"]),
        segment(3, 4, offsets[".interp"]) if spec.interpreter else segment(0, 0, (0, 0)),
        segment(4, 4, offsets[".note.gnu.build-id"]) if spec.build_id else segment(0, 0, (0, 0)),
        segment(0x6474E551, spec.stack, (0, 0)) if spec.stack is not None else segment(0, 0, (0, 0)),
    ]
    return b"".join(parts)


def archive(members: Mapping[str, bytes]) -> bytes:
    """A GNU static library, as ``ar rcsD`` writes it (long names in the ``//`` member)."""
    names, body = b"", b""
    for name, data in members.items():
        short = f"/{len(names)}" if len(name) > 15 else name + "/"
        if len(name) > 15:
            names += name.encode() + b"/\n"
        body += _member(short, data)
    return b"!<arch>\n" + _member("/", b"\0\0\0\0") + (_member("//", names) if names else b"") + body


def _member(name: str, data: bytes) -> bytes:
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)


def write(path: Path, data: bytes) -> Path:
    """Write a file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def good_tree(root: Path) -> Path:
    """A small bundle that the gate accepts: two TFLite libraries, libusb, one libedgetpu variant, one program."""
    write(root / "bin/lstpu", program(needed=("libedgetpu.so.1", "libc.so.6")))
    write(root / "lib/libtensorflowlite.so", library("libtensorflowlite.so", payload=STAMP))
    write(root / "lib/libtensorflowlite_c.so", library("libtensorflowlite_c.so", payload=STAMP))
    write(root / "lib/libusb-1.0.so.0", library("libusb-1.0.so.0"))
    (root / "lib/libusb-1.0.so").symlink_to("libusb-1.0.so.0")
    needed = ("libusb-1.0.so.0", "libc.so.6", "ld-linux-aarch64.so.1")
    edgetpu = library("libedgetpu.so.1", payload=STAMP, needed=needed, runpath="$ORIGIN:$ORIGIN/..")
    write(root / "lib/direct/libedgetpu.so.1.0", edgetpu)
    (root / "lib/direct/libedgetpu.so.1").symlink_to("libedgetpu.so.1.0")
    (root / "lib/direct/libedgetpu.so").symlink_to("libedgetpu.so.1")
    (root / "lib/libedgetpu.so.1").symlink_to("direct/libedgetpu.so.1")
    (root / "lib/libedgetpu.so").symlink_to("libedgetpu.so.1")
    write(
        root / "lib/libflatbuffers.a",
        archive({"util.o": elf(Spec(kind=1)), "a_rather_long_name.o": elf(Spec(kind=1))}),
    )
    write(root / "share/ld.so.conf.d/a.conf", b"not a library in spite of its path\n")
    write(root / "include/edgetpu.h", b"// plain text, https://example.org/cache/x and a/sources/b are no paths\n")
    return root
