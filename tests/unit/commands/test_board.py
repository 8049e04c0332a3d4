"""The options of ``invoke board``: one thing at a time, and only what there is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.commands.board import Request
from coralforge.errors import CoralforgeError, ExitCode

SILENT: dict[str, Any] = {
    **dict.fromkeys(("start", "stop", "status", "ssh", "plug", "unplug"), False),
    **{"user": "coral", "model": [], "plain": [], "speed": None, "fault": [], "port": "1", "name": "board"},
}


def request(**said: Any) -> Request:
    return Request.of(SimpleNamespace(**{**SILENT, **said}))


def test_what_is_not_said_has_a_default() -> None:
    assert request(start=True) == Request("start", "board", "coral", 1, (), ())


def test_models_are_pairs(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a_edgetpu.tflite", "b_edgetpu.tflite", "a.tflite", "b.tflite")]
    for name in names:
        Path(name).touch()
    made = request(plug=True, model=names[:2], plain=names[2:], port="2")
    assert made.port == 2
    assert made.models == ((Path(names[0]), Path(names[2])), (Path(names[1]), Path(names[3])))


def test_what_only_the_device_knows_is_handed_on() -> None:
    made = request(plug=True, speed="high", fault=["hang", "dfu-unplug=10"])
    assert made.options == ("--speed", "high", "--fault", "hang", "--fault", "dfu-unplug=10")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "board-action"),
        ({"start": True, "stop": True}, "board-action"),
        ({"ssh": True, "user": "pi"}, "board-user"),
        ({"plug": True, "port": "3"}, "board-port"),
        ({"plug": True, "port": "one"}, "board-port"),
        ({"plug": True, "model": ["absent.tflite"], "plain": ["absent.tflite"]}, "board-models"),
        ({"plug": True, "model": [__file__]}, "board-models"),
    ],
)
def test_anything_else_is_refused(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        request(**said)
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.USER)
