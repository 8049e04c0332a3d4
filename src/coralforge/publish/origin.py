"""The commit of coralforge itself that a release is made from, as git says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOCAL_BUILDER = "urn:coralforge:builder:local"


@dataclass(frozen=True)
class Origin:
    """Where a release comes from. ``commit`` is empty where the project's folder is no git checkout."""

    commit: str
    changed: bool
    """Whether files differ from the commit."""
    seconds: int
    """Time of the commit, in seconds since 1970 UTC; 0 without one."""
    builder: str = LOCAL_BUILDER
    """URI of what ran the build."""

    @property
    def clean(self) -> bool:
        """Whether the commit says all about what was built."""
        return bool(self.commit) and not self.changed


def find(root: Path, environ: Mapping[str, str] = os.environ) -> Origin:
    """The origin of the checkout in ``root``; the workflow that runs it, where GitHub's runner says so."""
    builder = LOCAL_BUILDER
    if environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITHUB_WORKFLOW_REF"):
        builder = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{environ['GITHUB_WORKFLOW_REF']}"
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():  # a folder within another project's checkout
        return Origin("", True, 0, builder)
    # Plumbing: what a user's configuration adds to `git log` or hides from `git status` is not in it.
    seconds, commit = (_git(root, "rev-list", "--max-count=1", "--timestamp", "HEAD") or "0 ").split(" ")
    changed = _git(root, "status", "--porcelain", "--untracked-files=normal") != ""
    return Origin(commit, changed, int(seconds), builder)


def tags(root: Path) -> tuple[str, ...]:
    """The tags of the commit that is checked out."""
    return tuple((_git(root, "tag", "--points-at", "HEAD") or "").split())


def _git(root: Path, *arguments: str) -> str | None:
    """The output of git, without the last newline; None when it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
