"""The payload of models for the simulator: the layout that docs/models.md promises, and no damage goes unseen."""

from __future__ import annotations

import struct
import zlib

import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

from coralforge.edgetpu.payload import BadPayload, Payload, is_simulated, read_payload, write_payload

MODEL = b"\x1c\0\0\0TFL3" + bytes(range(200))
RAW = write_payload(Payload(MODEL, "a note"))


@given(st.binary(min_size=8, max_size=300), st.text(alphabet="ab é", max_size=40))
def test_what_is_written_is_read(model: bytes, note: str) -> None:
    assert read_payload(write_payload(Payload(model, note))) == Payload(model, note)


def test_the_bytes_are_where_the_documentation_says() -> None:
    checksum, header, length, trailer, note = struct.unpack_from("<IIQII", RAW, 8)
    assert RAW[:8] == b"CFSIM1\0\0"
    assert (header, length, note) == (48, len(MODEL), 6)
    assert (RAW[32:38], RAW[38:48], RAW[48 : 48 + length]) == (b"a note", bytes(10), MODEL)
    assert len(RAW) == header + length + trailer
    assert checksum == zlib.crc32(RAW[12:])


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_one_wrong_byte_is_noticed(place: int, change: int) -> None:
    damaged = bytearray(RAW)
    damaged[place] ^= change
    with pytest.raises(BadPayload):
        read_payload(bytes(damaged))


@given(st.integers(0, len(RAW) - 1))
def test_a_cut_off_payload_is_noticed(length: int) -> None:
    with pytest.raises(BadPayload):
        read_payload(RAW[:length])


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_cleanly(tail: bytes) -> None:
    with pytest.raises(BadPayload):
        read_payload(RAW[:8] + tail)
    with pytest.raises(BadPayload):
        read_payload(tail)


def test_a_payload_for_hardware_is_told_apart() -> None:
    raw = b"\x08\0\0\0DWN1" + bytes(64)
    assert not is_simulated(raw)
    with pytest.raises(BadPayload, match="for Edge TPU hardware"):
        read_payload(raw)


def test_googles_library_finds_a_package_that_it_refuses() -> None:
    """It reads the payload as a flexbuffer, from the end, and takes "4" for a flatbuffer with an identifier."""
    found = flexbuffers.Loads(RAW)
    package = found["4"].encode()
    assert found["1"] == 0
    assert package[4:8] == b"SIMU"
    assert struct.unpack_from("<I", package)[0] > len(package)
