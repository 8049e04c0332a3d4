"""The engine's side of the worker. The workers here are STAND-INS: small scripts, without TensorFlow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Output, Progress, Recorder, Step
from coralforge.quantize.process import Limits, run_worker
from coralforge.quantize.worker.request import Request, read_request
from coralforge.quantize.worker.wire import MAX_LINE, READ_MODEL, decode, to_error
from tests.support.interruption import InterruptedPopen
from tests.support.patience import NET, growing_limits, is_alive, wait_until

STAND_IN = f"""#!{sys.executable} -I
# A stand-in for the worker with TensorFlow. Arguments: -I WORKER REQUEST EVENTS_FD PARENT
import json, os, resource, signal, subprocess, sys, time
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
place, number, parent = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
def send(kind, **fields):
    os.write(number, json.dumps({{"event": kind, **fields}}).encode() + b"\\n")
def step(name):
    send("step", name=name)
"""
PLENTY = Limits(NET, 4 << 30)


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., tuple[dict[str, object], Recorder]]:
    """Runs a stand-in of the given text."""

    def run(body: str, limits: Limits = PLENTY) -> tuple[dict[str, object], Recorder]:
        python, staging = tmp_path / "python", tmp_path / "staging"
        python.write_text(STAND_IN + textwrap.dedent(body))
        python.chmod(0o755)
        staging.mkdir(exist_ok=True)
        recorder = Recorder()
        return run_worker(python, Request("/m/net.h5", str(staging)), limits, recorder), recorder

    return run


def failure(run: Callable[[], object]) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as raised:
        run()
    return raised.value


class TestEvents:
    """What the worker says reaches the user."""

    def test_a_run_that_goes_well(self, work: Callable[..., tuple[dict[str, object], Recorder]]) -> None:
        result, recorder = work("""
            step("one")
            send("progress", name="one", done=1, total=2)
            print("chatter")
            send("note", text="look", level="warning")
            step("two")
            send("result", result={"a": [1]})
        """)
        assert result == {"a": [1]}
        events = [event for event in recorder.events if not isinstance(event, Output)]
        assert events[:3] == [Step("one"), Progress("one", 1, 2, "samples"), Note("look", "warning")]
        assert [type(event) for event in events[3:]] == [Step, Step, Step]
        assert [event.name for event in events[3:] if isinstance(event, Step)] == ["one", "two", "two"]
        assert Output("quantize", "chatter") in recorder.events

    def test_it_gets_the_request_and_a_place_of_its_own(
        self, work: Callable[..., tuple[dict[str, object], Recorder]], tmp_path: Path
    ) -> None:
        result, _ = work("""
            names = ("TMPDIR", "KERAS_HOME")
            places = [os.environ[name] for name in names] + [os.getcwd()]
            send("result", result={"request": json.load(open(place)), "places": places, "parent": parent})
        """)
        staging = str(tmp_path / "staging")
        assert result["places"] == [staging] * 3
        assert result["parent"] == os.getpid()
        request = result["request"]
        assert isinstance(request, dict)
        assert request["model"] == "/m/net.h5"

    def test_an_error_is_told_as_it_is(self, work: Callable[..., tuple[dict[str, object], Recorder]]) -> None:
        error = failure(
            lambda: work("""
            send("error", brief="bad \\x1b[2J", reason="model-code", code=2, details="a\\nb", remedy="c")
        """)
        )
        assert (error.brief, error.reason, error.code) == ("bad \ufffd[2J", "model-code", ExitCode.USER)
        assert (error.details, error.remedy) == ("a\nb", "c")

    @pytest.mark.parametrize(
        "line",
        [b"", b"{", b"[]", b'"step"', b'{"event": "other"}', b'{"event": "step"}', b'{"event": "step", "name": 3}'],
    )
    def test_what_is_no_event(self, line: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            decode(line)

    def test_an_exit_code_that_does_not_exist(self) -> None:
        fields = {"brief": "", "reason": "", "details": "", "remedy": ""}
        with pytest.raises(ValueError, match="77"):
            to_error({"code": 77, **fields})


class TestCrashes:
    """Whatever becomes of the worker is one error."""

    @pytest.mark.parametrize(
        ("body", "reason", "said"),
        [
            ("step('x'); os.kill(os.getpid(), signal.SIGSEGV)", "quantize-crashed", "crashed (SIGSEGV)"),
            ("step('x'); os.kill(os.getpid(), signal.SIGKILL)", "quantize-memory", "out of memory"),
            ("step('x'); print('MemoryError'); sys.exit(1)", "quantize-memory", "out of memory"),
            ("step('x'); os.write(2, b'terminate: std::bad_alloc'); os.abort()", "quantize-memory", "out of memory"),
            ("step('x'); sys.exit(3)", "quantize-crashed", "failed (exit status 3)"),
            ("step('x')", "quantize-crashed", "failed (exit status 0)"),
            ("step('x'); send('result', result={}); sys.exit(1)", "quantize-crashed", "failed (exit status 1)"),
            ("step('x'); os.write(number, b'nonsense\\n'); time.sleep(6000)", "quantize-crashed", "no event"),
            (f"step('x')\nwhile True: os.write(number, b'x' * {MAX_LINE})", "quantize-crashed", "no event"),
        ],
    )
    def test_with_the_step_and_the_last_lines(
        self, work: Callable[..., tuple[dict[str, object], Recorder]], body: str, reason: str, said: str
    ) -> None:
        error = failure(lambda: work("print('last words', flush=True)\n" + body))
        assert (error.reason, error.code, said in error.brief) == (reason, ExitCode.BUILD, True)
        step, lines = error.details.splitlines()
        assert step == "step: x"
        log = Path(lines.removeprefix("its last lines: "))
        assert "last words" in log.read_text()
        log.unlink()

    @pytest.mark.parametrize(("number", "said"), [("SIGSEGV", "crashes"), ("SIGALRM", "keeps busy for ever")])
    def test_while_only_the_model_is_read_it_is_the_models_fault(
        self, work: Callable[..., tuple[dict[str, object], Recorder]], number: str, said: str
    ) -> None:
        error = failure(lambda: work(f"step({READ_MODEL!r}); os.kill(os.getpid(), signal.{number})"))
        assert (error.reason, error.code) == ("model-invalid", ExitCode.USER)
        assert f"/m/net.h5 is not a valid model: it {said} the library" in error.brief

    def test_a_program_that_does_not_start(self, tmp_path: Path) -> None:
        error = failure(lambda: run_worker(tmp_path / "absent", Request("m", str(tmp_path)), PLENTY, Recorder()))
        assert (error.reason, "absent cannot be started" in error.brief) == ("quantize-crashed", True)

    def test_endless_output_costs_no_memory_and_is_not_waited_for(
        self, work: Callable[..., tuple[dict[str, object], Recorder]]
    ) -> None:
        result, recorder = work("""
            os.write(1, b"x" * 3_000_000)
            send("result", result={})
        """)
        assert result == {}
        assert max(len(event.line) for event in recorder.events if isinstance(event, Output)) < 200_000


class TestLimits:
    """Time, memory and Ctrl-C end it."""

    def test_time(self, work: Callable[..., tuple[dict[str, object], Recorder]]) -> None:
        for seconds in growing_limits():
            error = failure(partial(work, "step('x'); time.sleep(6000)", Limits(seconds, 4 << 30)))
            assert (error.reason, error.code) == ("quantize-timeout", ExitCode.BUILD)
            if error.details != "step: start":
                break
        assert error.details == "step: x"
        assert "--timeout" in error.remedy

    def test_memory(self, work: Callable[..., tuple[dict[str, object], Recorder]]) -> None:
        error = failure(lambda: work("step('x'); a = b'x' * (300 << 20); time.sleep(6000)", Limits(NET, 200 << 20)))
        assert (error.reason, error.code) == ("quantize-memory", ExitCode.BUILD)
        assert "--memory" in error.remedy

    def test_a_child_that_outlives_the_worker_is_not_waited_for(
        self, work: Callable[..., tuple[dict[str, object], Recorder]], tmp_path: Path
    ) -> None:
        result, _ = work(f"""
            child = subprocess.Popen(["sleep", "6000"])
            open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
            send("result", result={{}})
        """)
        assert result == {}
        pid = int((tmp_path / "pid").read_text())
        wait_until(lambda: not is_alive(pid))

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_at_the_start_ends_the_worker(
        self, work: Callable[..., tuple[dict[str, object], Recorder]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(InterruptedPopen, "started", [], raising=False)
        monkeypatch.setattr("subprocess.Popen", InterruptedPopen)
        with pytest.raises(KeyboardInterrupt):
            work("time.sleep(6000)")
        [pid] = InterruptedPopen.started
        wait_until(lambda: not is_alive(pid))

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_ends_the_worker(
        self, work: Callable[..., tuple[dict[str, object], Recorder]], tmp_path: Path
    ) -> None:
        place = tmp_path / "pid"

        def interrupt() -> None:
            wait_until(lambda: place.exists() and place.read_text() != "")
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            work(f"open({str(place)!r}, 'w').write(str(os.getpid())); time.sleep(6000)")
        thread.join()
        wait_until(lambda: not is_alive(int(place.read_text())))

    def test_the_real_worker_ends_with_whoever_started_it(self, tmp_path: Path) -> None:
        """The real one, waiting for a pipe that nobody writes to; its parent is killed."""
        os.mkfifo(tmp_path / "model")
        request = str(tmp_path / "request.json")
        Path(request).write_text(Request(str(tmp_path / "model"), str(tmp_path), random=1).text())
        worker = Path(run_worker.__code__.co_filename).parent / "worker" / "__main__.py"
        parent = f"""
import os, subprocess, time
child = subprocess.Popen([{sys.executable!r}, "-I", {str(worker)!r}, {request!r}, "2", str(os.getpid())])
print(child.pid, flush=True)
time.sleep(6000)
"""
        with subprocess.Popen(
            [sys.executable, "-c", parent], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            pid = int(process.stdout.readline())
            assert b"step" in process.stderr.readline(), "it is at work"
            process.kill()
        wait_until(lambda: not is_alive(pid))


def test_a_request_survives_its_file(tmp_path: Path) -> None:
    request = Request("m", "s", "x", 3, shape=(1, 2), trust=True)
    (tmp_path / "r.json").write_text(request.text())
    assert read_request(tmp_path / "r.json") == request


@pytest.mark.parametrize("change", [{"format": 0}, {"more": 1}])
def test_a_request_of_another_version(tmp_path: Path, change: dict[str, int]) -> None:
    (tmp_path / "r.json").write_text(Request("m", "s").text())
    data = json.loads((tmp_path / "r.json").read_text())
    (tmp_path / "r.json").write_text(json.dumps({**data, **change}))
    with pytest.raises(ValueError, match="another version"):
        read_request(tmp_path / "r.json")
