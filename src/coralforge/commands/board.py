"""``invoke board``: a whole emulated board to try things on, without hardware."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import Any

from coralforge.board import board as boards
from coralforge.board.board import Board, Place
from coralforge.board.ssh import GUEST, ROOT, USER
from coralforge.commands.options import Said
from coralforge.commands.pipeline import load_settings
from coralforge.console import make_sink
from coralforge.containers import image as images
from coralforge.containers.docker import connect
from coralforge.errors import user_error
from coralforge.events import Sink
from coralforge.settings import Options, Settings

_ACTIONS = ("start", "stop", "ssh", "status")


@dataclass(frozen=True)
class Request:
    """One action, the board's name, and the user to log in as."""

    action: str
    name: str
    user: str

    @classmethod
    def of(cls, said: Said) -> Request:
        """The request that a user's options make.

        Raises:
            CoralforgeError: ``board-action`` or ``board-user``, exit code 2.
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
        return cls(chosen[0], said.name, said.user)


def run(options: Options, said: Said) -> None:
    """Do the one thing that was asked for."""
    request = Request.of(said)
    settings = load_settings(options)
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
    else:
        command = boards.require(client, place).ssh.command(request.user)
        client.close()
        os.execv(command[0], command)  # noqa: S606 - no shell is the point


def _start(settings: Settings, client: Any, place: Place) -> None:
    found = boards.find(client, place)
    if found is None:
        with make_sink() as sink:
            found = boards.start(client, place, ensure_image(settings, client, sink), sink)
    print(_describe(found))


def ensure_image(settings: Settings, client: Any, sink: Sink) -> str:
    """The tag of the emulated board's image, which is built if it is not there."""
    wanted = images.emulated_board(settings.project.docker, settings.platform)
    return images.ensure(client, wanted, settings.project.docker, settings.cache.work, sink)


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
