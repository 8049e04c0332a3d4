"""`invoke compile` for hardware, as a user runs it. The compiler is a STAND-IN: it prints what Google's prints, and
hands out what Google's made of the same models earlier.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.models.tflite import read_model
from tests.conftest import ROOT
from tests.integration.conftest import Checkout, Ran

pytestmark = pytest.mark.testdata
STANDIN = ROOT / "tests/integration/standin/standin_edgetpu_compiler.py"
MOBILENET, LSTM = "mobilenet_v1_0.25_128_quant", "keras_lstm_mnist_ptq"
DEEPLAB = "deeplabv3_mnv2_dm05_pascal_quant"
WRITTEN = ("_edgetpu.compile.json", "_edgetpu.log", "_edgetpu.tflite")


@dataclass(frozen=True)
class Desk:
    """A folder with models, and a compiler for which a test sets the scene."""

    cli: Checkout
    folder: Path
    testdata: Path

    def model(self, name: str) -> Path:
        """A copy of a plain model."""
        return Path(shutil.copy(self.testdata / f"{name}.tflite", self.folder))

    def compiler(self, scenario: str = "ok", **scene: str) -> Path:
        """The stand-in, in this scenario."""
        scene = {"DATA": str(self.testdata), "STATE": str(self.folder / "state"), "SCENARIO": scenario, **scene}
        words = " ".join(f"STANDIN_{name}='{value}'" for name, value in scene.items())
        program = self.folder / "standin"
        program.write_text(f'#!/bin/sh\n{words} exec {sys.executable} {STANDIN} "$@"\n')
        program.chmod(0o755)
        return program

    def run(self, compiler: Path, *models: Path, options: tuple[str, ...] = ()) -> Ran:
        """Compile."""
        named = [word for model in models for word in ("--model", str(model))]
        ran = self.cli.invoke("compile", *named, "--compiler", str(compiler), *options, timeout=120)
        assert "Traceback" not in ran.stderr
        return ran

    @property
    def made(self) -> set[str]:
        """What a run left in the folder."""
        given = {f"{name}.tflite" for name in (MOBILENET, LSTM, DEEPLAB)} | {"standin", "state", "coralforge"}
        return {path.name for path in self.folder.iterdir()} - given


@pytest.fixture
def desk(cli: Checkout, tmp_path: Path, testdata: Path) -> Desk:
    return Desk(cli, tmp_path, testdata)


@pytest.mark.parametrize("version", ["2.0", "14.1", "15.0", "16.0"])
@pytest.mark.parametrize("name", [MOBILENET, LSTM])
def test_a_model_is_compiled_and_told_of(desk: Desk, name: str, version: str) -> None:
    ran = desk.run(desk.compiler(VERSION=version), desk.model(name))
    assert ran.status == 0, ran.stderr
    assert desk.made == {f"{name}{ending}" for ending in WRITTEN}
    made = desk.folder / f"{name}_edgetpu.tflite"
    assert made.read_bytes() == (desk.testdata / made.name).read_bytes()
    data = json.loads(made.with_suffix(".compile.json").read_text())
    assert (data["fraction"], data["mapped"]) == (1.0, data["operations"])
    assert data["compiler"]["version"].startswith(f"{version}.")
    assert 10 <= data["runtime"] <= 14
    assert "(100.0%)" in ran.stdout
    assert str(desk.folder / "state") not in ran.stdout + json.dumps(data)


def test_what_stays_on_the_cpu_is_a_warning_and_a_number(desk: Desk) -> None:
    ran = desk.run(desk.compiler(), desk.model(DEEPLAB))
    assert ran.status == 0, ran.stderr
    data = json.loads((desk.folder / f"{DEEPLAB}_edgetpu.compile.json").read_text())
    assert (data["mapped"], data["operations"]) == (64, 72)
    assert "8 of 72 operations run on the CPU, which is 10 to 50 times slower" in ran.stdout
    assert "not mapped due to some unspecified limitation" in ran.stdout


def test_several_models_are_compiled_together(desk: Desk) -> None:
    out = desk.folder / "out"
    ran = desk.run(desk.compiler(), desk.model(MOBILENET), desk.model(LSTM), options=("--out-dir", str(out)))
    assert ran.status == 0, ran.stderr
    assert {path.name for path in out.iterdir()} == {f"{n}{e}" for n in (MOBILENET, LSTM) for e in WRITTEN}


def test_a_failure_of_the_compilers_own_is_tried_again_and_told(desk: Desk) -> None:
    ran = desk.run(desk.compiler("internal", VERSION="15.0"), desk.model(MOBILENET))
    assert ran.status == 0, ran.stderr
    assert (desk.folder / "state").read_text() == "3"
    notes = json.loads((desk.folder / f"{MOBILENET}_edgetpu.compile.json").read_text())["notes"]
    assert any("internal compiler error" in note for note in notes)


def test_large_activations_are_searched_around(desk: Desk) -> None:
    ran = desk.run(desk.compiler("activations"), desk.model(MOBILENET))
    assert ran.status == 0, ran.stderr
    assert "--search-delegate" in ran.stdout + ran.stderr
    data = json.loads((desk.folder / f"{MOBILENET}_edgetpu.compile.json").read_text())
    assert data["options"]["search_delegate"] is True


@pytest.mark.parametrize(
    ("scenario", "status", "reason"),
    [
        ("cpu_only", 2, "model-not-mapped"),
        ("no_output", 5, "compiled-missing"),
        ("link", 5, "compiled-missing"),
        ("op_version", 2, "model-op-version"),
        ("not_quantized", 2, "model-not-quantized"),
        ("dynamic", 2, "model-dynamic"),
        ("internal_always", 5, "compiler-internal"),
        ("exception", 5, "compiler-internal"),
        ("crash", 5, "compiler-internal"),
        ("garbage", 5, "compiler-failed"),
        ("silent", 5, "compiler-failed"),
        ("liar", 5, "compiler-failed"),
        ("flood", 5, "compiler-output"),
        ("stranger", 3, "compiler-unusable"),
    ],
)
def test_whatever_fails_is_one_error_and_leaves_nothing(desk: Desk, scenario: str, status: int, reason: str) -> None:
    ran = desk.run(desk.compiler(scenario), desk.model(MOBILENET))
    assert (ran.status, f"[{reason}, exit {status}]" in ran.stderr) == (status, True), ran.stderr
    assert desk.made == set()
    assert "\x1b" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (f"{LSTM}_edgetpu.tflite", "compiled-interface"),
        (f"{MOBILENET}.tflite", "model-not-mapped"),
        ("cat.bmp", "compiled-invalid"),
    ],
)
def test_a_wrong_file_is_not_taken_whatever_the_compiler_says(desk: Desk, output: str, reason: str) -> None:
    ran = desk.run(desk.compiler(OUTPUT=str(desk.testdata / output)), desk.model(MOBILENET))
    assert f"[{reason}, " in ran.stderr
    assert desk.made == set()


def test_a_simulated_model_is_no_output_of_the_compiler(desk: Desk) -> None:
    model = desk.model(MOBILENET)
    assert desk.cli.invoke("compile", "--model", str(model), "--target", "simulator").status == 0
    simulated = model.with_name(f"{MOBILENET}_edgetpu-sim.tflite")
    ran = desk.run(desk.compiler(OUTPUT=str(simulated)), model)
    assert "[compiled-invalid, exit 5]" in ran.stderr


def test_a_model_for_a_newer_runtime_than_the_release_has_is_refused(desk: Desk, project: Checkout) -> None:
    release = project.root / "releases/2.14.1.yaml"
    release.write_text(release.read_text().replace("edgetpu_runtime: 14", "edgetpu_runtime: 11"))
    ran = Desk(project, desk.folder, desk.testdata).run(desk.compiler(), desk.model(MOBILENET))
    assert ran.status == 2
    assert "[model-runtime, exit 2]" in ran.stderr
    assert desk.made == set()


def test_a_compiler_that_does_not_end_is_ended(desk: Desk) -> None:
    ran = desk.run(desk.compiler("hang", VERSION="15.0"), desk.model(MOBILENET), options=("--timeout", "2"))
    assert "[compiler-timeout, exit 5]" in ran.stderr
    assert desk.made == set()
    require_gone(desk.folder / "state")


def test_ctrl_c_leaves_no_process_and_no_file(desk: Desk) -> None:
    program = Path(sys.executable).parent / "invoke"
    words = ["compile", "--model", str(desk.model(MOBILENET)), "--compiler", str(desk.compiler("hang"))]
    command = [str(program), *words]
    with subprocess.Popen(
        command, cwd=desk.cli.root, env=desk.cli.environment(), stderr=subprocess.PIPE, text=True
    ) as ran:
        state = desk.folder / "state"
        for _ in range(300):
            if state.exists() and len(state.read_text().split()) == 2:
                break
            time.sleep(0.1)
        ran.send_signal(signal.SIGINT)
        _, said = ran.communicate(timeout=30)
    assert ran.returncode == 130
    assert "Traceback" not in said
    assert desk.made == set()
    require_gone(state)


def require_gone(state: Path) -> None:
    """The stand-in and its child, whose process ids are in ``state``, have ended."""
    for number in map(int, state.read_text().split()):
        for _ in range(50):
            if not alive(number):
                break
            time.sleep(0.1)
        assert not alive(number)


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "options",
    [
        ("--min-runtime", "15"),
        ("--min-runtime", "x"),
        ("--segments", "0"),
        ("--timeout", "-1"),
        ("--search-step", "2"),
        ("--target", "simulator"),
        ("--target", "tpu"),
        ("--output", "/"),
        ("--release", "1.0.0"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_runs(desk: Desk, options: tuple[str, ...]) -> None:
    ran = desk.run(desk.compiler("internal_always"), desk.model(MOBILENET), options=options)
    assert ran.status == 2, ran.stderr
    assert options[0] in ran.stderr or options[1] in ran.stderr
    assert not (desk.folder / "state").exists()
    assert desk.made == set()


def test_an_input_is_never_overwritten(desk: Desk) -> None:
    model = desk.model(MOBILENET)
    before = model.read_bytes()
    ran = desk.run(desk.compiler(), model, options=("--output", str(model)))
    assert "[model-output, exit 2]" in ran.stderr
    assert model.read_bytes() == before


@pytest.mark.edgetpu_compiler
def test_the_real_compiler_agrees_with_the_prediction(desk: Desk) -> None:
    ran = desk.run(Path(os.environ["CORALFORGE_TEST_COMPILER"]), desk.model(MOBILENET))
    assert ran.status == 0, ran.stderr
    made = read_model(desk.folder / f"{MOBILENET}_edgetpu.tflite")
    assert [operation.custom_code for operation in made.graph.operations] == ["edgetpu-custom-op"]
