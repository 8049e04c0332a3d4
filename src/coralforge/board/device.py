"""Plugging the emulated device (docs/device.md) into a USB port of an emulated board, and pulling it out."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coralforge.board import machine
from coralforge.board.board import LABEL, Board
from coralforge.board.ssh import ROOT
from coralforge.config.arch import EMULATED
from coralforge.containers import background
from coralforge.containers.docker import container_owner
from coralforge.containers.image import board_run
from coralforge.containers.owner import OF_PROCESS
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.errors import CoralforgeError, build_error, user_error

_SECONDS = 120.0  # 2 are usual
_STOP_SECONDS = 30


@dataclass(frozen=True)
class DeviceFiles:
    """The folder that the device was built into (bin/, lib/), and the models it knows: compiled and plain files.

    The folder must stay as long as the device is plugged in; of the models copies are made.
    """

    folder: Path
    models: tuple[tuple[Path, Path], ...]
    options: tuple[str, ...] = ()
    """More for coral-device, such as ``--speed high``."""


def plug(client: Any, board: Board, files: DeviceFiles, port: int = 1) -> None:
    """Plug a device in, and wait until the board's kernel lists it. It comes without firmware, as a real one.

    Raises:
        CoralforgeError: ``board-port`` (exit code 2); ``board-device`` (5); and as ``Ssh.run``.
    """
    container = board.place.device_container(port)
    if (found := background.find(client, container)) is not None:
        if found.running:
            raise user_error(
                f"there is a device in USB port {port} of the emulated board {board.place.name!r}",
                reason="board-port",
                remedy="pull it out first: `invoke board --unplug`",
            )
        background.remove(client, container)
    spec = _spec(board, files, port)
    labels = {LABEL: str(board.place.folder)}
    if (mine := background.find(client, board.place.container)) is not None:
        labels |= {name: mine.labels[name] for name in OF_PROCESS if name in mine.labels}
    background.start(client, spec, container, labels)
    try:
        _wait_for(client, board, container, port)
    except BaseException:
        background.remove(client, container)
        raise


def unplug(client: Any, board: Board, port: int = 1) -> str:
    """Pull a device out, and wait until the board's kernel has noticed; returns what went over USB, as JSON.

    Raises:
        CoralforgeError: ``board-port`` (exit code 2); and as ``Ssh.run``.
    """
    container = board.place.device_container(port)
    if not background.stop(client, container, _STOP_SECONDS):
        raise user_error(
            f"there is no device in USB port {port} of the emulated board {board.place.name!r}",
            reason="board-port",
            remedy="plug one in: `invoke board --plug`",
        )
    background.remove(client, container)
    # The kernel cleans up behind it in its own time.
    board.ssh.check(f"while {_listed(port)}; do sleep 0.1; done; udevadm settle", user=ROOT, seconds=_SECONDS)
    try:
        return (board.place.run / stats_name(port)).read_text(encoding="utf-8")
    except FileNotFoundError:
        return "[]"


def _spec(board: Board, files: DeviceFiles, port: int) -> ContainerSpec:
    """The device's container."""
    own = board.place.device(port)
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    (own / "models").mkdir()
    options: list[str] = []
    for number, pair in enumerate(files.models):
        options.append("--model")
        for kind, source in zip(("compiled", "plain"), pair, strict=True):
            target = own / "models" / f"{number}-{kind}.tflite"
            shutil.copyfile(source, target)
            target.chmod(0o644)
            options.append(f"/models/{target.name}")
    (own / "models").chmod(0o755)
    if os.getuid() == 0:
        os.chown(own, *container_owner())
    # It computes with the board's TensorFlow Lite, so that results are equal to the last bit.
    command = [*board_run(EMULATED).split(), "/device/bin/coral-device", "--usbredir", machine.socket_of(port)]
    command += ["--socket", f"{machine.RUN}/device{port}.sock", "--stats", f"{machine.RUN}/{stats_name(port)}"]
    command += ["--log", f"{machine.RUN}/device{port}.log", *files.options, *options]
    return ContainerSpec(
        name="emulated-device",
        image=board.image,
        command=tuple(command),
        mounts=(
            Mount(files.folder, "/device"),
            Mount(own / "models", "/models"),
            Mount(board.place.run, machine.RUN, writable=True),
        ),
    )


def stats_name(port: int) -> str:
    """Name of the file, in the board's ``run``, with what went over a port when its device was pulled out."""
    return f"device{port}.json"


def _listed(port: int) -> str:
    """A shell's condition: the board's kernel lists a device in a port (bus 1 is USB 2, bus 2 is USB 3)."""
    return f"ls -d /sys/bus/usb/devices/[12]-{port} >/dev/null 2>&1"


def _wait_for(client: Any, board: Board, container: str, port: int) -> None:
    """Until the board's kernel lists the device, and udev has done with it."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found = background.find(client, container)
        listed = board.ssh.run(f"{_listed(port)} && udevadm settle", user=ROOT, seconds=_SECONDS).status == 0
        if found is not None and found.running and listed:
            return
        if found is None or not found.running:
            raise _absent(port, "\n".join(found.said if found else ()))
        if time.monotonic() > deadline:
            raise _absent(port, f"the board's kernel did not list it within {_SECONDS:.0f} s")


def _absent(port: int, why: str) -> CoralforgeError:
    return build_error(
        f"the emulated device in USB port {port} did not come up",
        reason="board-device",
        details=why,
        remedy="see docs/emulated-board.md, section 'Devices'",
    )
