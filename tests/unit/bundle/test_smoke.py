"""The smoke test's judgement, with a test double in place of Docker (the real board is in tests/integration)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.bench import ContainerBench
from coralforge.bundle.pack import pack
from coralforge.bundle.smoke import run_smoke
from coralforge.config.base import Variant
from coralforge.containers.spec import ContainerSpec, Finished
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Output, Recorder
from coralforge.sources.unpack import unpack
from tests.support.bundle_maker import make_inputs

BOARD = {
    "arch": "aarch64", "userland": "bookworm", "suite": "bookworm", "versions": {"GLIBC": "2.36"}, "masked": "",
    "emulator": "qemu-aarch64 version 11", "packages": {"libc6": "2.36"},
}  # fmt: skip
STEPS: list[dict[str, Any]] = [{"name": name, "status": "passed"} for name in ("lstpu", "benchmark", "model")]
STEPS[1]["fps"] = 3.5
GOOD: dict[str, Any] = {"schema": 1, "passed": True, "variant": "simulated", "simulated": True, "steps": STEPS}


@dataclass
class FakeBoard:
    """Test double of a Runner: writes the given reports instead of running anything."""

    report: object = field(default_factory=lambda: GOOD)
    board: object = field(default_factory=lambda: BOARD)
    finished: Finished = field(default_factory=lambda: Finished(0, False, 1.25))
    specs: list[ContainerSpec] = field(default_factory=list)

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        self.specs.append(spec)
        (out,) = (mount.source for mount in spec.mounts if mount.writable)
        for name, content in (("board.json", self.board), ("smoke.json", self.report)):
            if isinstance(content, bytes):
                (out / name).write_bytes(content)
            elif isinstance(content, Path):
                (out / name).symlink_to(content)
            elif content is not None:
                (out / name).write_text(json.dumps(content))
        for number in range(30):
            on_line(f"line {number}")
        return self.finished

    def owner(self) -> tuple[int, int]:
        return 1000, 1000


@dataclass
class Bench:
    """An archive to test and where things go."""

    archive: Path
    work: Path
    report: Path
    sink: Recorder = field(default_factory=Recorder)

    def run(self, board: FakeBoard) -> Any:
        return run_smoke(
            self.archive, ContainerBench(board, "coralforge-board:test"), self.work, self.report, self.sink
        )

    def fails(self, board: FakeBoard) -> CoralforgeError:
        with pytest.raises(CoralforgeError) as caught:
            self.run(board)
        assert list(self.work.iterdir()) == []
        return caught.value


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive, made once; its folder stands beside ``dist``."""
    top = tmp_path_factory.mktemp("made")
    folder = top / "coralforge-2.14.1-aarch64-linux-gnu"
    folder.mkdir()
    assemble(make_inputs(top / "inputs"), folder)
    pack(folder, top / "dist" / f"{folder.name}.tar.gz")
    return top / "dist" / f"{folder.name}.tar.gz"


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Bench:
    shutil.copytree(made.parent, tmp_path / "dist")
    return Bench(tmp_path / "dist" / made.name, tmp_path / "work", tmp_path / "dist/report.json")


def test_an_emulated_device_is_said(bench: Bench, tmp_path: Path) -> None:
    result = run_smoke(
        bench.archive,
        ContainerBench(FakeBoard(), "coralforge-board:test", tmp_path),
        bench.work,
        bench.report,
        bench.sink,
    )
    data = json.loads(bench.report.read_text())
    assert data["device"] == {"kind": "emulated", "models": 0, "stats": None}
    assert any("the device was emulated" in problem for problem in data["not_verified"])
    assert any(isinstance(e, Note) and "the device was emulated" in e.text for e in bench.sink.events)
    assert result.data == data


def test_a_pass_is_reported_with_what_ran_where(bench: Bench) -> None:
    result = bench.run(FakeBoard())
    assert (result.variant, result.simulated, result.steps) == (
        Variant.SIMULATED,
        True,
        ("lstpu", "benchmark", "model"),
    )
    assert "SIMULATED" in result.summary()
    data = json.loads(bench.report.read_text())
    assert data == result.data
    assert (data["ok"], data["emulated"], data["seconds"], data["image"]) == (
        True,
        True,
        1.25,
        "coralforge-board:test",
    )
    assert data["bundle_sha256"] == result.digest
    assert data["board"]["emulator"] == "qemu-aarch64 version 11"
    assert data["steps"][1]["fps"] == 3.5
    assert list(bench.work.iterdir()) == []


