"""Whether this machine can run Google's compiler, which exists for x86-64 Linux only."""

from __future__ import annotations

import platform
from pathlib import Path

from coralforge.errors import missing_error

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_ELF = "7f454c46"
_X86_64 = "3e00"  # e_machine, at byte 18 of an ELF file
_MOST = 4096


def require_x86_64(machine: str = "", binfmt: Path = _BINFMT) -> None:
    """Refuse a machine of another architecture, unless its kernel hands x86-64 programs to an emulator.

    Args:
        machine: as ``uname -m`` says it; this one's if empty.
        binfmt: where the kernel lists its handlers.

    Raises:
        CoralforgeError: reason ``compiler-machine``, exit code 3.
    """
    name = machine or platform.machine()
    if name.lower() in ("x86_64", "amd64") or _emulated(binfmt):
        return
    raise missing_error(
        f"Google's Edge TPU compiler runs on x86-64 only, and this machine is {name or 'unknown'}",
        reason="compiler-machine",
        remedy="compile on an x86-64 machine (CI for example), or install qemu-user and binfmt-support for x86-64; "
        "--target simulator works here",
    )


def _emulated(binfmt: Path) -> bool:
    try:
        handlers = list(binfmt.iterdir())
        return any(_is_for_x86_64(handler) for handler in handlers if handler.name not in ("register", "status"))
    except OSError:
        return False


def _is_for_x86_64(handler: Path) -> bool:
    with handler.open(encoding="ascii", errors="replace") as stream:
        lines = stream.read(_MOST).splitlines()
    magic = next((line.split()[1] for line in lines if line.startswith("magic ") and len(line.split()) == 2), "")
    return lines[:1] == ["enabled"] and magic.startswith(_ELF) and magic[36:40] == _X86_64
