"""smoke.sh passes only where what is there can be used, and says in one line what is in the way.

The bundle's programs are shell scripts here (test doubles) that say what the test tells them to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from coralforge.settings import Options, Project, resolve
from coralforge.templates import PROGRAMS, render_bundle, render_consumer
from tests.conftest import ROOT

SHELLS = [shell for shell in (["sh"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
FORBIDDEN = 'user me may not open the Edge TPU usb 2-1: "/dev/bus/usb/002/004" belongs to root:root'
FACTS = """{
  "emulated": null,
  "board": {"model": "a \\"board\\"", "kernel": "6.1", "machine": "x", "libc": "y", "cpu_temperature_c": 51.5},
  "edge_tpus": [{"kind": "usb", "path": "/sys/2-1", "state": "usable", "speed_mbps": 480, "firmware": "loaded", \
"temperature_c": null}],
  "diagnosis": [{"id": "usb2", "cause": "slow", "action": "another port"}],
  "exit_code": 0
}"""
# Each program notes that it was started, and how; $0-*.out is what it prints, its first line the exit status.
PROGRAM = """#!/bin/sh
echo "${0##*/} $*" >>"$(dirname "$0")/../started"
answer=$0.out
case " $* " in
*" --check "*) answer=$0-check.out ;;
*" --compare "*) answer=$0-compare.out ;;
*" --diagnose --json "*) answer=$0-json.out ;;
*" --diagnose "*) answer=$0-diagnose.out ;;
esac
sed 1d "$answer"
exit "$(head -n 1 "$answer")"
"""


@dataclass(frozen=True)
class Ran:
    """How smoke.sh ended, and what it left."""

    status: int
    lines: list[str]
    report: dict[str, Any] | None
    started: list[str]

    def step(self, name: str) -> dict[str, Any]:
        assert self.report is not None
        found: dict[str, Any] = next(step for step in self.report["steps"] if step["name"] == name)
        return found


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle with programs that are test doubles."""

    root: Path

    def answer(self, program: str, output: str, status: int = 0) -> None:
        (self.root / "bin" / f"{program}.out").write_text(f"{status}\n{output}\n")

    def devices(self, count: int, unlisted: int = 0, simulated: bool = False) -> None:
        about = {"count": count, "unlisted_count": unlisted, "simulated": simulated, "variant": "throttled"}
        self.answer("lstpu", json.dumps(about, indent=2))

    def compared(self, status: int = 0, **changes: object) -> None:
        """What benchmark --compare finds: all is well on hardware, but for ``changes``."""
        found = {
            "ran_on": "edgetpu", "figures": "measured", "median_ms": 2.5, "first_ms": 9.1, "expected_ms": 2.3,
            "times_expected": 1.1, "no_expectation": "", "warning": "", "speed_up": 15.2, "values": 1001,
            "differing": 4, "max_steps": 1.0, "within_tolerance": True,
        }  # fmt: skip
        self.answer("benchmark-compare", json.dumps({**found, **changes}, indent=2), status)

    def run(self, shell: list[str], *words: str, cwd: Path | None = None, **environment: str) -> Ran:
        report = self.root / "report.json"
        variables = {"CORALFORGE_RUN": "env", "CORALFORGE_REPORT": str(report), **environment}
        done = subprocess.run(
            [*shell, self.root / "smoke.sh", *words],
            cwd=cwd or self.root,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.root), **{k: v for k, v in variables.items() if v}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        started = self.root / "started"
        return Ran(
            done.returncode,
            done.stdout.splitlines(),
            json.loads(report.read_text()) if report.exists() else None,
            started.read_text().splitlines() if started.exists() else [],
        )


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    bundle = Bundle(tmp_path / "bundle")
    files = render_bundle(resolve(Project(ROOT), Options(arch="aarch64")))
    models = bundle.root / "share/models"
    models.mkdir(parents=True)
    (bundle.root / "bin").mkdir()
    for name in ("smoke.sh", "check-board.sh"):
        (bundle.root / name).write_bytes(files[PurePosixPath(name)].content)
    for name in PROGRAMS:
        (bundle.root / "bin" / name).write_text(PROGRAM)
        (bundle.root / "bin" / name).chmod(0o755)
    for name in ("model.tflite", "model_edgetpu.tflite", "labels.txt", "image.bmp"):
        (models / name).write_text("")
    (models / "expected.json").write_text('{\n  "top1_index": 3,\n  "usb3_ms": 2.3,\n  "usb2_ms": 7.6\n}\n')
    bundle.devices(0)
    bundle.answer("lstpu-check", "1 Edge TPU")
    bundle.answer("lstpu-json", FACTS, 4)
    bundle.answer("lstpu-diagnose", "1. there is none\n   what to do: plug one in", 4)
    bundle.answer("model", "ran: on the Edge TPU (usb 2-1)\ntop-1: 3 0.9 cat")
    bundle.answer("benchmark", '{\n  "fps": 3.5\n}')
    bundle.compared()
    return bundle


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    return words


