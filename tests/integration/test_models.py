"""Models of pipeline.yaml, from a Keras file to a bundle that proves them: with real TensorFlow, a real build and the
emulated board. Google's compiler is a STAND-IN here, which hands out what the real one made earlier.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coralforge.quantize.environment import find_python
from tests.conftest import ROOT
from tests.integration.conftest import Checkout, Ran

pytestmark = [pytest.mark.docker, pytest.mark.tensorflow]
STANDIN = ROOT / "tests/integration/standin/standin_edgetpu_compiler.py"
MODELS = """
models:
  stripes:
    model: {path: keras/cnn.keras}
    quantize: {samples: keras/pictures}
    target: simulator
    labels: {path: labels.txt}
    image: {path: across.bmp}
    expected: 0
  tried:
    model: {path: keras/old.h5}
    quantize: {random: 10, preprocess: "0..1"}
    target: simulator
  hardware:
    model: {path: testdata/mobilenet_v1_0.25_128_quant.tflite}
    labels: {path: testdata/imagenet_labels.txt}
    image: {path: testdata/cat.bmp}
    expected: 283
"""


@pytest.fixture
def compiler(tmp_path: Path, testdata: Path) -> Path:
    """A program that passes for edgetpu_compiler."""
    program = tmp_path / "standin"
    program.write_text(f'#!/bin/sh\nSTANDIN_DATA={testdata} exec {sys.executable} {STANDIN} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def project_with_models(bundle: Path, project: Checkout, keras_models: Path, testdata: Path) -> Checkout:
    """A checkout with three models in its pipeline.yaml; ``bundle`` has built the libraries."""
    (project.root / "keras").symlink_to(keras_models)
    (project.root / "testdata").symlink_to(testdata)
    (project.root / "labels.txt").write_text("across\nalong\ndisc\ngradient\n")
    across = np.where(np.arange(24)[:, None, None] // 6 % 2, 190, 30) * np.ones((24, 24, 3))
    Image.fromarray(across.astype(np.uint8)).save(project.root / "across.bmp")
    with (project.root / "pipeline.yaml").open("a") as stream:
        stream.write(MODELS)
    return project


def bundle_of(project_with_models: Checkout, compiler: Path, *options: str) -> Ran:
    """``invoke bundle`` in the copy of the project, which has no .venv-models of its own."""
    what = ("--arch", "aarch64", "--variant", "simulated", "--compiler", str(compiler))
    return project_with_models.invoke("bundle", *what, *options, CORALFORGE_MODELS_PYTHON=str(find_python()))


def test_from_keras_to_a_board_that_knows_the_answer(project_with_models: Checkout, compiler: Path) -> None:
    ran = bundle_of(project_with_models, compiler)
    assert ran.status == 0, ran.stderr[-4000:]
    again = bundle_of(project_with_models, compiler, "--explain")
    assert "nothing to do" in again.stdout

    report = project_with_models.root / "smoke.json"
    smoke = project_with_models.invoke("smoke", "--arch", "aarch64", "--report", str(report))
    assert smoke.status == 0, smoke.stderr[-4000:]
    data = json.loads(report.read_text())
    passed = {step["name"] for step in data["steps"]}
    assert {"stripes.label", "stripes.agreement", "tried.delegate-benchmark", "hardware.label"} <= passed
    assert all(step["simulated"] for step in data["steps"])
    not_run = [line for line in data["not_run"] if line.startswith("hardware.delegate")]
    assert "compiled for Edge TPU hardware" in not_run[0]
    assert any("tried was quantized with RANDOM samples" in line for line in data["not_verified"])


def test_a_changed_sample_makes_one_model_again_and_a_poor_one_enters_no_bundle(
    project_with_models: Checkout, compiler: Path
) -> None:
    assert bundle_of(project_with_models, compiler).status == 0
    text = (project_with_models.root / "pipeline.yaml").read_text()
    (project_with_models.root / "pipeline.yaml").write_text(text.replace("random: 10", "random: 11"))
    plan = bundle_of(project_with_models, compiler, "--dry-run")
    assert plan.stdout.splitlines() == [
        "run   model tried: changed: options",
        "run   bundle: changed: model tried",
    ]
    poor = text.replace("testdata/mobilenet_v1_0.25_128_quant", "testdata/deeplabv3_mnv2_dm05_pascal_quant")
    (project_with_models.root / "pipeline.yaml").write_text(poor)
    refused = bundle_of(project_with_models, compiler)
    assert refused.status == 6
    assert "model-mapped-fraction" in refused.stderr
    assert "64 of 72 operations" in refused.stderr
