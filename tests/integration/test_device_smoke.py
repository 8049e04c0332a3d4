"""``invoke smoke --device emulated``: a bundle with a compiled model proves itself, and fails where it should.

In a container, and on a whole emulated board.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Checkout, Ran

pytestmark = [
    pytest.mark.docker,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MODELS = """
models:
  cat:
    model: {path: testdata/mobilenet_v1_0.25_128_quant.tflite}
    compiled: {path: testdata/mobilenet_v1_0.25_128_quant_edgetpu.tflite}
    labels: {path: testdata/imagenet_labels.txt}
    image: {path: testdata/cat.bmp}
    expected: 283
"""
ON_DEVICE = {"access", "cat.delegate-benchmark", "cat.delegate-model", "cat.delegate-label"}
SMOKE_FAILED = 7
PLACES = pytest.mark.parametrize(
    "place", [(), pytest.param(("--board", "emulated"), marks=pytest.mark.emulated_board)], ids=["container", "board"]
)


@pytest.fixture
def project_with_a_cat(project: Checkout, testdata: Path) -> Checkout:
    (project.root / "testdata").symlink_to(testdata)
    with (project.root / "pipeline.yaml").open("a") as stream:
        stream.write(MODELS)
    return project


def smoke(project: Checkout, source: tuple[str, ...], *options: str) -> tuple[Ran, dict[str, Any]]:
    ran = project.invoke("bundle", "--arch", "aarch64", *source)
    assert ran.status == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-8000:]}"
    report = project.root / "smoke.json"
    ran = project.invoke("smoke", "--arch", "aarch64", "--device", "emulated", "--report", str(report), *options)
    return ran, json.loads(report.read_text())


@PLACES
def test_a_compiled_model_runs_on_the_device(
    project_with_a_cat: Checkout, libedgetpu_source: tuple[str, ...], place: tuple[str, ...]
) -> None:
    ran, report = smoke(project_with_a_cat, libedgetpu_source, *place)
    assert ran.status == 0, ran.stdout + ran.stderr
    assert {step["name"] for step in report["steps"]} >= ON_DEVICE
    assert "emulated device" in ran.stdout
    assert any("the device was emulated" in line for line in report["not_verified"])
    [stats] = report["device"]["stats"]
    assert report["device"]["kind"] == "emulated"
    assert stats["emulated_device"] and stats["firmware_bytes"] > 0
    assert sum(one["runs"] for one in stats["programs"] if one["kind"] == "execution") > 0


def test_an_answer_that_was_not_expected_fails(
    project_with_a_cat: Checkout, libedgetpu_source: tuple[str, ...]
) -> None:
    file = project_with_a_cat.root / "pipeline.yaml"
    before, _, after = file.read_text().rpartition("expected: 283")  # the sample, before it, has the same
    file.write_text(f"{before}expected: 284{after}")
    ran, report = smoke(project_with_a_cat, libedgetpu_source)
    assert ran.status == SMOKE_FAILED, ran.stdout + ran.stderr
    assert "[smoke-failed, exit 7]" in ran.stderr
    failed = {step["name"] for step in report["steps"] if step["status"] == "failed"}
    assert failed == {"cat.label", "cat.delegate-label"}
