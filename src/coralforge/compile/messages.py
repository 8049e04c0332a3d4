"""Messages of Google's compiler when it fails, by meaning. Versions 2.0 to 16.0, from logs that users posted."""

from __future__ import annotations

import re
from enum import Enum


class Failure(Enum):
    """Why a compilation failed. The first that fits is the one to tell; the value is what the compiler prints."""

    OP_VERSION = r"Didn't find op for builtin opcode '(\w{1,64})' version '(\d{1,6})'"
    OP_NUMBER = r"Op builtin_code out of range: (\d{1,6})"
    CUSTOM_OP = r"unresolved custom op: ([^\s]{1,64}?)\.?(?:\s|$)"
    FLEX = r"Regular TensorFlow ops are not supported"
    DYNAMIC = r"only supports static-sized tensors"
    NOT_QUANTIZED = r"Model not quantized"
    ACTIVATIONS = r"large activation tensors"
    TIMEOUT = r"Compilation timeout"
    CRASH = r"terminating with uncaught exception|Segmentation fault|core dumped"
    INTERNAL = r"Internal compiler error"
    INTERPRETER = r"Model failed in Tflite interpreter"
    UNREADABLE = r"Model could not be parsed|Did not get operators, tensors, or buffers"
    INVALID = r"^Invalid model\b"
    UNEXPLAINED = r"^Compilation failed!"


_PATTERNS = {failure: re.compile(failure.value) for failure in Failure}
RANKS = {failure: rank for rank, failure in enumerate(Failure)}
VERSION = re.compile(r"^\s*Edge TPU Compiler version (\d{1,9}(?:\.\d{1,18}){0,3})\s*$")
SUCCEEDED = re.compile(r"^\s*Models? compiled successfully in (\d{1,12}) ?ms\b")
CONFIRMED = re.compile(r"^\s*Compilation succeeded!")
ATTEMPT = re.compile(r"^\s*(?:Started a compilation timeout timer|Try to compile segment with)")
WARNING = re.compile(r"^\s*Warning: ")
TABLE = re.compile(r"^\s*Operator\s+Count\s+Status\s*$")
ROW = re.compile(r"^\s*(\S{1,64})\s+(\d{1,9})\s+(\S.{0,299})$")
SIZE = re.compile(r"^(\d{1,12}(?:\.\d{1,6})?)\s?(B|KiB|MiB|GiB)$")
NUMBER = re.compile(r"^\d{1,12}$")

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def failure_in(line: str) -> Failure | None:
    """The failure that a line tells of."""
    return next((failure for failure, pattern in _PATTERNS.items() if pattern.search(line)), None)


def facts_in(failure: Failure, line: str) -> tuple[str, ...]:
    """Details of ``failure`` in a line: operator and version, number of an operator, name of a custom operator."""
    found = _PATTERNS[failure].search(line)
    return found.groups() if found else ()


def bytes_of(text: str) -> int | None:
    """``7.37MiB`` in bytes; None for anything else."""
    found = SIZE.match(text.strip())
    return round(float(found[1]) * _UNITS[found[2]]) if found else None


def count_of(text: str) -> int | None:
    """A count; None for anything else."""
    return int(text) if NUMBER.match(text.strip()) else None


def numbers_of(version: str) -> tuple[int, ...]:
    """``16.0.384591198`` as numbers, to be compared."""
    return tuple(int(part) for part in version.split("."))
