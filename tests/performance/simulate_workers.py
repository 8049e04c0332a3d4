"""How long a build would take on N workers, by simulation from a profile that Bazel wrote while it built alone.

For docs/performance.md: ``python -m tests.performance.simulate_workers FILE`` with a ``command.profile.gz`` of a
build on this machine with an empty cache (in Bazel's output base, below ``bazel/`` of the cache). It has no
dependencies. So two bounds are given, and the truth is between them:

- at best, nothing waits for anything but for the critical path, which the profile does have;
- at worst, each rank of ``RANKS`` waits for all of the one before, which every dependency of this graph keeps to.

What a worker adds (uploading, fetching, waiting for the scheduler) is not in it: it is as if it took ``--overhead``
milliseconds for each action that starts a program.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

WORKERS = (1, 2, 4, 8, 16)
_PROCESSING = "action processing"
_CRITICAL = "critical path component"
_TOOL = "[for tool]"
RANKS = {"CppCompile": 0, "CppArchive": 1, "CppLink": 2}
"""Of actions that compile and link: first those for tools, then what tools make, then those for the target."""
_AFTER_TOOLS = 3


@dataclass(frozen=True)
class Action:
    """One action: how long it took alone, in seconds, and its rank."""

    name: str
    seconds: float
    rank: int
    program: bool
    """Whether it starts a program; the others (links, small files) are Bazel's own, and stay on its machine."""

    def on_a_worker(self, overhead: float) -> float:
        """Seconds with what a worker adds."""
        return self.seconds + (overhead if self.program else 0.0)


@dataclass(frozen=True)
class Profile:
    """What a profile says of a build."""

    actions: tuple[Action, ...]
    critical: float
    """Seconds of the longest chain of actions that wait for each other."""

    @property
    def total(self) -> float:
        """Seconds of all actions, one after the other."""
        return sum(action.seconds for action in self.actions)


def read_profile(path: Path) -> Profile:
    """Read ``command.profile.gz``. Raises OSError and ValueError."""
    with gzip.open(path, "rb") as stream:
        events = json.load(stream)["traceEvents"]
    actions = tuple(_action(event) for event in events if event.get("cat") == _PROCESSING)
    if not actions:
        raise ValueError(f"{path} has no actions: it is of a build that had nothing to do")
    return Profile(actions, sum(event["dur"] for event in events if event.get("cat") == _CRITICAL) / 1e6)


def _action(event: dict[str, object]) -> Action:
    arguments, name = event["args"], str(event["name"])
    assert isinstance(arguments, dict) and isinstance(event["dur"], int)
    mnemonic = str(arguments["mnemonic"])
    known = RANKS.get(mnemonic)
    rank = _AFTER_TOOLS
    if known is not None:
        rank = known if _TOOL in name else _AFTER_TOOLS + 1 + known
    return Action(name, event["dur"] / 1e6, rank, known is not None or mnemonic == "Genrule")


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Wall seconds of independent actions: the longest first, each on the worker that is free first."""
    free = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def at_best(profile: Profile, workers: int, overhead: float = 0.0) -> float:
    """No schedule is shorter."""
    total = sum(action.on_a_worker(overhead) for action in profile.actions)
    return max(total / workers, profile.critical)


def at_worst(profile: Profile, workers: int, overhead: float = 0.0) -> float:
    """A schedule of this length exists."""
    ranks = sorted({action.rank for action in profile.actions})
    spans = ([a.on_a_worker(overhead) for a in profile.actions if a.rank == rank] for rank in ranks)
    return sum(makespan(seconds, workers) for seconds in spans)


def table(profile: Profile, workers: Sequence[int], overhead: float) -> str:
    """Markdown: wall seconds by number of workers, and how much of them works."""
    lines = ["| workers | at best, s | at worst, s | efficiency |", "|---|---|---|---|"]
    for number in workers:
        best, worst = at_best(profile, number, overhead), at_worst(profile, number, overhead)
        lowest, highest = (profile.total / number / span for span in (worst, best))
        lines.append(f"| {number} | {best:.0f} | {worst:.0f} | {lowest:.0%} to {highest:.0%} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table of a profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", type=Path)
    parser.add_argument("--overhead", type=float, default=0.0, metavar="MS", help="milliseconds added to each action")
    said = parser.parse_args()
    profile = read_profile(said.profile)
    longest = max(profile.actions, key=lambda action: action.seconds)
    print(f"{len(profile.actions)} actions, {profile.total:.0f} s in all; critical path {profile.critical:.1f} s;")
    print(f"the longest action: {longest.name}, {longest.seconds:.1f} s\n")
    print(table(profile, WORKERS, said.overhead / 1000))


if __name__ == "__main__":
    main()
