"""The udev rules of a bundle on a board: which commands install them, and running those."""

from __future__ import annotations

import shlex
import subprocess

from coralforge.board.remote import Remote
from coralforge.deploy import scripts
from coralforge.deploy.facts import SECONDS, Facts, failed
from coralforge.errors import CoralforgeError, board_error

NAME = "70-coral-edgetpu.rules"
GROUP = "plugdev"
_INSTALLED = "/etc/udev/rules.d"


def needed(remote: Remote, facts: Facts, current: str) -> tuple[str, ...]:
    """The commands that have to run on a board as root so that its user may open an Edge TPU; none where all is so.

    Raises:
        CoralforgeError: ``board-tools``, ``board-command``, exit code 9; as ``Remote.run``.
    """
    if "udevadm" not in facts.tools:
        raise board_error(
            f"{remote.name} has no udevadm, so no udev that could take rules",
            reason="board-tools",
            remedy="let the board's own device manager (mdev, a container's host) give the device to "
            f"{facts.user}: USB ids 1a6e:089a and 18d1:9302",
        )
    ran = remote.script(scripts.text("rules"), current, NAME, GROUP, seconds=SECONDS)
    if ran.status != 0:
        raise failed(remote, f"there are no udev rules in {current}", ran.output)
    found = scripts.answers(ran.output)
    commands: list[str] = []
    if "group" not in found:
        commands.append(f"groupadd {GROUP}")
    if "installed" not in found or commands:
        commands.append(f"cp {shlex.quote(f'{current}/share/udev/{NAME}')} {_INSTALLED}/")
        commands += ["udevadm control --reload-rules", "udevadm trigger", "udevadm settle"]
    if not facts.root and "member" not in found:
        commands.append(f"usermod -aG {GROUP} {shlex.quote(facts.user)}")
    return tuple(commands)


def shown(facts: Facts, commands: tuple[str, ...]) -> str:
    """The commands as they will be run."""
    return "\n".join(("" if facts.root else "sudo ") + command for command in commands)


def install(remote: Remote, facts: Facts, commands: tuple[str, ...], terminal: bool = False) -> None:
    """Run the commands of :func:`needed`; ``terminal`` says whether somebody can be asked for a password.

    Raises:
        CoralforgeError: ``board-root`` (exit code 9): the user may not become root there; ``board-command`` (9).
    """
    text = shown(facts, commands)
    if not commands:
        return
    if not facts.root and "sudo" not in facts.tools:
        raise _not_root(remote, text, "there is no sudo")
    # Where sudo has no path of its own, it looks in the user's, which may be without these.
    script = f"PATH=$PATH:/usr/sbin:/sbin; export PATH; {' && '.join(text.splitlines())}"
    if facts.root or remote.run("sudo -n true", seconds=SECONDS).status == 0:
        ran = remote.script(script, seconds=SECONDS)
        if ran.status != 0:
            raise failed(remote, "the udev rules could not be installed", ran.output)
    elif not terminal:
        raise _not_root(remote, text, "sudo asks for a password, and there is no terminal to ask on")
    else:
        # The password goes from the user's terminal to sudo, past everything here.
        words = [*remote.words[:-1], "-o", "RequestTTY=force", remote.words[-1], shlex.join(["sh", "-c", script])]
        words.remove("-T")
        if subprocess.run(words, check=False).returncode != 0:
            raise _not_root(remote, text, "a command failed, or sudo refused")


def _not_root(remote: Remote, text: str, why: str) -> CoralforgeError:
    return board_error(
        f"the udev rules were not installed on {remote.name}: {why}",
        reason="board-root",
        details=text.replace("sudo ", ""),
        remedy="run these commands there as root",
    )
