"""``invoke board``: a whole emulated board to try things on, without hardware."""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coralforge.board import board as boards
from coralforge.board import device as devices
from coralforge.board.board import Board, Place
from coralforge.board.machine import USB_PORTS
from coralforge.board.ssh import GUEST, ROOT, USER
from coralforge.commands.options import Said
from coralforge.commands.pipeline import load_settings
from coralforge.config.arch import EMULATED
from coralforge.config.userlands import BOOKWORM
from coralforge.console import make_sink
from coralforge.containers.engine import connect
from coralforge.containers.image import emulated_board
from coralforge.containers.image_maker import ImageMaker
from coralforge.errors import user_error
from coralforge.events import Sink
from coralforge.pipeline.side_builds import make_device
from coralforge.settings import Options, Settings
from coralforge.util.fingerprint import of_mapping, of_paths
from coralforge.util.paths import typed

_ACTIONS = ("start", "stop", "status", "ssh", "plug", "unplug")


@dataclass(frozen=True)
class Request:
    """One action, the board's name, and what some of the actions are told."""

    action: str
    name: str
    user: str
    port: int
    models: tuple[tuple[Path, Path], ...]
    """Compiled and plain files."""
    options: tuple[str, ...]
    """For coral-device."""

    @classmethod
    def of(cls, said: Said) -> Request:
        """The request that a user's options make.

        Raises:
            CoralforgeError: ``board-action``, ``board-user``, ``board-port`` or ``board-models``, exit code 2.
        """
        chosen = [action for action in _ACTIONS if getattr(said, action)]
        if len(chosen) != 1:
            raise user_error(
                f"give one of --{', --'.join(_ACTIONS)}",
                reason="board-action",
                remedy="for example `invoke board --start`",
            )
        if said.user not in (USER, GUEST, ROOT):
            raise user_error(
                f"the emulated board has no user {said.user!r}",
                reason="board-user",
                remedy=f"{USER} is in plugdev and may use sudo, {GUEST} is in no group; and there is {ROOT}",
            )
        if said.port not in [str(port) for port in USB_PORTS]:
            raise user_error(
                f"the emulated board has no USB port {said.port!r}",
                reason="board-port",
                remedy=f"give --port {USB_PORTS[0]} or --port {USB_PORTS[1]}",
            )
        return cls(chosen[0], said.name, said.user, int(said.port), _models(said), _options(said))


def _models(said: Said) -> tuple[tuple[Path, Path], ...]:
    """The pairs of --model and --plain."""
    files = [*said.model, *said.plain]
    missing = [name for name in files if not typed(name).is_file()]
    if len(said.model) != len(said.plain) or missing:
        raise user_error(
            f"there is no model {missing[0]}" if missing else "--model and --plain do not make pairs",
            reason="board-models",
            remedy="give a --plain for each --model: what the compiled one was compiled from, in the same order",
        )
    return tuple((typed(model), typed(plain)) for model, plain in zip(said.model, said.plain, strict=True))


def _options(said: Said) -> tuple[str, ...]:
    """Words that coral-device takes as they are; it refuses what it does not know."""
    speed = ("--speed", said.speed) if said.speed else ()
    return (*speed, *(word for fault in said.fault for word in ("--fault", fault)))


def run(options: Options, said: Said) -> None:
    """Do the one thing that was asked for."""
    request = Request.of(said)
    settings = load_settings(replace(options, arch=EMULATED.value))
    place = boards.place_of(settings.cache.boards, request.name)
    client = connect()
    if request.action == "start":
        _start(settings, client, place)
    elif request.action == "stop":
        was = boards.stop(client, place)
        print(f"the emulated board {place.name!r} is stopped" if was else f"no emulated board {place.name!r} ran")
    elif request.action == "status":
        found = boards.find(client, place)
        print(_describe(found) if found else f"no emulated board {place.name!r} runs")
    elif request.action == "ssh":
        command = boards.require(client, place).ssh.command(request.user)
        client.close()
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    else:
        _plug_or_unplug(settings, client, boards.require(client, place), request)


def _start(settings: Settings, client: Any, place: Place) -> None:
    found = boards.find(client, place)
    if found is None:
        with make_sink() as sink:
            found = boards.start(client, place, _ensure_image(settings, client, sink), sink)
    print(_describe(found))


def _ensure_image(settings: Settings, client: Any, sink: Sink) -> str:
    """The tag of the emulated board's image, which is built if it is not there."""
    wanted = emulated_board(settings.project.docker, BOOKWORM)
    return ImageMaker.of(settings, client, sink).ensure(wanted)


def _plug_or_unplug(settings: Settings, client: Any, board: Board, request: Request) -> None:
    where = f"USB port {request.port} of the emulated board {board.place.name!r}"
    if request.action == "unplug":
        devices.unplug(client, board, request.port)
        print(f"the emulated device is no longer in {where}; what went over USB:")
        print(board.place.run / devices.stats_name(request.port))
        return
    folder = _built_device(settings, board.place)
    devices.plug(client, board, devices.DeviceFiles(folder, request.models, request.options), request.port)
    print(f"an emulated device is in {where}; it knows {len(request.models)} models")


def _built_device(settings: Settings, place: Place) -> Path:
    """The folder of the device, which is built once for a board and each state of the sources."""
    project = settings.project
    sources = of_paths(project.device, project.bazel, project.scripts / "build-device")
    key = of_mapping({"sources": sources, "release": settings.release.release})
    folder = place.folder / f"device-{key[:16]}"
    if not folder.is_dir():
        with make_sink() as sink, tempfile.TemporaryDirectory(dir=place.folder) as scratch:
            make_device(settings, Path(scratch, "device"), sink).folder.rename(folder)
    return folder


def _describe(board: Board) -> str:
    rows = [
        f"the emulated board {board.place.name!r} runs: a virtual machine, no hardware",
        f"ssh:     ssh -F {shlex.quote(str(board.place.ssh.config))} {USER}@board",
        f"users:   {USER} (in plugdev, may use sudo), {GUEST} (in no group), {ROOT}",
        f"devices: {', '.join(f'emulated device in USB port {port}' for port in board.devices) or 'none plugged in'}",
        f"console: {board.place.console}",
        "it forgets all that was written to it when it is stopped",
    ]
    return "\n".join(rows)
