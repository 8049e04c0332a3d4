"""A labelled test double of the SSH client and of a board behind it: commands run on this machine, in a folder.

The scripts that are sent to boards are the real ones. They find this machine, but for the home, and no other programs
than those in ``tools``.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

_SSH = """#!/bin/sh
# TEST DOUBLE of ssh: see tests/support/board_double.py
for word; do last=$word; done
echo "$*" >>"{root}/calls"
case " $* " in
*" -M "*)
    if [ -e "{root}/refuse" ]; then cat "{root}/refuse" >&2; exit 255; fi
    while [ "$1" != -S ]; do shift; done
    : >"$2"
    exec sleep 1000
    ;;
esac
[ ! -e "{root}/lost" ] || {{ cat "{root}/lost"; exit 255; }}
cd "{root}/home" || exit 1
HOME={root}/home PATH={root}/tools exec {root}/tools/sh -c "$last"
"""
_TOOLS = [
    "awk",
    "cat",
    "cksum",
    "cp",
    "cut",
    "date",
    "df",
    "dirname",
    "env",
    "false",
    "getconf",
    "grep",
    "gzip",
    "head",
    "id",
    "kill",
    "ldd",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "od",
    "printf",
    "pwd",
    "readlink",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "sync",
    "tail",
    "tar",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "uname",
    "wc",
]


@dataclass(frozen=True)
class BoardDouble:
    """The folder of the double."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tools(self) -> Path:
        return self.root / "tools"

    def tool(self, name: str, script: str) -> None:
        """Put a program there, by its text; ``{real}`` in it is this machine's own."""
        path = self.tools / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n".replace("{real}", str(shutil.which(name))))
        path.chmod(0o755)

    def refuse(self, words: str) -> None:
        """The client ends with these words instead of connecting."""
        (self.root / "refuse").write_text(words)

    def lose(self) -> None:
        """The connection is lost from now on."""
        (self.root / "lost").write_text("")

    def find(self) -> None:
        """It can be had again."""
        (self.root / "lost").unlink()

    def calls(self) -> list[str]:
        """The client's arguments, a line for each call."""
        return (self.root / "calls").read_text().splitlines()


def make(root: Path, patch: pytest.MonkeyPatch) -> BoardDouble:
    """A board of its own in ``root``, which the client on PATH leads to, whatever it is told."""
    double = BoardDouble(root)
    for folder in (double.home, double.tools, root / "bin"):
        folder.mkdir(parents=True)
    for name in _TOOLS:
        if found := shutil.which(name):
            (double.tools / name).symlink_to(found)
    ssh = root / "bin" / "ssh"
    ssh.write_text(_SSH.format(root=root))
    ssh.chmod(0o755)
    patch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return double
