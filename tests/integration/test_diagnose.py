"""lstpu --diagnose says of each system what is in the way, in one line, and what to do, in another.

The programs are those of the bundle, the systems are trees (tests/support/board_trees.py); libedgetpu is a test
double that lists what the test says. What needs users, groups and udev is in test_emulated_board.py.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coralforge.containers.spec import Mount
from tests.support.board_trees import LXC, STICK, Case, Tree, cases, controllers, stick, usb
from tests.support.device_bench import RUN, Bench, device_bench

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CASES = cases()
# Each tree once as text and once as JSON, with marks between them.
SCRIPT = f"""
for tree in /trees/*; do
    export CORAL_TEST_ROOT=$tree; unset DOUBLE_PATH
    if [ -e $tree/listed ]; then export DOUBLE_PATH=$(cat $tree/listed); fi
    for format in "" --json; do
        echo "@tree ${{tree##*/}} $format"
        LD_LIBRARY_PATH=${{double-/double}} {RUN} /bundle/bin/lstpu --diagnose $format
        echo "@exit $?"
    done
done
"""


@dataclass(frozen=True)
class Said:
    """What lstpu said of a tree, and its exit codes."""

    text: list[str]
    data: dict[str, Any]
    codes: tuple[int, int]

    @property
    def ids(self) -> list[str]:
        return [finding["id"] for finding in self.data["diagnosis"]]


def ask(bench: Bench, folder: Path, trees: dict[str, tuple[Tree, str]], setup: str = "") -> dict[str, Said]:
    """What lstpu says of each tree, where libedgetpu lists the device at the path beside it (empty: none)."""
    folder.mkdir()
    for name, (tree, path) in trees.items():
        tree.write(folder / name)
        if path:
            (folder / name / "listed").write_text(path)
    lines = bench.run(setup + SCRIPT, Mount(folder, "/trees", writable=True))  # nodes are opened for writing
    outputs: dict[tuple[str, bool], tuple[list[str], int]] = {}
    while lines:
        _, name, *rest = lines.pop(0).split()
        end = next(i for i, line in enumerate(lines) if line.startswith("@exit"))
        outputs[name, bool(rest)] = lines[:end], int(lines[end].split()[1])
        lines = lines[end + 1 :]
    return {
        name: Said(
            outputs[name, False][0],
            json.loads("\n".join(outputs[name, True][0])),
            (outputs[name, False][1], outputs[name, True][1]),
        )
        for name in trees
    }


def listed(case: Case) -> str:
    """The path by which libedgetpu lists the stick of a case."""
    ports = [name.split("/")[-2] for name in case.tree.files if name.endswith("/idVendor")]
    return STICK.rpartition("/")[0] + f"/{ports[0]}" if case.listed and ports else ""


@pytest.fixture(scope="module")
def bench(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with device_bench(bundle, tmp_path_factory.mktemp("diagnose")) as bench:
        yield bench


@pytest.fixture(scope="module")
def said(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """Of all cases at once: starting a container takes longer than all that runs in it."""
    folder = tmp_path_factory.mktemp("trees") / "trees"
    return ask(bench, folder, {name: (case.tree, listed(case)) for name, case in CASES.items()})


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the sockets within the test, where the filter above holds."""
    yield
    gc.collect()


@pytest.mark.parametrize("name", CASES)
def test_each_cause_is_found_and_says_what_to_do(said: dict[str, Said], name: str) -> None:
    case, answer = CASES[name], said[name]
    assert answer.ids[:1] == [case.id]
    assert set(case.also) <= set(answer.ids)
    first = answer.data["diagnosis"][0]
    for word in case.words:
        assert word in f"{first['cause']}; {first['action']}"
    assert "{" not in first["cause"] + first["action"]
    assert answer.codes == (case.code, case.code)
    assert answer.data["exit_code"] == case.code


@pytest.mark.parametrize("name", CASES)
def test_people_are_told_the_same_in_two_lines_each(said: dict[str, Said], name: str) -> None:
    answer = said[name]
    expected = []
    for i, finding in enumerate(answer.data["diagnosis"], 1):
        kind = "in the way" if finding["exit_code"] else "note"
        expected += [f"{i}. {kind}: {finding['cause']}", f"   what to do: {finding['action']}"]
    assert answer.text[-len(expected) :] == expected


def test_only_what_is_there_is_found(said: dict[str, Said]) -> None:
    """A rule that fires everywhere would pass the tests above: each tree has only its own causes."""
    for name, case in CASES.items():
        allowed = {case.id, *case.also}
        if "1ac1" in str(case.tree.files):
            allowed.add("pci-one-of-two")
        assert set(said[name].ids) <= allowed, name


