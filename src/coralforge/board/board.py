"""Starting, finding and stopping an emulated board. It outlives the process that started it."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coralforge.board import machine
from coralforge.board.ssh import Ssh, SshFiles
from coralforge.containers import background, owner
from coralforge.containers.background import Background
from coralforge.containers.docker import container_owner
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.errors import CoralforgeError, build_error, user_error
from coralforge.events import Note, Sink, Step
from coralforge.util.fingerprint import of_mapping

LABEL = "coralforge.board"
"""Of the containers of boards and of their devices: the board's folder."""
BOOT_SECONDS = 600.0  # 8 are usual, 17 on a busy machine
_POLL = 0.2
_TAIL = 12
_MAX_CONSOLE = 1 << 20
_MEMORY = 256 << 20  # what QEMU itself may take


@dataclass(frozen=True)
class Place:
    """The folder of one board: keys, what the virtual machine shares with the host, and devices."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def container(self) -> str:
        return f"coralforge-emulated-board-{self.name}-{of_mapping({'folder': str(self.folder)})[:8]}"

    def device_container(self, port: int) -> str:
        return f"{self.container}-usb{port}"

    @property
    def ssh(self) -> SshFiles:
        return SshFiles(self.folder)

    @property
    def run(self) -> Path:
        """Mounted in the containers as ``machine.RUN``."""
        return self.folder / "run"

    @property
    def console(self) -> Path:
        return self.run / machine.CONSOLE

    def device(self, port: int) -> Path:
        """Files of the device in a USB port."""
        return self.folder / f"usb{port}"


@dataclass(frozen=True)
class Board:
    """A board that runs."""

    place: Place
    image: str
    ssh_port: int
    """On 127.0.0.1."""
    devices: tuple[int, ...]
    """USB ports with an emulated device."""

    @property
    def ssh(self) -> Ssh:
        return ssh_to(self.place)


def place_of(folder: Path, name: str) -> Place:
    """The place of the board called ``name`` below ``folder``.

    Raises:
        CoralforgeError: ``board-name``, exit code 2.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise user_error(
            f"--name {name!r} is no name for a board",
            reason="board-name",
            remedy="use letters a to z, digits and dashes, 31 at most",
        )
    return Place(folder.absolute() / name)


def ssh_to(place: Place) -> Ssh:
    """The client for the board at ``place``."""
    return Ssh(place.ssh, lambda: console_tail(place))


def find(client: Any, place: Place) -> Board | None:
    """The board at ``place``, if it runs."""
    found = background.find(client, place.container)
    if found is None or not found.running or machine.SSH_PORT not in found.ports:
        return None
    devices = [port for port in machine.USB_PORTS if _runs(client, place.device_container(port))]
    return Board(place, found.labels.get("coralforge.image", ""), found.ports[machine.SSH_PORT], tuple(devices))


def require(client: Any, place: Place) -> Board:
    """The board at ``place``.

    Raises:
        CoralforgeError: ``board-stopped``, exit code 2.
    """
    found = find(client, place)
    if found is None:
        raise user_error(
            f"no emulated board {place.name!r} runs",
            reason="board-stopped",
            remedy=f"start it: invoke board --start --name {place.name}",
        )
    return found


def start(client: Any, place: Place, image: str, sink: Sink, *, temporary: bool = False) -> Board:
    """Boot a board anew and wait until it answers by SSH. A ``temporary`` one does not outlive this process for long.

    Raises:
        CoralforgeError: ``board-boot``, ``docker-lost`` (exit code 5); ``board-ssh`` (9); ``ssh-missing``,
            ``image-missing`` (3). Nothing runs then.
    """
    stop(client, place)
    started = time.monotonic()
    sink.emit(Step("emulated board"))
    _make_folders(place)
    virtual = machine.Machine(public_key=place.ssh.make_key(), kvm=machine.kvm_usable())
    labels = {LABEL: str(place.folder), "coralforge.image": image}
    if temporary:
        labels |= {**owner.labels(), **labels}
    try:
        made = background.start(client, _spec(place, image, virtual), place.container, labels, (machine.SSH_PORT,))
        place.ssh.write_config(made.ports[machine.SSH_PORT])
        _wait(client, place, started + BOOT_SECONDS)
        ssh_to(place).check("true", seconds=started + BOOT_SECONDS - time.monotonic())
    except BaseException:
        stop(client, place)
        raise
    seconds = time.monotonic() - started
    sink.emit(Step("emulated board", seconds))
    how = "KVM" if virtual.kvm else "translating each instruction"
    sink.emit(Note(f"the emulated board is ready after {seconds:.1f} s (QEMU, {how}; no hardware)"))
    return Board(place, image, made.ports[machine.SSH_PORT], ())


def stop(client: Any, place: Place) -> bool:
    """End the board and its devices, and remove all that was theirs; says whether there was one."""
    for port in machine.USB_PORTS:
        background.remove(client, place.device_container(port))
    was = background.remove(client, place.container)
    shutil.rmtree(place.folder, ignore_errors=True)
    return was


def stop_all(client: Any, folder: Path) -> int:
    """Stop all boards below ``folder``; returns how many containers that were."""
    found = [one for one in background.labelled(client, LABEL) if folder in Path(one.labels[LABEL]).parents]
    for one in found:
        background.remove(client, one.name)
    return len(found)


def console_tail(place: Place) -> str:
    """The end of what the board wrote to its console."""
    try:
        with place.console.open("rb") as stream:
            stream.seek(max(0, place.console.stat().st_size - _MAX_CONSOLE))
            text = stream.read(_MAX_CONSOLE).decode("utf-8", "replace")
    except OSError:
        return ""
    clean = ("".join(c for c in line if c == "\t" or c.isprintable()) for line in text.splitlines())
    return "\n".join([line for line in clean if line.strip()][-_TAIL:])


def _runs(client: Any, container: str) -> bool:
    found = background.find(client, container)
    return found is not None and found.running


def _make_folders(place: Place) -> None:
    place.folder.mkdir(mode=0o700, parents=True)
    place.run.mkdir()
    if os.getuid() == 0:
        os.chown(place.run, *container_owner())


def _spec(place: Place, image: str, virtual: machine.Machine) -> ContainerSpec:
    return ContainerSpec(
        name="emulated-board",
        image=image,
        command=machine.qemu_command(virtual),
        mounts=(Mount(place.run, machine.RUN, writable=True),),
        env=(("TMPDIR", machine.RUN),),  # where QEMU keeps what the board writes to its disk
        memory_bytes=(virtual.memory_mib << 20) + _MEMORY,
        network=True,
        devices=("/dev/kvm",) if virtual.kvm else (),
    )


def _wait(client: Any, place: Place, deadline: float) -> None:
    """Until the board says that it is ready."""
    while True:
        found = background.find(client, place.container)
        if _ready(place):
            return
        if found is None or not found.running:
            raise _failed(place, "ended before it was ready", found)
        if time.monotonic() > deadline:
            raise _failed(place, f"was not ready within {BOOT_SECONDS:.0f} s", None)
        time.sleep(_POLL)


def _ready(place: Place) -> bool:
    try:
        return machine.READY in place.console.read_bytes()
    except FileNotFoundError:
        return False


def _failed(place: Place, how: str, found: Background | None) -> CoralforgeError:
    said = "\n".join(found.said if found else ())
    return build_error(
        f"the emulated board {how}",
        reason="board-boot",
        details="\n".join(part for part in (said, console_tail(place) or "nothing on its console") if part),
        remedy="it needs about 1.3 GiB of memory, and room for what it writes to its disk in the cache; "
        "if this machine is very busy, try again later",
    )