def test_the_container_gets_the_bundle_read_only_and_the_emulator(bench: Bench) -> None:
    board = FakeBoard()
    bench.run(board)
    (spec,) = board.specs
    assert dict(spec.env)["CORALFORGE_RUN"] == "qemu-aarch64 -L /board"
    assert {mount.target: mount.writable for mount in spec.mounts} == {"/bundle": False, "/report": True}
    assert "/bundle/smoke.sh" in spec.command[-1]


def test_output_and_what_is_not_verified_are_shown(bench: Bench) -> None:
    bench.run(FakeBoard())
    assert Output("smoke", "line 29") in bench.sink.events
    assert any(isinstance(event, Note) and "real Edge TPU" in event.text for event in bench.sink.events)


def test_the_userland_is_named_wherever_a_test_passed(bench: Bench) -> None:
    result = bench.run(FakeBoard())
    assert "on bookworm (glibc 2.36);" in result.summary()
    assert json.loads(bench.report.read_text())["board"]["userland"] == "bookworm"


def test_a_masked_userland_is_never_taken_for_the_real_one(bench: Bench) -> None:
    note = "bullseye's libraries, versions above 2.27 removed"
    result = bench.run(FakeBoard(board=BOARD | {"userland": "glibc-2.27", "masked": note}))
    assert f"on glibc-2.27 ({note});" in result.summary()
    assert f"glibc-2.27: {note}" in json.loads(bench.report.read_text())["not_verified"]
    assert Note(f"glibc-2.27: {note}", "warning") in bench.sink.events


def test_the_userland_is_named_where_a_test_failed(bench: Bench) -> None:
    steps = [{"name": "lstpu", "status": "failed"}]
    error = bench.fails(FakeBoard(GOOD | {"passed": False, "steps": steps}, finished=Finished(1, False, 2.0)))
    assert "userland bookworm (glibc 2.36)" in error.details


def test_a_failing_step_is_named_with_the_last_lines(bench: Bench) -> None:
    steps = [STEPS[0], {"name": "benchmark", "status": "failed", "said": "exit status 3"}]
    error = bench.fails(FakeBoard(GOOD | {"passed": False, "steps": steps}, finished=Finished(1, False, 2.0)))
    assert (error.reason, error.code) == ("smoke-failed", ExitCode.SMOKE)
    assert "step benchmark" in error.brief
    assert "exit status 3" in error.details
    assert "| line 29" in error.details
    assert "| line 9\n" not in error.details
    assert json.loads(bench.report.read_text())["ok"] is False


def test_the_failing_steps_own_output_is_shown_where_the_report_has_it(bench: Bench) -> None:
    steps = [{"name": "lstpu", "status": "failed", "output": "a\nlibedgetpu.so.1: not found\n"}]
    report = {"schema": 1, "passed": False, "variant": "unknown", "simulated": False, "steps": steps}
    error = bench.fails(FakeBoard(report, finished=Finished(1, False, 1.0)))
    assert "step lstpu" in error.brief
    assert "| libedgetpu.so.1: not found" in error.details
    assert "| line 29" not in error.details


@pytest.mark.parametrize(
    "report, status",
    [
        (GOOD, 1),  # all is well, it says, but it failed
        (GOOD | {"passed": False}, 0),
        (GOOD | {"steps": [{"name": "lstpu", "status": "failed"}]}, 0),
        (GOOD | {"variant": "direct"}, 0),  # simulated, and yet direct
        (GOOD | {"variant": "throttled", "simulated": False}, 0),  # not in this bundle
        (GOOD | {"variant": "unknown"}, 0),
    ],
)
def test_contradictions_are_no_pass(bench: Bench, report: object, status: int) -> None:
    assert bench.fails(FakeBoard(report, finished=Finished(status, False, 1.0))).reason == "smoke-failed"


