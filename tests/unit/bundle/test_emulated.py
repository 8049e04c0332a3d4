"""How the emulated device is plugged in beside smoke.sh, and what is made of what it counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coralforge.bundle import emulated
from coralforge.config.arch import Arch
from coralforge.containers.image import board_run
from coralforge.containers.spec import ContainerSpec

SCRIPT = "/bundle/smoke.sh"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("sample/model.tflite", "one/model.tflite", "one/model_edgetpu.tflite", "lost/model_edgetpu.tflite"):
        path = tmp_path / "share/models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"model")
    return tmp_path


def plugged(bundle: Path, arch: Arch = Arch.AARCH64) -> ContainerSpec:
    env = (("CORALFORGE_RUN", board_run(arch)), ("CORALFORGE_REPORT", "/report/smoke.json"))
    spec = ContainerSpec("smoke", "image", ("/bin/sh", "-c", f"cp a b && exec timeout 9 {SCRIPT}"), env=env)
    return emulated.plug_in(spec, Path("/built"), bundle, SCRIPT)


def test_the_device_gets_the_models_that_are_compiled_for_hardware(bundle: Path) -> None:
    one = "/bundle/share/models/one"
    assert plugged(bundle).command[-1] == (
        "cp a b && exec timeout 9 /device/bin/with-device --stats /report/device.json"
        f" --model {one}/model_edgetpu.tflite {one}/model.tflite -- /bundle/smoke.sh"
    )


def test_a_model_without_its_plain_form_is_left_out(bundle: Path) -> None:
    assert [compiled.parent.name for compiled, _ in emulated.models(bundle)] == ["one"]


def test_the_device_is_mounted_and_its_libusb_found(bundle: Path) -> None:
    assert [(mount.source, mount.target) for mount in plugged(bundle).mounts] == [(Path("/built"), "/device")]
    env = dict(plugged(bundle, Arch.X86_64).env)
    assert "--library-path /device/shim:/bundle/lib:/board/" in env["CORALFORGE_RUN"]
    assert env["CORALFORGE_REPORT"] == "/report/smoke.json"


def test_inferences_are_counted_without_the_loading_of_parameters(tmp_path: Path) -> None:
    programs = [{"kind": "parameter-caching", "runs": 5}, {"kind": "execution", "runs": 2}]
    (tmp_path / "device.json").write_text(json.dumps([{"programs": programs}, {"programs": []}]))
    assert emulated.inferences(emulated.read_stats(tmp_path / "device.json")) == 2


@pytest.mark.parametrize("text", ["", "{", "[" * 5, "null", '{"programs": 1}', '[{"programs": [1, {"runs": "x"}]}]'])
def test_what_makes_no_sense_counts_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "device.json").write_text(text)
    assert emulated.inferences(emulated.read_stats(tmp_path / "device.json")) == 0


def test_a_link_or_nothing_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("[]")
    (tmp_path / "device.json").symlink_to(tmp_path / "other")
    assert emulated.read_stats(tmp_path / "device.json") is None
    assert emulated.read_stats(tmp_path / "none.json") is None