@pytest.mark.parametrize("name", ["smoke.sh", "check-board.sh"])
@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
def test_shellcheck_finds_nothing(tmp_path: Path, name: str, arch: str) -> None:
    script = tmp_path / name
    script.write_bytes(render_bundle(resolve(Project(ROOT), Options(arch=arch)))[PurePosixPath(name)].content)
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_consumer_project_has_the_bundles_check() -> None:
    settings = resolve(Project(ROOT), Options())
    name = PurePosixPath("check-board.sh")
    assert render_consumer(settings)[name] == render_bundle(settings)[name]


def test_without_an_edge_tpu_the_cpu_is_tried(bundle: Bundle, shell: list[str]) -> None:
    ran = bundle.run(shell)
    assert ran.status == 0
    assert ran.report is not None
    steps = {step["name"]: step["status"] for step in ran.report["steps"]}
    passed = dict.fromkeys(["lstpu", "benchmark", "model", "label"], "passed")
    assert steps == passed | {"delegate": "skipped"}
    assert ran.step("delegate")["said"] == "there is no Edge TPU here"


def test_an_edge_tpu_that_can_be_used_is_used(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    ran = bundle.run(shell)
    assert ran.status == 0
    assert ran.report is not None
    assert ran.step("access")["status"] == ran.step("delegate-label")["status"] == "passed"
    assert [step["name"] for step in ran.report["steps"]][-4:] == [
        "delegate-benchmark", "agreement", "delegate-model", "delegate-label",
    ]  # fmt: skip
    assert ran.report["delegate_benchmark"]["median_ms"] == 2.5
    assert (ran.report["warnings"], ran.report["emulated_device"]) == ([], False)
    [compared] = [line for line in ran.started if "--compare" in line]
    assert "share/models/model_edgetpu.tflite --compare" in compared
    assert "--tolerance 32 --expect usb3=2.3,usb2=7.6, --image" in compared
    assert "      expected of such a device: 2.3 ms; it takes 1.1 times that" in ran.lines


def test_wrong_outputs_are_a_failure(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    bundle.compared(status=10, differing=900, max_steps=77.0, within_tolerance=False)
    ran = bundle.run(shell)
    assert ran.status == 1
    text = "900 of 1001 values differ, by at most 77.0 steps; 32 are allowed"
    assert (ran.step("agreement")["status"], ran.step("agreement")["said"]) == ("failed", text)
    assert ran.step("delegate-benchmark")["status"] == "passed"


@pytest.mark.parametrize(("same", "passes"), [(10, True), (9, True), (8, False), (1, False)])
def test_samples_must_have_the_same_class_on_device_and_cpu(
    bundle: Bundle, shell: list[str], same: int, passes: bool
) -> None:
    """80 % on the CPU and 10 % on the Edge TPU, with values that need not be far apart."""
    bundle.devices(1)
    (bundle.root / "share/models/questions.bin").write_text("samples")
    bundle.compared(questions=10, questions_same_best=same)
    ran = bundle.run(shell)
    said = f"{same} of 10 samples have the same best class on the Edge TPU as on the CPU"
    assert (ran.status == 0, ran.step("classes")["status"]) == (passes, "passed" if passes else "failed")
    assert ran.step("classes")["said"].startswith(said)
    assert ran.step("agreement")["status"] == "passed"
    assert ran.report is not None
    assert ran.report["warnings"] == ([f"classes: {said}"] if same == 9 else [])
    [compared] = [line for line in ran.started if "--compare" in line]
    assert compared.count("/share/models/questions.bin") == 1


def test_without_questions_no_class_is_asked_for(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    bundle.compared(questions=0, questions_same_best=None)
    ran = bundle.run(shell)
    assert ran.status == 0
    assert ran.report is not None
    assert "classes" not in {step["name"] for step in ran.report["steps"]}
    assert not any("--questions" in line for line in ran.started)


@pytest.mark.parametrize("where", ["emulated", "simulated"])
def test_without_hardware_no_value_may_differ(bundle: Bundle, shell: list[str], where: str) -> None:
    bundle.devices(1)
    bundle.compared(ran_on=where, figures=where.upper(), differing=1, expected_ms=None, no_expectation="it is no TPU")
    ran = bundle.run(shell)
    assert ran.status == 1
    assert "without hardware none may" in ran.step("agreement")["said"]
    assert ran.report is not None and ran.report["emulated_device"] is (where == "emulated")
    assert "      how long hardware takes cannot be compared: it is no TPU" in ran.lines
    assert any(line.startswith("      EMULATED  through the delegate") for line in ran.lines) is (where == "emulated")


def test_a_compiled_model_that_ran_on_the_cpu_is_a_failure(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    bundle.compared(ran_on="cpu")
    ran = bundle.run(shell)
    assert ran.status == 1
    assert ran.step("delegate-benchmark")["said"] == "it ran on cpu, not on the Edge TPU"


def test_a_compiled_model_that_does_not_run_is_a_failure(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    bundle.answer("benchmark-compare", "benchmark: error: x: the Edge TPU delegate took no operation of the model", 5)
    ran = bundle.run(shell)
    assert ran.status == 1
    assert "the Edge TPU delegate took no operation" in ran.step("delegate-benchmark")["said"]
    assert ran.report is not None and ran.report["delegate_benchmark"] is None
    assert not [step for step in ran.report["steps"] if step["name"] == "agreement"]


def test_far_slower_than_expected_is_a_warning_and_no_failure(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    bundle.compared(warning="an inference takes 9 ms, 4 times more; look at this: USB 2", times_expected=4.0)
    ran = bundle.run(shell)
    assert ran.status == 0
    text = "delegate-benchmark: an inference takes 9 ms, 4 times more; look at this: USB 2"
    assert f"warn  {text}" in ran.lines
    assert ran.report is not None and ran.report["warnings"] == [text]


@pytest.mark.parametrize("status", [6, 7])
def test_one_that_cannot_be_used_is_no_pass_and_says_why(bundle: Bundle, shell: list[str], status: int) -> None:
    bundle.devices(1)
    bundle.answer("lstpu-check", f"lstpu: error: {FORBIDDEN}\n1 Edge TPU", status)
    ran = bundle.run(shell)
    assert ran.status == 1
    assert f"FAIL  access: {FORBIDDEN}" in ran.lines
    assert ran.step("access")["said"] == FORBIDDEN
    assert ran.report is not None and ran.report["passed"] is False
    assert ran.step("delegate")["said"] == "the Edge TPU cannot be used (see the step access)"
    assert not [line for line in ran.started if "model_edgetpu" in line]


def test_one_that_libedgetpu_does_not_see_is_no_pass(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(0, unlisted=1)
    bundle.answer("lstpu-check", "0 Edge TPUs\nlstpu: warning: the Edge TPU usb 2-1 is plugged in, but", 4)
    ran = bundle.run(shell)
    assert ran.status == 1
    assert ran.step("access")["said"] == "the Edge TPU usb 2-1 is plugged in, but"


def test_a_failed_program_is_quoted(bundle: Bundle, shell: list[str]) -> None:
    bundle.answer("benchmark", "benchmark: error: running x did not end within 5 s", 9)
    ran = bundle.run(shell)
    assert ran.step("benchmark")["said"] == "exit status 9: running x did not end within 5 s"


def test_the_time_limit_reaches_every_program(bundle: Bundle, shell: list[str]) -> None:
    assert all("--timeout" not in line for line in bundle.run(shell).started)
    (bundle.root / "started").unlink()
    assert all("--timeout 7" in line for line in bundle.run(shell, CORALFORGE_TIMEOUT="7").started)


def test_nothing_is_started_on_a_board_that_does_not_fit(bundle: Bundle, shell: list[str]) -> None:
    (bundle.root / "check-board.sh").write_text("echo 'it is \"another\" board'; exit 1\n")
    ran = bundle.run(shell, CORALFORGE_RUN="")
    assert ran.status == 1
    assert ran.started == []
    assert ran.step("board") == {
        "name": "board", "status": "failed", "exit_code": None, "seconds": None, "said": 'it is "another" board',
        "simulated": False, "output": "\n",
    }  # fmt: skip
    assert [line for line in ran.lines if line.startswith("FAIL")] == ['FAIL  board: it is "another" board']


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "bin/lstpu: /lib/libc.so.6: version `GLIBC_2.34' not found (required by bin/lstpu)\n"
            "bin/lstpu: /usr/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by bin/lstpu)",
            "this board's C or C++ library is older than the bundle needs",
        ),
        ("lstpu: error while loading shared libraries: libstdc++.so.6: cannot open shared object file", "libstdc++6"),
        (
            "lstpu: error while loading shared libraries: libedgetpu.so.1: cannot open it",
            "the bundle is not complete",
        ),
        ("Illegal instruction", "lstpu ended with exit status 127: Illegal instruction"),
    ],
)
def test_programs_that_do_not_start_are_one_line(
    bundle: Bundle, shell: list[str], output: str, expected: str
) -> None:
    bundle.answer("lstpu", output, 127)
    ran = bundle.run(shell)
    assert ran.status == 1
    assert expected in ran.step("board")["said"]
    assert len(ran.started) == 1
    assert len(ran.lines) == 4  # what it is, what is wrong, where the report is, that it failed


def test_a_folder_that_cannot_be_written_is_said_first(bundle: Bundle, shell: list[str]) -> None:
    ran = bundle.run(shell, cwd=Path("/proc"), CORALFORGE_REPORT="")
    [written] = bundle.root.glob("smoke-report.*")
    assert ran.status == 0
    assert ran.lines[1] == f"this folder cannot be written: the report will be {written}"
    assert json.loads(written.read_text())["passed"] is True


def test_a_report_that_cannot_be_written_stops_it_before_anything_runs(bundle: Bundle, shell: list[str]) -> None:
    ran = bundle.run(shell, CORALFORGE_REPORT="/proc/report.json")
    assert ran.status == 1
    assert ran.lines == ["FAIL  the report /proc/report.json cannot be written (CORALFORGE_REPORT)"]
    assert ran.started == []


class Step(BaseModel):
    """A step of the report, as those who read it rely on it."""

    model_config = ConfigDict(strict=True)

    name: str
    status: Literal["passed", "failed", "skipped"]
    exit_code: int | None
    seconds: float | None
    said: str | None


class Board(BaseModel):
    """What a board says of itself."""

    model_config = ConfigDict(strict=True)

    model: str | None
    kernel: str | None
    machine: str | None
    libc: str | None
    cpu_temperature_c: float | None


class EdgeTpu(BaseModel):
    """One that the system shows."""

    model_config = ConfigDict(strict=True)

    kind: Literal["usb", "pcie"]
    path: str
    state: str
    speed_mbps: float | None
    firmware: Literal["loaded", "not loaded"] | None
    temperature_c: float | None


class Cause(BaseModel):
    """Something that is in the way, and what to do."""

    model_config = ConfigDict(strict=True)

    cause: str
    action: str


class Report(BaseModel):
    """The form of the report, version 1 (docs/bundle.md)."""

    model_config = ConfigDict(strict=True)

    schema_: Literal[1] = Field(alias="schema")
    bundle: str
    passed: bool
    exit_code: int
    emulated: str | None
    board: Board
    edge_tpus: list[EdgeTpu]
    diagnosis: list[Cause]
    steps: list[Step] = Field(min_length=1)


@pytest.mark.parametrize("passes", [True, False])
def test_the_report_keeps_its_form_whether_it_passed_or_not(bundle: Bundle, shell: list[str], passes: bool) -> None:
    if not passes:
        bundle.answer("benchmark", "benchmark: error: running x did not end within 5 s", 9)
    ran = bundle.run(shell)
    report = Report.model_validate(ran.report)
    assert (report.passed, report.exit_code) == (passes, ran.status)
    assert (report.bundle, report.emulated) == ("coralforge-2.14.1-aarch64-linux-gnu", "its programs are run by: env")
    assert (report.board.model, report.board.cpu_temperature_c) == ('a "board"', 51.5)
    assert report.edge_tpus[0].speed_mbps == 480
    steps = {step.name: step for step in report.steps}
    assert steps["benchmark"].exit_code == (0 if passes else 9)
    assert steps["benchmark"].seconds is not None
    assert steps["benchmark"].said == (None if passes else "exit status 9: running x did not end within 5 s")
    assert steps["model"].said == "top-1: 3 0.9 cat"
    assert steps["delegate"].status == "skipped"


def test_a_board_that_nothing_starts_on_has_a_report_of_the_same_form(bundle: Bundle, shell: list[str]) -> None:
    (bundle.root / "check-board.sh").write_text("echo 'it is another board'; exit 1\n")
    report = Report.model_validate(bundle.run(shell, CORALFORGE_RUN="").report)
    assert (report.passed, report.exit_code, report.emulated) == (False, 1, None)
    assert report.board.kernel == os.uname().release
    assert report.diagnosis == []


def test_why_there_is_none_is_shown_and_in_the_report(bundle: Bundle, shell: list[str]) -> None:
    ran = bundle.run(shell)
    assert "      1. there is none" in ran.lines
    assert ran.report is not None
    assert ran.report["diagnosis"] == [{"id": "usb2", "cause": "slow", "action": "another port"}]


def test_no_reason_is_given_where_all_is_well(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    ran = bundle.run(shell)
    assert ran.status == 0
    assert "      1. there is none" not in ran.lines


def test_a_device_that_fails_at_work_is_diagnosed(bundle: Bundle, shell: list[str]) -> None:
    bundle.devices(1)
    (bundle.root / "share/models/model.tflite").unlink()
    bundle.answer("model", "model: error: the Edge TPU usb 2-1 went away", 8)
    ran = bundle.run(shell)
    assert ran.status == 1
    assert "      1. there is none" in ran.lines


def test_the_report_goes_where_the_option_says(bundle: Bundle, shell: list[str], tmp_path: Path) -> None:
    for words in (("--report", "a b.json"), ("--report=a b.json",)):
        bundle.run(shell, *words, cwd=tmp_path, CORALFORGE_REPORT="")
        Report.model_validate_json((tmp_path / "a b.json").read_text())
        (tmp_path / "a b.json").unlink()


@pytest.mark.parametrize("words", [("--report",), ("--report=",), ("--rapport", "x"), ("x",)])
def test_wrong_arguments_start_nothing(bundle: Bundle, shell: list[str], words: tuple[str, ...]) -> None:
    ran = bundle.run(shell, *words, CORALFORGE_REPORT="")
    assert ran.status == 2
    assert "usage: smoke.sh [--report FILE]" in ran.lines[0]
    assert ran.started == []


def test_one_that_is_stopped_leaves_a_report(bundle: Bundle, shell: list[str]) -> None:
    pid = bundle.root / "pid"
    (bundle.root / "bin/benchmark").write_text(
        f"#!/bin/sh\nuntil [ -s '{pid}' ]; do sleep 0.1; done\nkill -TERM $(cat '{pid}')\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "CORALFORGE_RUN": "env", "CORALFORGE_REPORT": str(bundle.root / "r.json")}
    with subprocess.Popen([*shell, bundle.root / "smoke.sh"], env=environment, stdout=subprocess.DEVNULL) as running:
        (bundle.root / "pid.new").write_text(str(running.pid))
        (bundle.root / "pid.new").rename(pid)
    assert running.returncode == 1
    report = Report.model_validate_json((bundle.root / "r.json").read_text())
    assert (report.passed, report.steps[-1].name) == (False, "stopped")


def test_one_whose_reader_goes_away_leaves_a_report(bundle: Bundle, shell: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {"PATH": "/usr/bin:/bin", "CORALFORGE_RUN": "env", "CORALFORGE_REPORT": str(bundle.root / "r.json")}
    subprocess.run(
        [*shell, bundle.root / "smoke.sh"], env=environment, stdout=writer, stderr=subprocess.DEVNULL, check=False
    )
    os.close(writer)
    report = Report.model_validate_json((bundle.root / "r.json").read_text())
    assert (report.passed, report.steps[-1].name) == (False, "stopped")
