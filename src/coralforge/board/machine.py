"""The virtual machine: QEMU's command line, and where things are in its container.

docker/emulated-board.Dockerfile puts them there.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.arch import EMULATED

FILES = "/opt/coralforge/emulated-board"
RUN = "/run/board"
"""The folder that the host shares with it: console, and a socket for each USB port."""
CONSOLE = "console.log"
READY = b"board: ready"
"""The words of the board's init on the console when SSH answers."""
SSH_PORT = 2222
USB_PORTS = (1, 2)
_KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Machine:
    """How the virtual machine is made. ``kvm``: by the processor's own virtualization, and not by translation."""

    public_key: str
    """An ed25519 key in base64; who has the other half may log in as any user."""
    kvm: bool
    processors: int = 2
    memory_mib: int = 1024


def kvm_usable() -> bool:
    """Whether this machine can run the board without translating its instructions."""
    return platform.machine() in EMULATED.row.processors and os.access(_KVM, os.R_OK | os.W_OK)


def socket_of(port: int) -> str:
    """In the container, the socket behind a USB port: connecting to it plugs a device in, closing it pulls it out."""
    return f"{RUN}/usb{port}.sock"


def qemu_command(machine: Machine) -> tuple[str, ...]:
    """QEMU's command line. The disk forgets all that was written to it when the machine ends."""
    virtual = EMULATED.row.virtual
    assert virtual is not None
    append = f"console={virtual.console} quiet loglevel=4 mitigations=off panic=-1"
    append += f" coralforge.key={machine.public_key}"
    command = [virtual.program, "-M", virtual.machine, "-nodefaults", "-no-reboot"]
    command += ["-display", "none", "-monitor", "none"]
    accelerator = ("kvm", "host") if machine.kvm else ("tcg,thread=multi", virtual.processor)
    command += ["-accel", accelerator[0], "-cpu", accelerator[1]]
    command += ["-smp", f"{machine.processors}", "-m", f"{machine.memory_mib}"]
    command += ["-kernel", f"{FILES}/vmlinuz", "-initrd", f"{FILES}/initrd.img", "-append", append]
    command += ["-drive", f"if=none,id=disk,file={FILES}/disk.qcow2,format=qcow2,cache=unsafe,snapshot=on"]
    command += ["-device", "virtio-blk-pci,drive=disk,romfile="]
    # `restrict`: nothing of the board reaches the host or a network.
    command += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp::{SSH_PORT}-:22"]
    command += ["-device", "virtio-net-pci,netdev=net,romfile="]
    command += ["-device", "virtio-rng-pci,romfile=", "-serial", f"file:{RUN}/{CONSOLE}"]
    command += ["-device", "qemu-xhci,id=xhci"]
    for port in USB_PORTS:
        command += ["-chardev", f"socket,id=usb{port},path={socket_of(port)},server=on,wait=off"]
        command += ["-device", f"usb-redir,chardev=usb{port},bus=xhci.0,port={port}"]
    return tuple(command)
