"""`invoke compile` for hardware, as a user runs it. The compiler is a STAND-IN that prints what Google's prints and
hands out what that made earlier; the last test runs the real one where CORALFORGE_TEST_COMPILER names it.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from coralforge.compile.simulator import compile_for_simulator
from coralforge.config.load import load_release
from coralforge.config.release import Source
from coralforge.tflite import schema
from coralforge.tflite.model import read_model
from tests.conftest import ROOT
from tests.integration.conftest import Checkout, Ran
from tests.support.model_maker import Maker
from tests.support.package_maker import Program, custom_options, package
from tests.support.patience import NET, growing_limits, is_alive, wait_until

STANDIN = ROOT / "tests/integration/standin/standin_edgetpu_compiler.py"
MOBILENET, LSTM = "mobilenet_v1_0.25_128_quant", "keras_lstm_mnist_ptq"
DEEPLAB = "deeplabv3_mnv2_dm05_pascal_quant"

Standin = Callable[..., Path]


@pytest.fixture
def standin(tmp_path: Path, testdata: Path) -> Standin:
    """Makes a program that passes for edgetpu_compiler. Like the real one it is a script around another program."""

    def make(scenario: str = "ok", version: str = "16.0", output: Path | None = None, name: str = "standin") -> Path:
        values = {
            "STANDIN_SCENARIO": scenario,
            "STANDIN_VERSION": version,
            "STANDIN_DATA": str(testdata),
            "STANDIN_STATE": str(tmp_path / "state"),
        }
        if output is not None:
            values["STANDIN_OUTPUT"] = str(output)
        program = tmp_path / name
        lines = [f"export {key}={shlex.quote(value)}" for key, value in values.items()]
        program.write_text("\n".join(["#!/bin/bash", *lines, f'{sys.executable} {STANDIN} "$@"']) + "\n")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def shelf(tmp_path: Path, testdata: Path) -> Path:
    """A folder with plain models that a user may compile."""
    folder = tmp_path / "my models"
    folder.mkdir()
    for name in (MOBILENET, LSTM, DEEPLAB):
        shutil.copyfile(testdata / f"{name}.tflite", folder / f"{name}.tflite")
    return folder


def compile_one(cli: Checkout, model: Path, compiler: Path, *options: str) -> Ran:
    return cli.invoke("compile", "--model", str(model), "--compiler", str(compiler), *options, timeout=NET)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(ran: Ran, reason: str, status: int, folder: Path, before: set[str]) -> None:
    """One clear error, and nothing left behind."""
    assert f"[{reason}, exit {status}]" in ran.stderr
    assert ran.status == status
    assert ran.stderr.count("error:") == 1
    assert "what to do:" in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
    assert names(folder) == before


class TestSuccess:
    def test_all_on_the_tpu(self, cli: Checkout, standin: Standin, shelf: Path, testdata: Path) -> None:
        ran = compile_one(cli, shelf / f"{MOBILENET}.tflite", standin())
        assert ran.status == 0, ran.stderr
        made = shelf / f"{MOBILENET}_edgetpu.tflite"
        assert made.read_bytes() == (testdata / made.name).read_bytes()
        for line in (
            "Needs Edge TPU runtime version: 12",
            "Mapped to the Edge TPU: 31 of 31 operations (100.0%)",
            "CONV_2D                        15         Mapped to Edge TPU",
        ):
            assert f"\n{line}\n" in ran.stdout
        assert "warning" not in ran.stdout + ran.stderr
        log = (shelf / f"{MOBILENET}_edgetpu.log").read_text()
        assert f"Input: {MOBILENET}.tflite\n" in log
        data = json.loads((shelf / f"{MOBILENET}_edgetpu.compile.json").read_text())
        assert (data["mapped"], data["operations"], data["compiler"]["version"]) == (31, 31, "16.0.384591198")

    @pytest.mark.parametrize("version", ["2.0", "14.1", "15.0"])
    def test_by_an_older_compiler(self, version: str, cli: Checkout, standin: Standin, shelf: Path) -> None:
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin(version=version))
        assert ran.status == 0, ran.stderr
        assert "Mapped to the Edge TPU: 6 of 6 operations" in ran.stdout
        assert f"Edge TPU Compiler {version}." in ran.stdout

    def test_a_part_on_the_cpu_is_said_in_plain_words(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        ran = compile_one(cli, shelf / f"{DEEPLAB}.tflite", standin())
        assert ran.status == 0, ran.stderr
        assert "Mapped to the Edge TPU: 64 of 72 operations (88.9%)" in ran.stdout
        assert "warning: 8 of 72 operations run on the CPU, which is 10 to 50 times slower" in ran.stdout
        assert "CONV_2D                        2          More than one subgraph is not supported" in ran.stdout

    def test_several_models_together(self, cli: Checkout, standin: Standin, shelf: Path, tmp_path: Path) -> None:
        models = [shelf / f"{MOBILENET}.tflite", shelf / f"{LSTM}.tflite"]
        ran = compile_one(
            cli, models[0], standin(), "--model", str(models[1]), "--out-dir", str(tmp_path / "new/out")
        )
        assert ran.status == 0, ran.stderr
        assert names(tmp_path / "new/out") == {
            f"{name}_edgetpu.{end}" for name in (MOBILENET, LSTM) for end in ("tflite", "log", "compile.json")
        }
        assert ran.stdout.count("Mapped to the Edge TPU: ") == 2
        assert "expected (estimated: the compiler decides), in the order of the models:\n  1. mobilenet" in ran.stderr
        assert "Parameters on one Edge TPU, as compiled, in the order of the models:\n  1. mobilenet" in ran.stdout
        assert "warning: their tokens differ" in ran.stdout  # the STAND-IN hands out what was compiled apart
        data = json.loads((tmp_path / "new/out" / f"{LSTM}_edgetpu.compile.json").read_text())
        assert [one["name"] for one in data["together"]] == [f"{MOBILENET}.tflite", f"{LSTM}.tflite"]

    def test_segments(self, cli: Checkout, standin: Standin, shelf: Path, testdata: Path, tmp_path: Path) -> None:
        """The first segment is all of the model, the second passes on what that makes: enough for a chain."""
        made = tmp_path / "made"
        shutil.copyfile(testdata / f"{LSTM}_edgetpu.tflite", f"{made}.0")
        Path(f"{made}.1").write_bytes(passing_on())
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin(output=made), "--segments", "2")
        assert ran.status == 0, ran.stderr
        assert {f"{LSTM}_segment_{i}_of_2_edgetpu.tflite" for i in (0, 1)} <= names(shelf)
        assert ran.stdout.count("Output model: ") == 2
        assert "coralforge has no runner for that" in ran.stdout

    def test_a_search_where_activations_are_too_large(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin("activations"))
        assert ran.status == 0, ran.stderr
        assert "warning: large activations; another try with --search-delegate" in ran.stderr
        assert "note: large activations; another try with --search-delegate" in ran.stdout

    def test_an_internal_error_that_goes_away(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin("internal", "15.0"))
        assert ran.status == 0, ran.stderr
        assert "note: internal compiler error; another try (3 of 5)" in ran.stdout

    def test_subgraphs_that_fail_are_given_up(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin("subgraphs", "15.0"), "--multiple-subgraphs")
        assert ran.status == 0, ran.stderr
        assert "another try without --multiple-subgraphs" in ran.stdout

    def test_nothing_on_the_tpu_where_a_user_insists(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin("cpu_only"), "--allow-cpu")
        assert ran.status == 0, ran.stderr
        assert "warning: nothing of this model runs on the Edge TPU" in ran.stdout

    def test_the_program_on_path(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        program = standin(name="edgetpu_compiler")
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        ran = cli.invoke("compile", "--model", str(shelf / f"{LSTM}.tflite"), timeout=NET, PATH=path)
        assert ran.status == 0, ran.stderr
        assert f"({program})" in ran.stdout


class TestFailure:
    @pytest.mark.parametrize(
        ("scenario", "reason", "status"),
        [
            ("cpu_only", "model-not-mapped", 2),
            ("op_version", "model-op-version", 2),
            ("not_quantized", "model-not-quantized", 2),
            ("dynamic", "model-dynamic", 2),
            ("no_output", "compiled-missing", 5),
            ("link", "compiled-missing", 5),
            ("internal_always", "compiler-internal", 5),
            ("exception", "compiler-internal", 5),
            ("crash", "compiler-internal", 5),
            ("garbage", "compiler-failed", 5),
            ("silent", "compiler-failed", 5),
            ("liar", "compiler-failed", 5),
            ("flood", "compiler-output", 5),
            ("stranger", "compiler-unusable", 3),
        ],
    )
    def test_each_is_one_clear_error(
        self, scenario: str, reason: str, status: int, cli: Checkout, standin: Standin, shelf: Path
    ) -> None:
        before = names(shelf)
        ran = compile_one(cli, shelf / f"{MOBILENET}.tflite", standin(scenario))
        refused(ran, reason, status, shelf, before)
        assert not set(ran.stderr) & set("\x1b\x07")

    def test_another_models_output(self, cli: Checkout, standin: Standin, shelf: Path, testdata: Path) -> None:
        before, other = names(shelf), testdata / f"{LSTM}_edgetpu.tflite"
        ran = compile_one(cli, shelf / f"{MOBILENET}.tflite", standin(output=other))
        refused(ran, "compiled-interface", 5, shelf, before)
        assert "input 0: UINT8 1x128x128x3" in ran.stderr

    @pytest.mark.parametrize("what", ["simulated", "runtime"])
    def test_what_no_board_would_run(
        self, what: str, cli: Checkout, standin: Standin, shelf: Path, tmp_path: Path
    ) -> None:
        before, made = names(shelf), tmp_path / "made.tflite"
        simulated = compile_for_simulator(read_model(shelf / f"{LSTM}.tflite")).data
        made.write_bytes(simulated if what == "simulated" else for_runtime(simulated, 15))
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin(output=made))
        reason, status = ("compiled-invalid", 5) if what == "simulated" else ("model-runtime", 2)
        refused(ran, reason, status, shelf, before)

    def test_a_runtime_above_that_of_the_release(self, project: Checkout, standin: Standin, shelf: Path) -> None:
        release = project.root / "releases/2.14.1.yaml"
        release.write_text(release.read_text().replace("edgetpu_runtime: 14", "edgetpu_runtime: 11"))
        before = names(shelf)
        ran = compile_one(project, shelf / f"{LSTM}.tflite", standin())
        refused(ran, "model-runtime", 2, shelf, before)
        assert "compile it with --min-runtime 11" in ran.stderr

    def test_the_compilers_own_timeout(self, cli: Checkout, standin: Standin, shelf: Path) -> None:
        before = names(shelf)
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin("timeout"), "--timeout", "1")
        refused(ran, "compiler-timeout", 5, shelf, before)

    def test_a_compiler_that_hangs(self, cli: Checkout, standin: Standin, shelf: Path, tmp_path: Path) -> None:
        """Version 15 has no timeout of its own."""
        before, state, compiler = names(shelf), tmp_path / "state", standin("hang", "15.0")
        for seconds in growing_limits():
            ran = compile_one(cli, shelf / f"{LSTM}.tflite", compiler, "--timeout", str(math.ceil(seconds)))
            refused(ran, "compiler-timeout", 5, shelf, before)
            if state.exists():
                break
        wait_until(lambda: processes(state) == [])

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c(self, cli: Checkout, standin: Standin, shelf: Path, tmp_path: Path) -> None:
        before = names(shelf)
        command = ["compile", "--model", str(shelf / f"{LSTM}.tflite"), "--compiler", str(standin("hang"))]
        program = Path(sys.executable).parent / "invoke"
        with subprocess.Popen(
            [program, *command], cwd=cli.root, env=cli.environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            wait_until(lambda: len(processes(tmp_path / "state")) == 2)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=NET)
        assert process.returncode == 130
        assert "cancelled: stopped cleanly" in stderr
        wait_until(lambda: processes(tmp_path / "state") == [])
        assert names(shelf) == before

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (["--segments", "many"], "compile-option"),
            (["--min-runtime", "15"], "compile-option"),
            (["--min-runtime", "9"], "compile-option"),
            (["--timeout", "-5"], "compile-option"),
            (["--search-step", "2"], "compile-option"),
            (["--segments", "2"], "compile-option"),
            (["--output", "/nonexistent/x.tflite"], "model-write"),
            (["--output", "~nobody/x.tflite"], "model-write"),
            (["--output", "x" * 300], "model-write"),
            (["--target", "gpu"], "compile-target"),
            (["--target", "simulator", "--segments", "2"], "compile-option"),
            (["--release", "1.2.3"], "release-unknown"),
        ],
    )
    def test_options_that_make_no_sense(
        self, options: list[str], reason: str, cli: Checkout, standin: Standin, shelf: Path
    ) -> None:
        before = names(shelf)
        ran = compile_one(cli, shelf / f"{LSTM}.tflite", standin(version="2.0"), *options)
        refused(ran, reason, 2, shelf, before)


def test_the_release_says_what_its_libedgetpu_takes(libedgetpu_source: tuple[str, ...]) -> None:
    release = load_release(ROOT / "releases", "2.14.1")
    header = runtime_header(libedgetpu_source, release.sources["libedgetpu"])
    found = re.search(r"\bkCurrent = (\d+),", header)
    assert found is not None
    assert int(found[1]) == release.edgetpu_runtime


@pytest.mark.edgetpu_compiler
def test_the_real_compiler(cli: Checkout, shelf: Path, testdata: Path) -> None:
    """What it makes has the operations on the TPU that Google's published models have."""
    compiler = Path(os.environ["CORALFORGE_TEST_COMPILER"])
    for name, mapped in ((MOBILENET, "31 of 31"), (LSTM, "6 of 6"), (DEEPLAB, "64 of 72")):
        ran = compile_one(cli, shelf / f"{name}.tflite", compiler)
        assert ran.status == 0, ran.stderr
        assert f"Mapped to the Edge TPU: {mapped} operations" in ran.stdout
        assert "that coralforge does not know" not in ran.stdout


