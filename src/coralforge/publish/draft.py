"""A draft release on GitHub, by its own program `gh`; a person looks at the draft and publishes it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from coralforge import __version__
from coralforge.errors import build_error, missing_error, user_error
from coralforge.publish.names import NOTES
from coralforge.publish.origin import Origin, tags

TAG = f"v{__version__}"


def require_ready(root: Path, origin: Origin) -> None:
    """Refuse a release that its commit does not describe, or whose tag is not there.

    Raises:
        CoralforgeError: ``release-origin``, exit code 2.
    """
    lacking = []
    if not origin.commit:
        lacking.append("the project's folder is no git checkout")
    elif origin.changed:
        lacking.append("files differ from the commit (git status)")
    if origin.commit and TAG not in tags(root):
        lacking.append(f"the commit has no tag {TAG}")
    if lacking:
        raise user_error(
            f"this checkout is not what version {__version__} would be released from",
            reason="release-origin",
            details="\n".join(lacking),
            remedy=f"commit everything, then git tag -s {TAG}",
        )


def command(folder: Path) -> list[str]:
    """The command that makes the draft, with every file in ``folder``."""
    files = sorted(str(path) for path in folder.iterdir() if path.is_file() and path.name != NOTES)
    options = ["--draft", "--verify-tag", "--title", f"coralforge {__version__}", "--notes-file", str(folder / NOTES)]
    return ["gh", "release", "create", TAG, *options, *files]


def shown(folder: Path) -> str:
    """The command, for a terminal."""
    return shlex.join(command(folder))


def make_draft(root: Path, folder: Path) -> None:
    """Make the draft. gh says where it is.

    Raises:
        CoralforgeError: ``gh-missing`` (exit code 3), ``release-draft`` (5).
    """
    try:
        done = subprocess.run(command(folder), cwd=root, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError as error:
        raise missing_error(
            "gh, GitHub's program, is missing",
            reason="gh-missing",
            remedy="install it (cli.github.com), or look at what --dry-run prints",
        ) from error
    if done.returncode != 0:
        raise build_error(
            f"gh could not make the draft of {TAG} (exit status {done.returncode})",
            reason="release-draft",
            remedy="see its message above; the release's files are complete and stay where they are",
        )
