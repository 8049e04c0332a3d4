"""Where a bundle's smoke.sh runs: in a container with the board's libraries, or on a whole emulated board.

What comes back is judged by ``smoke.py``.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from coralforge.board import board as boards
from coralforge.board import device as devices
from coralforge.board.ssh import ROOT, USER, Ssh
from coralforge.bundle import emulated
from coralforge.bundle.manifest import Manifest
from coralforge.config.arch import EMULATED, Arch
from coralforge.containers.image import board_run
from coralforge.containers.spec import ContainerSpec, Finished, Mount, Runner
from coralforge.errors import missing_error
from coralforge.events import Sink

BOARD = "board.json"
"""A bench's own words on what it is."""
REPORT = "smoke.json"
SECONDS = 1800  # emulation is slow, but a program that hangs must not hold a CI job for hours
TIMED_OUT = 124  # by timeout(1)

_SCRIPT = "/bundle/smoke.sh"
# board.json first: it says what the image is, whatever becomes of the rest.
_COMMAND = f"cp /opt/coralforge/{BOARD} /report/{BOARD} && exec timeout {SECONDS} {_SCRIPT}"
_STEP = 300.0  # seconds for what takes one or two on the emulated board


@dataclass(frozen=True)
class Trial:
    """A bundle to be tried: the archive, and the folder that it was unpacked and checked in.

    ``out`` takes BOARD, REPORT and, from an emulated device, ``emulated.STATS``; ``scratch`` is for anything else.
    """

    archive: Path
    bundle: Path
    manifest: Manifest
    out: Path
    scratch: Path


class Bench(Protocol):
    """Runs a bundle's smoke.sh."""

    @property
    def image(self) -> str:
        """The image's tag."""

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

    def run(self, trial: Trial, on_line: Callable[[str], None]) -> Finished:
        spec = ContainerSpec(
            name="smoke",
            image=self.image,
            command=("/bin/sh", "-c", _COMMAND),
            mounts=(Mount(trial.bundle, "/bundle"), Mount(trial.out, "/report", writable=True)),
            env=(
                ("CORALFORGE_RUN", board_run(trial.manifest.arch)),
                ("CORALFORGE_REPORT", f"/report/{REPORT}"),
                ("CORAL_TEST_ROOT", "/board"),  # an Edge TPU of this machine is not the emulated board's
            ),
        )
        if self.device is not None:
            spec = emulated.plug_in(spec, self.device, trial.bundle, _SCRIPT)
        return self.runner.run(spec, on_line)


@dataclass(frozen=True)
class BoardBench:
    """A whole emulated board, booted for this: the archive goes in by SSH, and smoke.sh runs as its ordinary user.

    With a device, the bundle's udev rules are installed first, as its README says.
    """

    client: Any
    image: str
    sink: Sink
    device: Path | None = None

    def run(self, trial: Trial, on_line: Callable[[str], None]) -> Finished:
        require_arch(trial.manifest.arch)
        place = boards.Place(trial.scratch / f"smoke-{os.getpid()}")
        board = boards.start(self.client, place, self.image, self.sink, temporary=True)
        try:
            fetch(board.ssh, f"/etc/{BOARD}", trial.out / BOARD)
            name = f"coralforge-{trial.manifest.release}-{trial.manifest.triple}"
            board.ssh.check("tar xzf -", seconds=_STEP, stdin=trial.archive)
            if self.device is not None:
                install_rules(board.ssh, name)
                files = devices.DeviceFiles(self.device, tuple(emulated.models(trial.bundle)))
                devices.plug(self.client, board, files)
            started = time.monotonic()
            script = f"cd {shlex.quote(name)} && CORALFORGE_REPORT=~/{REPORT} exec timeout {SECONDS} ./smoke.sh"
            ran = board.ssh.run(script, seconds=SECONDS + _STEP, on_line=on_line)
            finished = Finished(ran.status, False, time.monotonic() - started)
            fetch(board.ssh, f"~/{REPORT}", trial.out / REPORT)
            if self.device is not None:
                stats = devices.unplug(self.client, board)
                (trial.out / emulated.STATS).write_text(stats, encoding="utf-8")
        finally:
            boards.stop(self.client, place)
        return finished


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


def install_rules(ssh: Ssh, name: str) -> None:
    """The bundle's udev rules, for a bundle that is unpacked in the user's home.

    Raises:
        CoralforgeError: as ``Ssh.check``.
    """
    folder = f"~{USER}/{name}/share/udev"
    ssh.check(
        f"cp {folder}/*.rules /etc/udev/rules.d/ && udevadm control --reload-rules && udevadm trigger && "
        "udevadm settle",
        user=ROOT,
        seconds=_STEP,
    )


def fetch(ssh: Ssh, path: str, to: Path) -> None:
    """A small text file of the board; ``path`` is a shell's word. One that is not there makes no file."""
    ran = ssh.run(f"cat {path}", seconds=_STEP)
    if ran.status == 0:
        to.write_text(ran.output, encoding="utf-8")
