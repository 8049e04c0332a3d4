"""The payload of an `edgetpu-custom-op` for the simulator, both directions. docs/models.md has the byte layout.

The simulator has a reader of its own in C++ (simulator/): the layout must not change without a new magic.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import cache

from coralforge import __version__

CUSTOM_CODE = "edgetpu-custom-op"
MAGIC = b"CFSIM1\0\0"
HARDWARE_MARK = b"DWN1"  # the identifier of a compiled package inside a payload of Google's compiler

_FIXED = struct.Struct("<8sIIQII")  # magic, CRC-32, header length, sub-model length, trailer length, note length
_COVERED = 12  # the CRC is of everything from here on
_ALIGNMENT = 16
_MAX_HEADER = 4096
_LARGEST = (1 << 31) - 1
_NOTE = f"coralforge {__version__}, SIMULATED Edge TPU compiler"
_TRAILER_TEXT = "For SIMULATED Edge TPU only: compiled by coralforge, not for hardware"


class BadPayload(ValueError):
    """A damaged payload; the message is the end of a sentence."""


@dataclass(frozen=True)
class Payload:
    """The content of a payload: the sub-model as a .tflite file, and who made it."""

    model: bytes = field(repr=False)
    note: str = _NOTE


def is_simulated(raw: bytes) -> bool:
    """Whether the payload claims to be for the simulator; :func:`read_payload` says whether it is whole."""
    return raw[: len(MAGIC)] == MAGIC


def write_payload(payload: Payload) -> bytes:
    """The bytes of ``payload``; the same for the same input.

    Raises:
        BadPayload: the sub-model does not fit.
    """
    note, trailer = payload.note.encode(), _trailer()
    header = -(-(_FIXED.size + len(note)) // _ALIGNMENT) * _ALIGNMENT
    if header > _MAX_HEADER or header + len(payload.model) + len(trailer) > _LARGEST:
        raise BadPayload("it does not fit into 2 GiB")
    fixed = _FIXED.pack(MAGIC, 0, header, len(payload.model), len(trailer), len(note))
    body = (fixed + note).ljust(header, b"\0")[_COVERED:] + payload.model + trailer
    return MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def read_payload(raw: bytes) -> Payload:
    """Take a payload apart.

    Raises:
        BadPayload: it is made for hardware, of another format, cut off or damaged.
    """
    if not is_simulated(raw):
        raise BadPayload("it is for Edge TPU hardware" if HARDWARE_MARK in raw else "it is not for the simulator")
    if len(raw) < _FIXED.size:
        raise BadPayload("it is cut off")
    _, checksum, header, length, trailer, note = _FIXED.unpack_from(raw)
    if header % _ALIGNMENT or not _FIXED.size + note <= header <= _MAX_HEADER or length < 8:
        raise BadPayload("its header is damaged")
    if header + length + trailer != len(raw):
        raise BadPayload(f"it has {len(raw)} bytes instead of {header + length + trailer}")
    if zlib.crc32(memoryview(raw)[_COVERED:]) != checksum:
        raise BadPayload("its checksum is wrong")
    text = raw[_FIXED.size : _FIXED.size + note].decode("utf-8", "replace")
    return Payload(raw[header : header + length], text)


@cache
def _trailer() -> bytes:
    """A flexbuffer for Google's library, which reads its payload from the end and unverified: a map with a package
    that is none, so that it ends with a message.
    """
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        builder.Key("4")
        builder.String(_TRAILER_TEXT)
    return bytes(builder.Finish())
