"""Damages files in the ways that files get damaged, and as attackers would. The same damage for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable

_WORDS = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x00\x00\x10\x00",
    b"\x01\0\0\0",
]
_STRUCTURE = 12_000  # most of a model are weights, where a change means nothing; structure lies at both ends

Mutation = Callable[[random.Random, bytearray], None]


def mutated(good: bytes, seed: int) -> bytes:
    """``good`` after one to five mutations."""
    rng, raw = random.Random(seed), bytearray(good)
    for _ in range(rng.randint(1, 5)):
        rng.choice([_flip, _flip, _word, _word, _cut, _splice, _count, _offset])(rng, raw)
    return bytes(raw)


def _place(rng: random.Random, raw: bytearray, size: int = 4) -> int:
    last = max(0, len(raw) - size)
    if rng.random() < 0.5:
        return rng.randint(0, min(last, _STRUCTURE))
    return rng.randint(max(0, last - _STRUCTURE), last)


def _flip(rng: random.Random, raw: bytearray) -> None:
    if raw:
        raw[_place(rng, raw, 1)] ^= 1 << rng.randrange(8)


def _word(rng: random.Random, raw: bytearray) -> None:
    place = _place(rng, raw)
    raw[place : place + 4] = rng.choice(_WORDS)


def _cut(rng: random.Random, raw: bytearray) -> None:
    if rng.random() < 0.3:
        del raw[rng.randint(0, len(raw)) :]


def _splice(rng: random.Random, raw: bytearray) -> None:
    """A piece of the file over another one of the same length: vectors of the wrong kind."""
    size = rng.choice([4, 8, 16, 64])
    source, target = _place(rng, raw, size), _place(rng, raw, size)
    raw[target : target + size] = raw[source : source + size]


def _count(rng: random.Random, raw: bytearray) -> None:
    """Something that looks like a length becomes a large one."""
    place = _place(rng, raw) & ~3
    for at in range(place, max(place, min(len(raw) - 4, place + 256)), 4):
        if 0 < int.from_bytes(raw[at : at + 4], "little") < 4096:
            raw[at : at + 4] = rng.choice([0xFFFF, 0xFFFFFF, 0x7FFFFFFF, len(raw) // 4]).to_bytes(4, "little")
            return


def _offset(rng: random.Random, raw: bytearray) -> None:
    """Something that looks like an offset points elsewhere in the file."""
    place = _place(rng, raw) & ~3
    raw[place : place + 4] = rng.randrange(max(1, len(raw) - place)).to_bytes(4, "little")
