"""Bounds of a build on N workers, from a profile."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.performance.simulate_workers import at_best, at_worst, makespan, read_profile, table


def profile(folder: Path, *actions: tuple[str, str, float], critical: float = 0.0) -> Path:
    """A profile as Bazel writes it: mnemonic, name and seconds of each action."""
    events = [
        {"cat": "action processing", "name": name, "dur": int(seconds * 1e6), "args": {"mnemonic": mnemonic}}
        for mnemonic, name, seconds in actions
    ]
    events += [{"cat": "critical path component", "name": "x", "dur": int(critical * 1e6)}, {"name": "other"}]
    path = folder / "command.profile.gz"
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": events}).encode()))
    return path


def test_the_longest_come_first_and_nobody_waits_while_there_is_work() -> None:
    assert makespan([1, 1, 1, 3], 2) == 3
    assert makespan([1, 1, 1, 3], 1) == 6
    assert makespan([], 4) == 0


def test_the_truth_is_between_no_waiting_and_rank_by_rank(tmp_path: Path) -> None:
    tools = [("CppCompile", "Compiling t [for tool]", 4.0), ("CppLink", "Linking t [for tool]", 1.0)]
    target = [
        ("Genrule", "g", 1.0),
        *[("CppCompile", f"Compiling {n}", 2.0) for n in range(4)],
        ("CppLink", "l", 3.0),
    ]
    found = read_profile(profile(tmp_path, *tools, *target, critical=11.0))
    assert found.total == pytest.approx(17)
    assert [at_best(found, 1), at_worst(found, 1)] == pytest.approx([17, 17])
    assert [at_best(found, 4), at_worst(found, 4)] == pytest.approx([11, 4 + 1 + 1 + 2 + 3])
    assert at_worst(found, 4, overhead=1.0) == pytest.approx(11 + 5)
    assert table(found, (1, 4), 0.0).splitlines()[3] == "| 4 | 11 | 11 | 39% to 39% |"


def test_a_build_that_had_nothing_to_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no actions"):
        read_profile(profile(tmp_path))
