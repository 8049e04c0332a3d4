"""Google's compiler is found in the documented order, asked what it is, and cannot outlive or outgrow its limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coralforge.compile import local
from coralforge.compile.container import ContainerProgram
from coralforge.compile.local import Ended, LocalProgram, Stop
from coralforge.compile.machine import require_x86_64
from coralforge.compile.program import ask, find_program, tail
from coralforge.containers.spec import ContainerSpec, Finished
from coralforge.errors import CoralforgeError, ExitCode, build_error
from tests.support.interruption import InterruptedPopen
from tests.support.patience import NET, growing_limits, is_alive, wait_until

X86_64 = "enabled\ninterpreter /usr/bin/qemu-x86_64-static\nflags: F\noffset 0\n" + (
    "magic 7f454c4602010100000000000000000002003e00\nmask fffffffffffefe00fffffffffffffffffeffffff\n"
)


def script(folder: Path, text: str, name: str = "program") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(folder: Path, text: str, *arguments: str, seconds: float = NET) -> Ended:
    return LocalProgram(script(folder, text)).run(arguments, folder, seconds)


def written(path: Path) -> bool:
    """Whether a whole line is there: a file exists before its content does."""
    return path.exists() and path.read_text().endswith("\n")


def wait_until_gone(*places: Path) -> None:
    """Until there are none of the processes whose ids the files hold."""
    pids = [int(place.read_text()) for place in places]
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


class TestLocal:
    def test_output_of_both_kinds_and_status_come_back(self, tmp_path: Path) -> None:
        ended = run(tmp_path, 'echo "$1"; echo err >&2; printf end; exit 7', "a b")
        assert (ended.status, ended.output, ended.stopped) == (7, "a b\nerr\nend", None)

    def test_a_signal_counts_as_a_shell_counts_it(self, tmp_path: Path) -> None:
        assert run(tmp_path, "kill -SEGV $$").status == 128 + signal.SIGSEGV

    def test_it_runs_in_the_folder_with_a_home_there_and_no_input(self, tmp_path: Path) -> None:
        os.environ["SECRET_OF_A_USER"] = "x"
        try:
            ended = run(tmp_path, "pwd; echo $HOME; cat; env | grep -c SECRET")
        finally:
            del os.environ["SECRET_OF_A_USER"]
        assert ended.output == f"{tmp_path}\n{tmp_path}\n0\n"

    def test_a_program_that_cannot_be_run_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "binary"
        path.write_bytes(b"\x7fELF of another machine")
        path.chmod(0o755)
        ended = LocalProgram(path).run((), tmp_path, 20)
        assert ended.status in (2, 126, 127)
        assert str(path) in ended.output

    def test_one_that_does_not_end_is_stopped_with_its_children(self, tmp_path: Path) -> None:
        child, itself = tmp_path / "child", tmp_path / "self"
        for seconds in growing_limits():
            ended = run(tmp_path, "sleep 6000 & echo $! > child; echo $$ > self; wait", seconds=seconds)
            assert ended.stopped is Stop.TIME
            if written(itself):
                break
        wait_until_gone(child, itself)

    def test_one_that_ends_does_not_wait_for_a_child_with_its_output(self, tmp_path: Path) -> None:
        ended = run(tmp_path, "sleep 6000 & echo $! > child; echo done")
        assert (ended.status, ended.output, ended.stopped) == (0, "done\n", None)
        wait_until_gone(tmp_path / "child")

    def test_one_that_closes_its_output_is_waited_for(self, tmp_path: Path) -> None:
        ended = run(tmp_path, "exec >&- 2>&-; sleep 0.4; exit 5")
        assert (ended.status, ended.stopped) == (5, None)
        assert run(tmp_path, "exec >&- 2>&-; sleep 6000", seconds=0.4).stopped is Stop.TIME

    def test_one_that_prints_without_end_is_stopped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local, "MAX_OUTPUT", 100_000)
        ended = run(tmp_path, "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done")
        assert ended.stopped is Stop.OUTPUT
        assert len(ended.output) < 300_000

    def test_one_that_writes_without_end_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local, "_LIMITS", 'ulimit -c 0; ulimit -f 8; exec "$0" "$@"')
        ended = run(tmp_path, "cat /dev/zero > big")
        assert ended.status
        assert (tmp_path / "big").stat().st_size <= 8 * 512

    def test_bytes_that_are_no_text_are_replaced(self, tmp_path: Path) -> None:
        assert run(tmp_path, r"printf 'a\377b'").output == "a\ufffdb"

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_at_the_start_leaves_no_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(InterruptedPopen, "started", [], raising=False)
        monkeypatch.setattr("subprocess.Popen", InterruptedPopen)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, "sleep 6000")
        [pid] = InterruptedPopen.started
        wait_until(lambda: not is_alive(pid))

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_leaves_no_process(self, tmp_path: Path) -> None:
        program = script(tmp_path, "sleep 6000 & echo $! > child; echo $$ > self; wait")
        child, itself = tmp_path / "child", tmp_path / "self"
        code = (
            "import sys, pathlib\nfrom coralforge.compile.local import LocalProgram\n"
            "LocalProgram(pathlib.Path(sys.argv[1])).run((), pathlib.Path(sys.argv[2]), 6000)"
        )
        with subprocess.Popen([sys.executable, "-c", code, program, tmp_path], stderr=subprocess.DEVNULL) as process:
            wait_until(lambda: written(itself))
            process.send_signal(signal.SIGINT)
            process.wait(NET)
        wait_until_gone(child, itself)


@dataclass
class FakeRunner:
    """A double of a container engine: prints lines, then ends as it was told."""

    lines: list[str]
    finished: Finished
    specs: list[ContainerSpec] = field(default_factory=list)

    def run(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Finished:
        self.specs.append(spec)
        for line in self.lines:
            on_line(line)
        return self.finished

    def owner(self) -> tuple[int, int]:
        return os.getuid(), os.getgid()


class TestContainer:
    def test_it_sees_its_inputs_and_writes_its_outputs(self, tmp_path: Path) -> None:
        runner = FakeRunner(["one", "two"], Finished(3, False, 1.5))
        ended = ContainerProgram(runner, "image:1").run(("--help",), tmp_path, 9.2)
        assert (ended.status, ended.output, ended.stopped) == (3, "one\ntwo", None)
        [spec] = runner.specs
        assert spec.command == ("timeout", "--signal=KILL", "10", "edgetpu_compiler", "--help")
        assert [(m.source, m.target, m.writable) for m in spec.mounts] == [
            (tmp_path / "in", "/work/in", False),
            (tmp_path / "out", "/work/out", True),
        ]
        assert (spec.image, spec.workdir, spec.network) == ("image:1", "/work", False)
        assert spec.memory_bytes

    @pytest.mark.parametrize(
        ("finished", "stop"),
        [
            (Finished(137, False, 10.1), Stop.TIME),
            (Finished(137, False, 2.0), None),
            (Finished(137, True, 2.0), Stop.MEMORY),
            (Finished(1, False, 10.1), None),
        ],
    )
    def test_why_it_was_killed_is_told_apart(self, finished: Finished, stop: Stop | None, tmp_path: Path) -> None:
        assert ContainerProgram(FakeRunner([], finished), "i").run((), tmp_path, 10).stopped is stop

    def test_output_without_end_stops_it(self, tmp_path: Path) -> None:
        lines = ["x" * 65_000] * 100
        ended = ContainerProgram(FakeRunner(lines, Finished(0, False, 1.0)), "i").run((), tmp_path, 10)
        assert ended.stopped is Stop.OUTPUT
        assert len(ended.output) <= local.MAX_OUTPUT


class TestFinding:
    def no_image(self) -> LocalProgram:
        raise build_error("no network", reason="image-build", remedy="", details="step 3\nstep 4")

    def on_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = script(tmp_path, "true", "edgetpu_compiler")
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return program

    def test_what_was_asked_for_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on_path(tmp_path, monkeypatch)
        mine = script(tmp_path, "true", "mine")
        assert find_program(str(mine), self.no_image) == LocalProgram(mine)

    def test_then_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = self.on_path(tmp_path, monkeypatch)
        assert find_program(None, self.no_image) == LocalProgram(program)

    def test_then_the_image(self) -> None:
        image = ContainerProgram(FakeRunner([], Finished(0, False, 0.0)), "i")
        assert find_program(None, lambda: image) is image

    def test_a_relative_path_is_kept_when_the_folder_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = script(tmp_path, "true", "mine")
        monkeypatch.chdir(tmp_path)
        assert find_program("./mine", self.no_image) == LocalProgram(mine)

    def test_without_any_all_that_was_tried_is_said(self) -> None:
        with pytest.raises(CoralforgeError) as caught:
            find_program(None, self.no_image)
        error = caught.value
        assert (error.reason, error.code) == ("compiler-missing", ExitCode.MISSING)
        assert error.details.splitlines() == [
            "no --compiler was given",
            "no edgetpu_compiler is on PATH",
            "image: no network",
            "step 3",
            "step 4",
        ]
        assert "--compiler PATH" in error.remedy
        assert "docs/compile.md" in error.remedy

    @pytest.mark.parametrize("kind", ["absent", "folder", "text", "", "x" * 300, "loop", "~nobody/x"])
    def test_what_is_no_program_is_refused(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "text").write_text("no program")
        (tmp_path / "loop").symlink_to("loop")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CoralforgeError, match="--compiler") as caught:
            find_program(kind, self.no_image)
        assert (caught.value.reason, caught.value.code) == ("compiler-path", ExitCode.USER)


class TestAsking:
    def test_version_and_flags_are_learnt(self, tmp_path: Path) -> None:
        text = "echo Edge TPU Compiler version 16.0.384591198; echo '  -o, --out_dir'; echo '  -d, --search_delegate'"
        compiler = ask(LocalProgram(script(tmp_path, text)), tmp_path)
        assert compiler.version == "16.0.384591198"
        assert "search_delegate" in compiler.flags
        assert "num_segments" not in compiler.flags

    @pytest.mark.parametrize("text", ["echo hello", "true", "exit 3", "printf '\\033[2J\\377'"])
    def test_another_program_is_refused(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(CoralforgeError, match="does not answer as the Edge TPU compiler") as caught:
            ask(LocalProgram(script(tmp_path, text)), tmp_path)
        assert (caught.value.reason, caught.value.code) == ("compiler-unusable", ExitCode.MISSING)
        assert "\x1b" not in str(caught.value)

    def test_the_end_of_an_output_is_fit_for_a_terminal(self) -> None:
        output = "first\n" * 50 + "\n\n\x1b[31mred\x07\n" + "x" * 1000 + "\n"
        assert tail(output, 3) == ["first", " [31mred", "x" * 300]


class TestMachine:
    @pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
    def test_x86_64_is_taken(self, machine: str, tmp_path: Path) -> None:
        require_x86_64(machine, tmp_path / "absent")

    @pytest.mark.parametrize("machine", ["aarch64", "armv7l", "riscv64", "arm64"])
    def test_others_are_refused(self, machine: str, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "absent"):
            with pytest.raises(CoralforgeError, match=f"this machine is {machine}") as caught:
                require_x86_64(machine, folder)
            assert (caught.value.reason, caught.value.code) == ("compiler-machine", ExitCode.MISSING)

    def test_an_emulator_will_do(self, tmp_path: Path) -> None:
        (tmp_path / "register").write_text("")
        (tmp_path / "anything").write_text(X86_64)
        require_x86_64("aarch64", tmp_path)

    @pytest.mark.parametrize(
        "text",
        [
            X86_64.replace("enabled", "disabled"),
            X86_64.replace("02003e00", "0200b700"),
            X86_64.replace("7f454c46", "7f454c47"),
            "enabled\nmagic\n",
            "",
        ],
        ids=["disabled", "for aarch64", "not ELF", "without magic", "empty"],
    )
    def test_another_handler_will_not(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "handler").write_text(text)
        with pytest.raises(CoralforgeError):
            require_x86_64("aarch64", tmp_path)
