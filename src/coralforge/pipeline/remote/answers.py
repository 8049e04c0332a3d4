"""Facts about a remote cache or executor, from the lines of scripts/remote_run.py and of Bazel."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SUMMARY = re.compile(r"^INFO: (\d+ process(?:es)?: .*?)\.?$")
_FACT = re.compile(r"^remote_run: (away|refused): (.+)$")
_TUNNEL = re.compile(r"^remote_tunnel: (.+)$")


@dataclass
class Answers:
    """All that was said so far."""

    summary: str = ""
    """How many actions came from where."""
    troubles: list[str] = field(default_factory=list)
    """Faults of the server, each as part of a sentence."""
    stopped: bool = False
    """Whether the build was stopped for the last of them."""

    def take(self, line: str) -> str:
        """Look at one line; returns the trouble that it tells of for the first time, or nothing."""
        if found := _SUMMARY.match(line):
            self.summary = found[1]
        elif found := _FACT.match(line):
            words = {"away": "it does not answer any more", "refused": "it refuses what is asked"}[found[1]]
            return self._add(f"{words}: {found[2]}")
        elif line == "remote_run: stopped":
            self.stopped = True
        elif found := _TUNNEL.match(line):
            return self._add(f"the connection failed: {found[1]}")
        return ""

    def _add(self, trouble: str) -> str:
        if trouble in self.troubles:
            return ""
        self.troubles.append(trouble)
        return trouble
