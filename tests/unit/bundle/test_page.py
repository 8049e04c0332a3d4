"""The page of a smoke report: everything a board says is escaped, and it stands for itself."""

from __future__ import annotations

from typing import Any

from coralforge.bundle.page import html

EVIL = "<script>alert(1)</script>"


def report(**changes: Any) -> dict[str, Any]:
    return {
        "schema": 1, "format": 1, "ok": True, "passed": True, "variant": "direct", "simulated": False,
        "emulated": None,
        "bundle": "coralforge-2.14.1-aarch64-linux-gnu.tar.gz", "bundle_sha256": "0" * 64, "target": "pi@raspberrypi",
        "board": {"model": "Raspberry Pi 5", "kernel": "6.6", "machine": "aarch64", "libc": "glibc 2.36",
                  "cpu_temperature_c": 48.3},
        "edge_tpus": [{"kind": "usb", "path": "2-1", "state": "ready", "speed_mbps": 5000, "firmware": "loaded",
                       "temperature_c": None}],
        "diagnosis": [],
        "steps": [{"name": "lstpu", "status": "passed", "exit_code": 0, "seconds": 0.25, "said": "1 Edge TPU",
                   "output": "1 Edge TPU"}],
        "not_verified": ["nothing was measured"],
        **changes,
    }  # fmt: skip


def test_board_devices_and_steps_are_shown() -> None:
    page = html(report())
    for text in ("pi@raspberrypi", "Raspberry Pi 5", "48 °C", "5000 Mbit/s", "loaded", "1 Edge TPU", "passed", "0.2"):
        assert text in page
    assert "FAILED" not in page
    assert "SIMULATED" not in page
    assert "nothing was measured" in page


def test_a_failure_and_its_cause_come_first() -> None:
    steps = [{"name": "access", "status": "failed", "said": "exit status 6"}]
    page = html(
        report(ok=False, passed=False, steps=steps, diagnosis=[{"cause": "no rules", "action": "install them"}])
    )
    assert "FAILED" in page
    assert page.index("no rules") < page.index("Raspberry Pi 5")
    assert "What to do: install them" in page


def test_what_is_not_as_it_should_be_is_said_of_a_test_that_passed_too() -> None:
    page = html(report(warnings=["it takes 9 times what is expected"]))
    assert "it takes 9 times what is expected" in page
    assert "Warnings" not in html(report())


def test_what_was_no_hardware_is_said() -> None:
    page = html(report(simulated=True, emulated=True, device={"kind": "emulated"}, board={"userland": "bookworm"}))
    assert "SIMULATED: no Edge TPU was used" in page
    assert "the board was emulated; the device was emulated" in page


def test_what_a_board_says_is_never_taken_for_the_page() -> None:
    steps = [{"name": "lstpu", "status": "failed", "said": EVIL, "output": EVIL + "\x1b[2J"}]
    page = html(
        report(
            steps=steps,
            emulated=EVIL,
            target=EVIL,
            board={"model": EVIL},
            diagnosis=[{"cause": EVIL, "action": EVIL}],
            edge_tpus=[{"kind": "usb", "path": EVIL, "state": EVIL, "firmware": EVIL}],
            not_verified=[EVIL],
        )
    )
    assert "<script" not in page
    assert "\x1b" not in page
    assert "http" not in page.replace("http-equiv", "")