@pytest.mark.parametrize(
    "report",
    [
        None,
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b" " * (1 << 20) + b"{}",
        Path("/etc/passwd"),
        [],
        {"passed": True},
        GOOD | {"passed": 1},
        GOOD | {"schema": 2},
        GOOD | {"steps": []},
        GOOD | {"steps": [{"name": "../x", "status": "passed"}]},
        GOOD | {"steps": STEPS * 500},
        GOOD | {"variant": None},
    ],
)
def test_a_report_that_cannot_be_trusted_is_no_pass(bench: Bench, report: object) -> None:
    error = bench.fails(FakeBoard(report))
    assert (error.reason, error.code) == ("smoke-report", ExitCode.SMOKE)
    assert "| line 29" in error.details


def test_what_could_not_be_tried_is_neither_passed_nor_failed(bench: Bench) -> None:
    skipped = {"name": "delegate", "status": "skipped", "said": "there is no Edge TPU here"}
    result = bench.run(FakeBoard(GOOD | {"steps": [*STEPS, skipped]}))
    assert result.steps == ("lstpu", "benchmark", "model")
    assert json.loads(bench.report.read_text())["not_run"] == ["delegate: not run: there is no Edge TPU here"]
    assert Note("delegate: not run: there is no Edge TPU here", "warning") in bench.sink.events


def test_the_report_has_both_views_of_the_board(bench: Bench) -> None:
    bench.run(FakeBoard(GOOD | {"board": {"model": "some board", "suite": "?"}}))
    board = json.loads(bench.report.read_text())["board"]
    assert (board["model"], board["suite"]) == ("some board", "bookworm")


def test_a_failed_run_leaves_no_report_of_an_earlier_one(bench: Bench) -> None:
    bench.run(FakeBoard())
    bench.fails(FakeBoard(None))
    assert not bench.report.exists()


@pytest.mark.parametrize("status, memory, text", [(137, True, "killed for memory"), (124, False, "stopped after")])
def test_memory_and_time_are_named(bench: Bench, status: int, memory: bool, text: str) -> None:
    error = bench.fails(FakeBoard(None, finished=Finished(status, memory, 1.0)))
    assert text in error.details
    assert error.reason == ("smoke-memory" if memory else "smoke-report")


def test_a_board_of_another_architecture_is_refused(bench: Bench) -> None:
    error = bench.fails(FakeBoard(board=BOARD | {"arch": "x86_64"}, report=None))
    assert (error.reason, error.code) == ("board-image", ExitCode.MISSING)
    assert "--arch aarch64" in error.remedy


def test_another_archive_than_its_digest_says_is_refused(bench: Bench) -> None:
    bench.archive.with_name(bench.archive.name + ".sha256").write_text("0" * 64 + "  x\n")
    with pytest.raises(CoralforgeError) as caught:
        bench.run(FakeBoard())
    assert (caught.value.reason, caught.value.code) == ("bundle-digest", ExitCode.USER)


def test_an_archive_without_digest_file_is_taken(bench: Bench) -> None:
    bench.archive.with_name(bench.archive.name + ".sha256").unlink()
    assert bench.run(FakeBoard()).steps


def test_a_changed_bundle_is_refused_before_anything_runs(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "coralforge-2.14.1-aarch64-linux-gnu"
    unpack(bench.archive, folder, 1)
    (folder / "smoke.sh").write_text("#!/bin/sh\necho pwned\n")
    pack(folder, bench.archive)
    board = FakeBoard()
    error = bench.fails(board)
    assert error.reason == "bundle-changed"
    assert "smoke.sh has changed" in error.details
    assert board.specs == []


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08\0"])
def test_what_is_no_archive_is_refused(bench: Bench, data: bytes) -> None:
    bench.archive.write_bytes(data)
    bench.archive.with_name(bench.archive.name + ".sha256").unlink()
    assert bench.fails(FakeBoard()).code == ExitCode.USER


def test_nothing_is_left_after_ctrl_c(bench: Bench) -> None:
    class Interrupted(FakeBoard):
        def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(Interrupted())
    assert list(bench.work.iterdir()) == []
    assert not bench.report.exists()
