"""Whose a container is: labels that name the process that made it, by which the next run knows what was left behind.

A process id says little by itself: it is given again, and in a container of its own (a CI job with the host's engine)
it means another process. So the label also says when the process began, and in which boot and process namespace.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coralforge.containers.engine import asking

LABEL = "coralforge"
PID_LABEL = "coralforge.pid"
PROCESS_LABEL = "coralforge.process"
OF_PROCESS = (PID_LABEL, PROCESS_LABEL)
_A_DAY = 86400.0


def labels() -> dict[str, str]:
    """The labels of a container that this process makes."""
    pid = os.getpid()
    return {LABEL: "1", PID_LABEL: str(pid), PROCESS_LABEL: f"{_space()} {_began(pid)}"}


def reap(client: Any) -> None:
    """Remove the containers whose process is gone.

    Those of another machine, boot or process namespace cannot be judged: they stay while they run, and for a day.

    Raises:
        CoralforgeError: ``docker-lost``, exit code 5.
    """
    from docker.errors import APIError

    with asking("containers of earlier runs were looked for"):
        for container in client.api.containers(all=True, filters={"label": PID_LABEL}):
            if _abandoned(container["Labels"], container["State"], float(container["Created"])):
                with contextlib.suppress(APIError):  # another run removes it just now
                    client.api.remove_container(container["Id"], force=True)


def _abandoned(said: Mapping[str, str], state: str, created: float) -> bool:
    space, _, began = said.get(PROCESS_LABEL, f"{_space()} ").rpartition(" ")
    if space != _space():
        return state != "running" and time.time() - created > _A_DAY
    pid = said.get(PID_LABEL, "")
    return not (pid.isdigit() and _exists(int(pid)) and (not began or _began(int(pid)) in (began, "")))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # of another user
    return True


def _began(pid: int) -> str:
    """When a process began, in ticks of this boot; empty where that is not to be seen."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _space() -> str:
    """This boot of this machine, and the namespace in which process ids mean what they mean here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "unknown"
