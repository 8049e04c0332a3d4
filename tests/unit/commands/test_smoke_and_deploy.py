"""The options of ``invoke deploy`` and ``invoke smoke``, and a whole course of each on a board double."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.board.connection import Target, connect
from coralforge.commands import deploy as verb
from coralforge.commands.smoke import smoke
from coralforge.deploy import rules
from coralforge.deploy.facts import ask
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.settings import Options
from tests.support.board_double import BoardDouble, make
from tests.support.small_bundle import make_bundle

SILENT: dict[str, Any] = dict.fromkeys(
    ("board", "bundle", "to", "ssh_config", "report", "html", "device", "userland")
)
# As smoke.sh of a bundle writes it, where it is told to.
REPORT = {
    "schema": 1, "passed": True, "variant": "simulated", "simulated": True, "emulated": None,
    "board": {"model": "a \\u001b[2Jboard", "kernel": "6.1"},
    "steps": [{"name": "lstpu", "status": "passed", "exit_code": 0, "seconds": 0.1, "said": "fine"}],
}  # fmt: skip


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BoardDouble:
    monkeypatch.setattr(verb, "has_terminal", lambda: False)
    return make(tmp_path / "board", monkeypatch)


def said(**given: Any) -> Any:
    flags = {"rollback": False, "install_rules": False, "yes": False}
    return SimpleNamespace(**{**SILENT, **flags, "board": "pi@raspberrypi", **given})


def smoking_script(report: dict[str, Any], status: int = 0) -> str:
    return f"#!/bin/sh\ncat >\"$2\" <<'END'\n{json.dumps(report)}\nEND\necho fine\nexit {status}\n"


def smoking(folder: Path, report: dict[str, Any] = REPORT, status: int = 0) -> str:
    return str(make_bundle(folder, smoke=smoking_script(report, status)))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"board": None}, "option-missing"),
        ({"board": "-oProxyCommand=x"}, "board-unknown"),
        ({"bundle": "nowhere.tar.gz"}, "bundle-missing"),
        ({"ssh_config": "nowhere"}, "ssh-config"),
        ({"to": "/"}, "board-folder"),
        ({"wait": "soon"}, "deploy-option"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        verb.deploy(Options(), said(**given))
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.USER)


def test_rollback_takes_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError) as caught:
        verb.deploy(Options(), said(rollback=True, bundle=smoking(tmp_path)))
    assert caught.value.reason == "deploy-option"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"board": "emulated", "to": "x"}, "board-option"),
        ({"board": None, "ssh_config": "x"}, "board-option"),
        ({"device": "emulated"}, "board-option"),
        ({"userland": "bookworm"}, "board-option"),
        ({"board": "emulated", "userland": "bookworm"}, "userland-board"),
        ({"device": "real"}, "device-unknown"),
    ],
)
def test_options_that_a_board_does_not_have(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        smoke(Options(), said(**given))
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.USER)


def test_what_is_done_is_told(board: BoardDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = smoking(tmp_path)
    verb.deploy(Options(), said(bundle=bundle))
    assert "is new there" in capsys.readouterr().out
    verb.deploy(Options(), said(bundle=bundle))
    assert "nothing to do" in capsys.readouterr().out


def test_a_smoke_test_deploys_first_and_brings_its_report_back(
    board: BoardDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(smoking(tmp_path))
    smoke(Options(), said(bundle=str(bundle), html=str(tmp_path / "page.html")))
    place = bundle.with_name("coralforge-2.14.1-aarch64-linux-gnu.smoke-raspberrypi.json")
    data = json.loads(place.read_text())
    assert (data["ok"], data["target"], data["board"]["kernel"]) == (True, "pi@raspberrypi", "6.1")
    assert "raspberrypi" in (tmp_path / "page.html").read_text()
    out = capsys.readouterr().out
    assert "lstpu passed" in out and "on pi@raspberrypi" in out and "SIMULATED" in out
    assert "\x1b" not in out
    assert (board.home / "coralforge/current/smoke.sh").is_file()


def test_a_login_shell_that_says_something_spoils_nothing(board: BoardDouble, tmp_path: Path) -> None:
    board.tool("sh", 'if [ "$1" = -c ]; then echo "Welcome {"; fi\nexec {real} "$@"')
    bundle = Path(smoking(tmp_path))
    smoke(Options(), said(bundle=str(bundle)))
    place = bundle.with_name("coralforge-2.14.1-aarch64-linux-gnu.smoke-raspberrypi.json")
    assert json.loads(place.read_text())["ok"] is True


@pytest.mark.parametrize("option", ["report", "html"])
@pytest.mark.parametrize("place", [".", "file/x"])
def test_a_place_that_cannot_be_written_is_named(board: BoardDouble, tmp_path: Path, option: str, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CoralforgeError, match="cannot be written") as caught:
        smoke(Options(), said(bundle=smoking(tmp_path), **{option: str(tmp_path / place)}))
    assert (caught.value.reason, caught.value.code) == ("bundle-write", ExitCode.MISSING)


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_a_report_is_json_whatever_numbers_a_board_says(board: BoardDouble, tmp_path: Path, number: str) -> None:
    script = smoking_script({**REPORT, "board": {"cpu_temperature_c": 4711}}).replace("4711", number)
    with pytest.raises(CoralforgeError) as caught:
        smoke(Options(), said(bundle=str(make_bundle(tmp_path, smoke=script))))
    assert (caught.value.reason, caught.value.code) == ("smoke-report", ExitCode.SMOKE)
    assert "cpu_temperature_c" in caught.value.details


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"passed": False, "steps": [{"name": "access", "status": "failed", "said": "no"}]}, 1, "smoke-failed"),
        ({}, 1, "smoke-failed"),
        ({"variant": "direct"}, 0, "smoke-failed"),
        ({"schema": 2}, 0, "smoke-report"),
        ({"steps": []}, 0, "smoke-report"),
        ({"edge_tpus": [{"kind": "sofa", "path": "x"}]}, 0, "smoke-report"),
    ],
)
def test_no_sign_of_failure_is_passed_over(
    board: BoardDouble, tmp_path: Path, changes: dict[str, Any], status: int, reason: str
) -> None:
    diagnosis = [{"cause": "the user may not open it", "action": "install the rules"}]
    bundle = smoking(tmp_path, {**REPORT, "diagnosis": diagnosis, **changes}, status)
    with pytest.raises(CoralforgeError) as caught:
        smoke(Options(), said(bundle=bundle))
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.SMOKE)
    if reason == "smoke-failed":
        assert "the user may not open it: install the rules" in caught.value.details


def test_rules_are_not_forgotten_on_the_way_back() -> None:
    with pytest.raises(CoralforgeError) as caught:
        verb.deploy(Options(), said(rollback=True, install_rules=True))
    assert caught.value.reason == "deploy-option"


def test_rules_are_not_installed_for_who_ends_the_question(
    board: BoardDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-D."""

    class Terminal(StringIO):
        """TEST DOUBLE of a terminal at its end."""

        def isatty(self) -> bool:
            return True

    board.tool("udevadm", "exit 0")
    monkeypatch.setattr(verb, "has_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    verb.deploy(Options(), said(bundle=smoking(tmp_path), install_rules=True))
    assert "udev rules: nothing was run" in capsys.readouterr().out


def test_rules_need_a_yes(board: BoardDouble, tmp_path: Path) -> None:
    board.tool("udevadm", "exit 0")
    board.tool("id", "case $1 in -u) echo 1000 ;; -Gn) echo users ;; *) echo pi ;; esac")
    board.tool("sudo", f'echo "$*" >>"{board.root}/sudo"')
    bundle = smoking(tmp_path)
    with pytest.raises(CoralforgeError) as caught:
        verb.deploy(Options(), said(bundle=bundle, install_rules=True))
    assert (caught.value.reason, caught.value.code) == ("no-terminal", ExitCode.USER)
    assert "sudo usermod -aG plugdev pi" in caught.value.details
    assert not (board.root / "sudo").exists()
    verb.deploy(Options(), said(bundle=bundle, install_rules=True, yes=True))
    ran = (board.root / "sudo").read_text().splitlines()
    shown = [line.removeprefix("sudo ") for line in caught.value.details.splitlines()]
    assert ran == ["-n true", *shown], "what is run is what was shown"


@pytest.mark.parametrize("uid", [0, 1000])
def test_without_udev_there_are_no_rules_to_install(board: BoardDouble, tmp_path: Path, uid: int) -> None:
    """Said before anything is run there, to root too."""
    board.tool("id", f"case $1 in -u) echo {uid} ;; -Gn) echo users ;; *) echo pi ;; esac")
    with connect(Target("pi@board")) as remote, pytest.raises(CoralforgeError) as caught:
        rules.needed(remote, ask(remote, "coralforge", {}), str(board.home))
    assert (caught.value.reason, caught.value.code) == ("board-tools", ExitCode.BOARD)


def test_rules_without_sudo_are_told(board: BoardDouble, tmp_path: Path) -> None:
    board.tool("udevadm", "exit 0")
    board.tool("id", "case $1 in -u) echo 1000 ;; -Gn) echo users ;; *) echo pi ;; esac")
    with pytest.raises(CoralforgeError) as caught:
        verb.deploy(Options(), said(bundle=smoking(tmp_path), install_rules=True, yes=True))
    assert (caught.value.reason, caught.value.code) == ("board-root", ExitCode.BOARD)
    assert [line.split()[0] for line in caught.value.details.splitlines()][:2] == ["cp", "udevadm"]
