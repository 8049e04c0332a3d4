"""Where a bundle's smoke.sh runs: in a container with a board's libraries, on a whole emulated board, or a user's.

What comes back is judged by ``smoke.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from coralforge.board import board as boards
from coralforge.board import device as devices
from coralforge.board.connection import Target, connect
from coralforge.board.remote import Remote
from coralforge.board.ssh import HOST
from coralforge.bundle import emulated
from coralforge.bundle.onboard import SECONDS, ask_fitting, deployed, fetch, smoke
from coralforge.bundle.opened import Opened
from coralforge.config.arch import EMULATED, Arch
from coralforge.containers.image import board_run
from coralforge.containers.spec import ContainerSpec, Finished, Mount, Runner
from coralforge.deploy import rules
from coralforge.deploy.facts import FOLDER, Facts
from coralforge.errors import missing_error
from coralforge.events import Sink

BOARD = "board.json"
"""A bench's own words on what it is."""
REPORT = "smoke.json"
TIMED_OUT = 124  # by timeout(1)

_SCRIPT = "/bundle/smoke.sh"
# board.json first: it says what the image is, whatever becomes of the rest.
_COMMAND = f"cp /opt/coralforge/{BOARD} /report/{BOARD} && exec timeout {SECONDS} {_SCRIPT}"


@dataclass(frozen=True)
class Trial:
    """A bundle to be tried.

    ``out`` takes BOARD, REPORT and, from an emulated device, ``emulated.STATS``; ``scratch`` is for anything else.
    """

    opened: Opened
    out: Path
    scratch: Path


class Bench(Protocol):
    """Runs a bundle's smoke.sh."""

    @property
    def name(self) -> str:
        """The image's tag, or what the user calls the board."""

    @property
    def real(self) -> bool:
        """Whether it is a board of the user's, which leaves no BOARD."""

    @property
    def device(self) -> Path | None:
        """The folder of an emulated device that is plugged in."""

    def run(self, trial: Trial, on_line: Callable[[str], None]) -> Finished:
        """Run it, and put what it left into ``trial.out``; what is not there, it did not leave.

        Raises:
            CoralforgeError: the bench itself failed; exit code 3 or 5.
        """


@dataclass(frozen=True)
class ContainerBench:
    """A container with the platform's libraries, under QEMU's user emulation (docker/board.Dockerfile)."""

    runner: Runner
    image: str
    device: Path | None = None
    real = False

    @property
    def name(self) -> str:
        return self.image

    def run(self, trial: Trial, on_line: Callable[[str], None]) -> Finished:
        spec = ContainerSpec(
            name="smoke",
            image=self.image,
            command=("/bin/sh", "-c", _COMMAND),
            mounts=(Mount(trial.opened.folder, "/bundle"), Mount(trial.out, "/report", writable=True)),
            env=(
                ("CORALFORGE_RUN", board_run(trial.opened.manifest.arch)),
                ("CORALFORGE_REPORT", f"/report/{REPORT}"),
                ("CORAL_TEST_ROOT", "/board"),  # an Edge TPU of this machine is not the emulated board's
            ),
        )
        if self.device is not None:
            spec = emulated.plug_in(spec, self.device, trial.opened.folder, _SCRIPT)
        return self.runner.run(spec, on_line)


@dataclass(frozen=True)
class BoardBench:
    """A whole emulated board, booted for this, and then used as one of the user's: deployed to, as its ordinary user.

    With a device, the bundle's udev rules are installed first, as its README says.
    """

    client: Any
    image: str
    sink: Sink
    device: Path | None = None
    real = False

    @property
    def name(self) -> str:
        return self.image

    def run(self, trial: Trial, on_line: Callable[[str], None]) -> Finished:
        opened = trial.opened
        require_arch(opened.manifest.arch)
        place = boards.Place(trial.scratch / f"smoke-{os.getpid()}")
        board = boards.start(self.client, place, self.image, self.sink, temporary=True)
        try:
            with connect(Target(HOST), place.ssh.config) as remote:
                fetch(remote, f"/etc/{BOARD}", trial.out / BOARD)
                facts = ask_fitting(remote, FOLDER, opened)
                with deployed(remote, facts, opened, self.sink) as there:
                    if self.device is not None:
                        rules.install(remote, facts, rules.needed(remote, facts, there.current))
                        files = devices.DeviceFiles(self.device, tuple(emulated.models(opened.folder)))
                        devices.plug(self.client, board, files)
                    finished = smoke(remote, there, trial.out / REPORT, on_line)
            if self.device is not None:
                stats = devices.unplug(self.client, board)
                (trial.out / emulated.STATS).write_text(stats, encoding="utf-8")
        finally:
            boards.stop(self.client, place)
        return finished


@dataclass(frozen=True)
class RemoteBench:
    """A board of the user's, to which the bundle is deployed first."""

    remote: Remote
    facts: Facts
    name: str
    sink: Sink
    device: Path | None = None
    real = True

    def run(self, trial: Trial, on_line: Callable[[str], None]) -> Finished:
        with deployed(self.remote, self.facts, trial.opened, self.sink) as there:
            return smoke(self.remote, there, trial.out / REPORT, on_line)


def require_arch(arch: Arch) -> None:
    """The emulated board is of one architecture.

    Raises:
        CoralforgeError: ``board-image``, exit code 3.
    """
    if arch is not EMULATED:
        raise missing_error(
            f"there is an emulated board for {EMULATED.value} only, and the bundle is for {arch.value}",
            reason="board-image",
            remedy=f"give --arch {EMULATED.value}, or leave --board out",
        )