def runtime_header(options: tuple[str, ...], source: Source) -> str:
    """libedgetpu's api/runtime_version.h, from a checkout or from an archive in a mirror."""
    option, value = options
    name = "api/runtime_version.h"
    if option == "--source":
        return Path(value.partition("=")[2], name).read_text()
    place = source.places[0].filename
    data = requests.get(f"{value}/{place}", timeout=60).content if "://" in value else Path(value, place).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = next(member for member in tar if member.name.endswith(f"/{name}"))
        stream = tar.extractfile(member)
        assert stream is not None
        return stream.read().decode()


def passing_on() -> bytes:
    """A segment that takes and gives what the LSTM gives."""
    make = Maker()
    source, target = (make.tensor(name, [1, 10], "UINT8", scales=[1 / 256]) for name in ("source", "target"))
    make.operator("RESHAPE", [source], [target])
    return make.pack([source], [target])


def for_runtime(simulated: bytes, runtime: int) -> bytes:
    """A model compiled for the simulator with a package for a runtime of hardware in its operator."""
    native = schema.unpack(simulated)
    options = custom_options(package([Program(parameters=8).packed()], runtime))
    native.subgraphs[0].operators[0].customOptions = schema.numbers(options)
    return schema.pack(native)


def processes(state: Path) -> list[int]:
    """Those of the stand-in that are still there."""
    return [int(pid) for pid in state.read_text().split() if is_alive(int(pid))] if state.exists() else []
