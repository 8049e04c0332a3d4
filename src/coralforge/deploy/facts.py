"""The facts of a board, asked before anything is copied to it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from coralforge.board.remote import Remote
from coralforge.deploy import scripts
from coralforge.errors import CoralforgeError, board_error, user_error

FOLDER = "coralforge"
"""The folder for bundles, in the user's home, where nothing else is said."""
SECONDS = 300.0  # for what takes one or two, on a slow board too
NEEDED = ("tar", "gzip", "sha256sum")
_LONGEST = 120
_LONGEST_FOLDER = 1000  # characters; a path may have 4096 bytes, and those of a bundle are below this one
_VERDICT = "this board cannot run programs for "


@dataclass(frozen=True)
class Facts:
    """A board and the user there, in the board's words; they are for people, where nothing else is said."""

    machine: str
    kernel: str
    model: str
    c_library: str
    bits: int | None
    """Of its programs: 32 or 64; None where that is not known."""
    user: str
    root: bool
    tools: frozenset[str]
    """Those of NEEDED, and rsync, sudo and udevadm, that are there."""
    to: str
    """The absolute path of the folder for bundles."""
    at: str
    """The nearest folder of it that is there."""
    mounted: str
    """``ro`` or ``noexec``, where its file system is."""
    writable: bool
    verdicts: Mapping[str, str]
    """By name of the check: empty where programs can run, else the reason why not, in one line."""

    def summary(self) -> str:
        """One line for people."""
        parts = (self.model, self.machine, f"{self.bits} bits" if self.bits else "", self.kernel, self.c_library)
        return ", ".join(part for part in parts if part)


def ask(remote: Remote, to: str, checks: Mapping[str, str]) -> Facts:
    """Ask a board what it is. Nothing is changed there.

    Args:
        remote: the board.
        to: the folder for bundles there; relative to the user's home.
        checks: by name, texts of ``check-board.sh``; each says whether programs can run there.

    Raises:
        CoralforgeError: ``board-command``, exit code 9; as ``Remote.run``.
    """
    parts = [scripts.text("ask")]
    for number, (name, check) in enumerate(checks.items()):
        parts.append(f'check_{number}() (\n{check}\n)\nsay verdict "{name} $(check_{number} | head -n 1)"')
    ran = remote.script("\n".join(parts), to, seconds=SECONDS)
    found = scripts.answers(ran.output)
    if ran.status != 0 or not scripts.first(found, "to"):
        raise failed(remote, "it does not say what it is", ran.output)
    verdicts = dict(value.partition(" ")[::2] for value in found.get("verdict", ()))
    return Facts(
        machine=_short(found, "machine"),
        kernel=_short(found, "kernel"),
        model=_short(found, "model"),
        c_library=_short(found, "c_library"),
        bits={"01": 32, "02": 64}.get(scripts.first(found, "class")),
        user=_short(found, "user"),
        root=scripts.first(found, "uid") == "0",
        tools=frozenset(found.get("tool", ())),
        to=scripts.first(found, "to"),
        at=scripts.first(found, "at"),
        mounted=scripts.first(found, "mounted"),
        writable=bool(scripts.first(found, "writable")),
        verdicts={name: verdicts.get(name, "it did not say so").removeprefix(_VERDICT) for name in checks},
    )


def check_folder(to: str) -> str:
    """The folder of ``--to`` as the board's scripts take it: what is not absolute is in the home.

    Raises:
        CoralforgeError: ``board-folder``, exit code 2.
    """
    folder = to.removeprefix("~/").rstrip("/")
    names = [name for name in folder.split("/") if name not in ("", ".")]
    strange = folder != folder.strip() or not folder.isprintable() or len(folder) > _LONGEST_FOLDER
    if not names or ".." in names or folder.startswith(("-", "~")) or strange:
        raise user_error(
            f"--to {to[:100]!r} is no folder for bundles",
            reason="board-folder",
            remedy="give a folder of its own, absolute or in the home there: --to coralforge, --to /opt/coralforge",
        )
    return folder


def require_place(remote: Remote, facts: Facts) -> None:
    """The folder for bundles can be made and written, and the programs that this takes are there.

    Raises:
        CoralforgeError: ``board-tools``, ``board-write``, exit code 9.
    """
    missing = [tool for tool in NEEDED if tool not in facts.tools]
    if missing:
        raise board_error(
            f"{remote.name} has no {' and no '.join(missing)}",
            reason="board-tools",
            remedy="install it there (busybox has all of them)",
        )
    if facts.mounted == "noexec":
        raise board_error(
            f"no program can run in {facts.at} on {remote.name}: it is mounted noexec",
            reason="board-write",
            remedy="choose a folder of another file system with --to DIR",
        )
    if facts.mounted == "ro" or not facts.writable:  # busybox' test looks at the mode alone
        why = "it is mounted read-only" if facts.mounted == "ro" else f"{facts.user or 'the user'} may not write it"
        raise board_error(
            f"{facts.to} cannot be made on {remote.name}: {facts.at}: {why}",
            reason="board-write",
            remedy="choose a folder that can be written with --to DIR",
        )


def failed(remote: Remote, what: str, output: str) -> CoralforgeError:
    """Reason ``board-command``: a script ended as it should not; or ``board-space``, if that is what it says."""
    lines = [line for line in scripts.said(output) if line.strip()][-10:]
    if any("No space left" in line or "quota exceeded" in line.lower() for line in lines):
        return board_error(
            f"there is no space left on {remote.name}",
            reason="board-space",
            details="\n".join(lines[-3:]),
            remedy="make room there, or choose a folder of another file system with --to DIR; "
            "the current bundle is as it was",
        )
    return board_error(
        f"{remote.name}: {what}",
        reason="board-command",
        details="\n".join(lines),
        remedy="run it again; the current bundle is as it was",
    )


def quoted(*words: str) -> str:
    """Words for any login shell."""
    return shlex.join(words)


def _short(found: scripts.Answers, key: str) -> str:
    return scripts.first(found, key)[:_LONGEST]
