"""Reads what Google's compiler puts into an `edgetpu-custom-op`.

The operator's custom options are a flexbuffer map. Its "4" holds a *package*, a flatbuffer with the identifier DWN1
that says for which runtime it is; the package holds a list of *executables*, flatbuffers again: the instructions and
parameters for the chip, and the layers that go in and out. Field numbers are those of libedgetpu's executable.fbs.

Where parameters go follows from the kind of executable: PARAMETER_CACHING loads its parameters into the chip's memory
once, EXECUTION_ONLY and STAND_ALONE stream theirs from the host for each inference.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from coralforge.tflite.flatbuffer import Form, Malformed, Many, Numbers, Tables, Text, Texts, walk
from coralforge.tflite.flatview import Table, root
from coralforge.tflite.graph import text

Kind = Literal["STAND_ALONE", "PARAMETER_CACHING", "EXECUTION_ONLY"]
_KINDS: tuple[Kind, ...] = ("STAND_ALONE", "PARAMETER_CACHING", "EXECUTION_ONLY")

# Only the fields that are read here.
_PACKAGE = Form("a package for the Edge TPU", b"DWN1", "Package", {"Package": {1: Numbers(1), 4: Text(), 7: Text()}})
_LIST = Form("a list of executables", b"", "MultiExecutable", {"MultiExecutable": {0: Texts()}})
_LAYERS = {8: Many("Layer"), 9: Many("Layer")}
_TABLES: Tables = {
    "Executable": {1: Text(), 5: Many("Bitstream"), 6: Numbers(1), 10: Text(), **_LAYERS},
    "Bitstream": {0: Numbers(1)},
    "Layer": {0: Text()},
}
_EXECUTABLE = Form("an executable", b"", "Executable", _TABLES)


class BadPackage(ValueError):
    """Damaged custom options; the message is the end of a sentence."""


@dataclass(frozen=True)
class Layer:
    """An input or output of an executable: its name is that of a tensor. ``size`` is in bytes, with padding."""

    name: str
    size: int


@dataclass(frozen=True)
class Executable:
    """One program for the chip. All sizes are in bytes; ``cycles`` is the compiler's estimate, 0 if it made none."""

    kind: Kind
    name: str
    chip: str
    batch_size: int
    parameter_bytes: int
    scratch_bytes: int
    instruction_bytes: int
    parameter_caching_token: int
    """Models whose tokens are equal were compiled together, and share the memory on the chip."""
    cycles: int
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]


@dataclass(frozen=True)
class Package:
    """The program of one `edgetpu-custom-op`."""

    min_runtime_version: int
    compiler_version: str
    """Empty where the file does not state it."""
    model_identifier: str
    executables: tuple[Executable, ...]

    @property
    def cached_bytes(self) -> int:
        """Parameters that stay in the chip's memory, in bytes."""
        return sum(one.parameter_bytes for one in self.executables if one.kind == "PARAMETER_CACHING")

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent to the chip for each inference, in bytes."""
        return sum(one.parameter_bytes for one in self.executables if one.kind != "PARAMETER_CACHING")


def read_package(custom_options: bytes) -> Package:
    """Take the custom options of an `edgetpu-custom-op` apart.

    Raises:
        BadPackage: they are not what Google's compiler writes, cut off or damaged.
    """
    try:
        data = memoryview(_packed(custom_options))
        walk(data, _PACKAGE)
        package = root(data)
        return Package(
            package.signed(0),
            _stamp(text(bytes(package.vector(4)))),
            text(bytes(package.vector(7))),
            _executables(package.vector(1)),
        )
    except Malformed as error:
        raise BadPackage(str(error)) from error
    except struct.error as error:
        raise BadPackage("a number lies outside of it; it may be cut off or damaged") from error


def _stamp(said: str) -> str:
    """The compiler's version; empty where it is not stated. Builds of Google's own put ``cl/NUMBER`` there."""
    return "" if said.strip() in ("", "cl/") else said


def _packed(custom_options: bytes) -> bytes:
    """The raw bytes under "4": stored as a string, but not in UTF-8, so that it must not be decoded."""
    from flatbuffers import flexbuffers

    try:
        found = flexbuffers.GetRoot(custom_options).AsMap["4"].AsStringBytes
    except (LookupError, ValueError, TypeError, AssertionError, OverflowError, struct.error) as error:
        # The library has no verifier; this is what it raises for bytes that are none of its own.
        raise BadPackage("it is not a flexbuffer map with a package") from error
    return bytes(found)


def _executables(packed: memoryview) -> tuple[Executable, ...]:
    walk(packed, _LIST)
    found = root(packed).vectors(0)
    if not 0 < len(found) <= len(_KINDS):
        raise BadPackage(f"it has {len(found)} executables instead of 1 to {len(_KINDS)}")
    executables = tuple(_executable(one) for one in found)
    if len({one.kind for one in executables}) < len(executables):
        raise BadPackage("it has two executables of one kind, which no runtime takes")
    return executables


def _executable(packed: memoryview) -> Executable:
    walk(packed, _EXECUTABLE)
    table = root(packed)
    kind = table.signed(13, 2)
    if not 0 <= kind < len(_KINDS):
        raise BadPackage(f"an executable is of the unknown kind {kind}")
    return Executable(
        kind=_KINDS[kind],
        name=text(bytes(table.vector(1))),
        chip=text(bytes(table.vector(10))),
        batch_size=table.signed(3),
        parameter_bytes=len(table.vector(6)),
        scratch_bytes=table.signed(4),
        instruction_bytes=sum(len(one.vector(0)) for one in table.tables(5)),
        parameter_caching_token=table.signed(14, 8) % (1 << 64),
        cycles=table.signed(16, 8) or table.signed(11),
        inputs=_layers(table.tables(8)),
        outputs=_layers(table.tables(9)),
    )


def _layers(tables: tuple[Table, ...]) -> tuple[Layer, ...]:
    return tuple(Layer(text(bytes(table.vector(0))), table.signed(1)) for table in tables)
