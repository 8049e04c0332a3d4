"""Bazel's disk cache, where pipeline.yaml asks for one: mounted, and no larger than it may be."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.events import Recorder
from coralforge.pipeline.build import BuildEnvironment
from coralforge.pipeline.disk_cache import prune
from coralforge.pipeline.remote import connect as module
from coralforge.pipeline.remote import connected
from tests.unit.pipeline.test_remote import ADDRESS, RunnerDouble, settings, spec


def environment(folder: Path, runner: RunnerDouble, limit: int | None, **remote: object) -> BuildEnvironment:
    found = settings(folder, **remote)
    limits = found.pipeline.limits.model_copy(update={"disk_cache_mb": limit})
    found = replace(found, pipeline=found.pipeline.model_copy(update={"limits": limits}))
    return BuildEnvironment(found, runner, "image", Recorder())


def test_it_is_mounted_and_bazel_is_told(tmp_path: Path) -> None:
    runner = RunnerDouble()
    with connected(environment(tmp_path, runner, 16)) as made:
        made.runner.run(spec(tmp_path), lambda _: None)
    [ran] = runner.ran
    assert ran.mounts[-1].source == tmp_path / "cache/results" and ran.mounts[-1].writable
    assert (tmp_path / "workspace/.bazelrc").read_text().endswith("build --disk_cache=/results\n")


def test_without_a_limit_there_is_none(tmp_path: Path) -> None:
    runner = RunnerDouble()
    made = environment(tmp_path, runner, None)
    with connected(made) as same:
        assert same is made


def test_what_others_made_never_enters_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local build takes what is in it for its own."""
    monkeypatch.setattr(module, "trouble", lambda *_: None)
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", (host, port))])
    runner = RunnerDouble()
    with connected(environment(tmp_path, runner, 16, cache=ADDRESS)) as made:
        made.runner.run(spec(tmp_path), lambda _: None)
    assert all(mount.target != "/results" for mount in runner.ran[0].mounts)


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "ac/old", "cas/older")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    prune(tmp_path, 200)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["new", "old"]
    prune(tmp_path, 0)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    prune(tmp_path / "absent", 0)