def test_where_all_is_well_nothing_is_found(bench: Bench, tmp_path: Path) -> None:
    answer = ask(bench, tmp_path / "trees", {"well": (usb(stick()), STICK)})["well"]
    assert answer.ids == []
    assert answer.codes == (0, 0)
    assert answer.text[-1] == "nothing is known to be in the way"
    assert answer.text[1].startswith(
        "usb 2-1: USB 3 (5000 Mbit/s), directly on the board, has its firmware (18d1:9302)"
    )
    [device] = answer.data["edge_tpus"]
    assert (device["kind"], device["path"], device["state"]) == ("usb", STICK, "usable")
    assert (device["speed_mbps"], device["firmware"], device["temperature_c"]) == (5000, "loaded", None)


def test_the_board_is_described(bench: Bench, tmp_path: Path) -> None:
    zones = {
        "sys/class/thermal/thermal_zone0/type": "gpu-thermal\n", "sys/class/thermal/thermal_zone0/temp": "40000\n",
        "sys/class/thermal/thermal_zone1/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone1/temp": "51540\n",
        "proc/device-tree/model": 'a "Müller board"\t\x7f\x9b\0', "proc/sys/kernel/osrelease": "6.1.0\n",
    }  # fmt: skip
    answer = ask(bench, tmp_path / "trees", {"x": (usb(stick() | zones), STICK)})["x"]
    board = answer.data["board"]
    assert board["model"] == 'a "Müller board"???'
    assert (board["kernel"], board["machine"], board["cpu_temperature_c"]) == ("6.1.0", "aarch64", 51.54)
    assert board["libc"].startswith("glibc 2.")
    assert answer.data["emulated"] is None


def test_a_raspberry_pi_500_is_not_told_to_turn_on_a_connector_that_it_lacks(bench: Bench, tmp_path: Path) -> None:
    files = controllers(480, 5000) | {
        "proc/device-tree/model": "Raspberry Pi 500 Rev 1.0\0", "boot/firmware/config.txt": "dtparam=audio=on\n",
    }  # fmt: skip
    assert ask(bench, tmp_path / "trees", {"x": (usb(files, None), "")})["x"].ids == ["none"]


def test_a_virtual_machine_is_said_to_be_one(bench: Bench, tmp_path: Path) -> None:
    tree = usb(stick() | {"proc/device-tree/model": "linux,dummy-virt\0"})
    assert ask(bench, tmp_path / "trees", {"x": (tree, STICK)})["x"].data["emulated"] == "QEMU virtual machine"


def test_an_emulated_device_is_said_to_be_one(bench: Bench, tmp_path: Path) -> None:
    product = {"sys/bus/usb/devices/2-1/product": "EMULATED Edge TPU (coral-device)\n"}
    trees = {"emulated": (usb(stick() | product), STICK), "not": (usb(stick()), STICK)}
    answers = ask(bench, tmp_path / "trees", trees)
    for name, answer in answers.items():
        assert ("EMULATED (coral-device, no Edge TPU)" in answer.text[1]) is (name == "emulated")
        assert answer.data["edge_tpus"][0]["emulated"] is (name == "emulated")


def test_what_is_in_the_way_comes_before_what_is_only_slow(bench: Bench, tmp_path: Path) -> None:
    tree = usb(stick(firmware=False, speed=480) | LXC, None)
    answer = ask(bench, tmp_path / "trees", {"x": (tree, STICK)})["x"]
    assert answer.ids == ["usb-no-node-container", "firmware", "usb-slow"]


def test_hostile_files_neither_steer_a_terminal_nor_break_the_json(bench: Bench, tmp_path: Path) -> None:
    files = stick(name="2-1.4") | {
        "sys/bus/usb/devices/2-1/product": '\x1b[31m"hub\\ {grant} ' + "x" * 70000,
        "sys/bus/usb/devices/2-1/bmAttributes": "a0",
        "sys/bus/usb/devices/2-1.4/speed": "nan",
        "sys/class/thermal/thermal_zone0/temp": "1e999",
        "run/systemd/container": "\x1b]0;x\x07",
        "proc/self/cgroup": "\xff" * 100,
    }
    answer = ask(bench, tmp_path / "trees", {"x": (usb(files), STICK + ".4")})["x"]
    assert "\x1b" not in "".join(answer.text)
    assert answer.ids == ["bus-power"]


def test_the_simulated_library_is_named_and_what_it_shows_is_marked(bench: Bench, tmp_path: Path) -> None:
    setup = "double=; export CORALFORGE_SIMULATED_DEVICES=usb:1\n"
    answer = ask(bench, tmp_path / "trees", {"x": (usb({"sys/bus/x": ""}, None), "")}, setup)["x"]
    assert "simulated" in answer.ids
    assert [device["state"] for device in answer.data["edge_tpus"]] == ["simulated"]
