"""A whole emulated board, as its users have it: a bundle copied in by SSH, and the emulated device in a USB port.

One board serves all tests but the first, which boots its own; each says what it needs of udev rules and devices.
Leave them out with ``-m "not emulated_board"``.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coralforge.board import board as boards
from coralforge.board.board import Board
from coralforge.board.remote import Ran
from coralforge.board.ssh import GUEST, ROOT, USER
from coralforge.config.arch import Arch
from coralforge.containers.engine import connect
from tests.conftest import ROOT as PROJECT
from tests.conftest import SAMPLE
from tests.integration.conftest import BOARD_NAME, Checkout, make_bundle
from tests.support.patience import NET

pytestmark = [
    pytest.mark.docker,
    pytest.mark.emulated_board,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MODEL = "mobilenet_v1_0.25_128_quant"
COMPILED, PLAIN = SAMPLE / f"{MODEL}_edgetpu.tflite", SAMPLE / f"{MODEL}.tflite"
LABELS, IMAGE = SAMPLE / "imagenet_labels.txt", SAMPLE / "cat.bmp"
TIGER_CAT = 283
POSTINST = PROJECT / "templates/debian/postinst"
# Exit codes of the bundle's programs.
NO_DEVICE, FORBIDDEN, BUSY, LOST, TIMED_OUT = 4, 6, 7, 8, 9


def test_the_bundle_passes_as_an_ordinary_user_of_a_board(cli: Checkout, bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ran = cli.invoke("smoke", "--board", "emulated", "--bundle", str(bundle), "--report", str(report))
    assert ran.status == 0, ran.stdout + ran.stderr
    assert "on an emulated board" in ran.stdout
    assert "SIMULATED" in ran.stdout
    data = json.loads(report.read_text())
    assert data["ok"] and data["emulated"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*-arm64", data["board"]["kernel"])
    assert data["board"]["emulator"].startswith("QEMU")
    assert not any("emulated-board-smoke" in one.name for one in connect().containers.list(all=True))


@dataclass(frozen=True)
class Diagnosis:
    """The exit code of lstpu --diagnose, the ids of what it found, what to do about the first, and all it said."""

    status: int
    ids: list[str]
    action: str
    data: dict[str, Any]

    def commands(self) -> str:
        """What root is told to run."""
        said = re.search(r"as root, run: ([^;]*)", self.action)
        assert said, self.action
        return said[1]


@dataclass(frozen=True)
class Desk:
    """A board with a bundle in its user's home, and what is done to it by hand."""

    cli: Checkout
    board: Board
    folder: str
    """The bundle's, in the home of USER."""

    def invoke(self, *words: str) -> str:
        ran = self.cli.invoke("board", *words, "--name", BOARD_NAME)
        assert ran.status == 0, ran.stdout + ran.stderr
        return ran.stdout

    def plug(self, *options: str) -> None:
        if options:
            self.unplug()
        if options or 1 not in self.devices():
            self.invoke("--plug", "--model", str(COMPILED), "--plain", str(PLAIN), *options)

    def unplug(self) -> None:
        if 1 in self.devices():
            self.invoke("--unplug")

    def devices(self) -> tuple[int, ...]:
        found = boards.find(connect(), self.board.place)
        assert found is not None
        return found.devices

    def remove_rules(self) -> None:
        script = "rm -f /etc/udev/rules.d/*; udevadm control --reload-rules; udevadm trigger; udevadm settle"
        script += "; chown root:root /dev/bus/usb/*/*; chmod 664 /dev/bus/usb/*/*"
        self.board.ssh.check(script, user=ROOT, seconds=NET)

    def install_rules(self) -> None:
        script = f"cp ~{USER}/{self.folder}/share/udev/*.rules /etc/udev/rules.d/ && udevadm control --reload-rules"
        self.board.ssh.check(f"{script} && udevadm trigger && udevadm settle", user=ROOT, seconds=NET)

    def run(self, script: str, user: str = USER) -> Ran:
        """In the bundle's folder; the programs have a net of their own under it."""
        return self.board.ssh.run(f"cd ~{USER}/{self.folder} && {script}", user=user, seconds=NET)

    def model(self, file: str = COMPILED.name, user: str = USER) -> Ran:
        return self.run(f"bin/model ~{USER}/{file} ~{USER}/{LABELS.name} ~{USER}/{IMAGE.name} 0", user)

    def diagnosis(self, user: str = USER) -> Diagnosis:
        """What lstpu --diagnose says to a user."""
        ran = self.run("bin/lstpu --diagnose --json", user)
        data = json.loads(ran.output)
        found = data["diagnosis"]
        return Diagnosis(ran.status, [one["id"] for one in found], found[0]["action"] if found else "", data)

    def address(self) -> int:
        """The device's number on its bus, which is new after each enumeration."""
        return int(self.run("cat /sys/bus/usb/devices/[12]-1/devnum").output)


@pytest.fixture(scope="module")
def desk(
    cli: Checkout, libedgetpu_source: tuple[str, ...], emulated_board: Board, tmp_path_factory: pytest.TempPathFactory
) -> Desk:
    archive = make_bundle(cli, tmp_path_factory.mktemp("real"), Arch.AARCH64, *libedgetpu_source)
    board = emulated_board
    board.ssh.check("tar xzf - && chmod 755 ~", seconds=NET, stdin=archive)
    for file in (COMPILED, PLAIN, LABELS, IMAGE):
        board.ssh.check(f"cat > {file.name}", seconds=NET, stdin=file)
    return Desk(cli, board, archive.name.removesuffix(".tar.gz"))


def test_a_running_board_is_told_of_and_not_started_again(desk: Desk) -> None:
    kernel = desk.run("cat /proc/sys/kernel/random/boot_id").output
    assert "a virtual machine, no hardware" in desk.invoke("--start")
    assert desk.run("cat /proc/sys/kernel/random/boot_id").output == kernel


def test_the_shown_command_reaches_it(desk: Desk) -> None:
    [line] = [line for line in desk.invoke("--status").splitlines() if line.startswith("ssh:")]
    command = line.removeprefix("ssh:").split()
    done = subprocess.run([*command, "id", "-un"], capture_output=True, text=True, timeout=NET, check=False)
    assert (done.returncode, done.stdout) == (0, f"{USER}\n")


def test_without_udev_rules_the_device_is_refused_and_what_is_said_to_do_helps(desk: Desk) -> None:
    desk.remove_rules()
    desk.plug()
    refused = desk.model()
    assert refused.status == FORBIDDEN, refused.output
    assert "70-coral-edgetpu.rules" in refused.output
    assert f"{USER} may not open" in refused.output
    smoke = desk.run("CORALFORGE_RUNS=2 ./smoke.sh --report report.json; s=$?; cat report.json >&2; exit $s")
    assert smoke.status == 1, smoke.output
    assert "in the way: user coral may not open" in smoke.output
    found = desk.diagnosis()
    assert (found.status, found.ids[0]) == (FORBIDDEN, "rules-missing")
    ran = desk.board.ssh.run(f"{found.commands()} && udevadm settle", user=ROOT, seconds=NET)
    assert ran.status == 0, ran.output
    assert desk.model().status == 0
    assert desk.diagnosis().ids == []


def test_a_debian_package_lets_users_in_to_what_is_plugged_in_already(desk: Desk) -> None:
    """Its rules in their place, then its own script, as dpkg runs it: the board has no dpkg."""
    desk.remove_rules()
    desk.plug()
    assert desk.run("bin/lstpu --check").status == FORBIDDEN
    rules = "/lib/udev/rules.d/70-coral-edgetpu.rules"
    try:
        script = f"cp ~{USER}/{desk.folder}/share/udev/*.rules {rules} && sh -s configure && udevadm settle"
        desk.board.ssh.check(script, user=ROOT, seconds=NET, stdin=POSTINST)
        allowed = desk.run("bin/lstpu --check")
    finally:
        desk.board.ssh.check(f"rm -f {rules}", user=ROOT, seconds=NET)
    assert allowed.status == 0, allowed.output


def test_who_is_not_in_the_group_is_told_to_join_it(desk: Desk) -> None:
    desk.install_rules()
    desk.plug()
    refused = desk.model(user=GUEST)
    assert refused.status == FORBIDDEN, refused.output
    assert f"usermod -aG plugdev {GUEST}" in refused.output
    desk.board.ssh.check(f"usermod -aG plugdev {GUEST}", user=ROOT, seconds=NET)
    assert desk.model(user=GUEST).status == 0
    desk.board.ssh.check(f"gpasswd -d {GUEST} plugdev", user=ROOT, seconds=NET)


def test_without_a_device_the_report_says_why_and_on_what(desk: Desk) -> None:
    desk.unplug()
    found = desk.diagnosis()
    assert (found.status, found.ids) == (NO_DEVICE, ["none"])
    smoke = desk.run("CORALFORGE_RUNS=2 ./smoke.sh --report report.json >log; s=$?; cat report.json; exit $s")
    assert smoke.status == 0, smoke.output
    report = json.loads(smoke.output)
    assert report["passed"] and report["emulated"] == "QEMU virtual machine"
    assert [one["cause"] for one in report["diagnosis"]] == ["there is no Edge TPU on USB or PCIe"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*-arm64", report["board"]["kernel"])


def test_rules_that_were_only_copied_are_told_from_missing_ones(desk: Desk) -> None:
    desk.remove_rules()
    desk.unplug()
    desk.plug()
    desk.board.ssh.check(f"cp ~{USER}/{desk.folder}/share/udev/*.rules /etc/udev/rules.d/", user=ROOT, seconds=NET)
    found = desk.diagnosis()
    assert (found.status, found.ids[0]) == (FORBIDDEN, "rules-not-applied")
    desk.board.ssh.check("udevadm control --reload-rules", user=ROOT, seconds=NET)
    desk.unplug()
    desk.plug()
    found = desk.diagnosis()
    assert (found.status, found.ids) == (0, ["firmware"])


def test_rules_for_one_of_the_two_ids_are_seen_when_the_firmware_is_there(desk: Desk) -> None:
    desk.remove_rules()
    rules = f"~{USER}/{desk.folder}/share/udev/70-coral-edgetpu.rules"
    script = f"grep -v 18d1 {rules} >/etc/udev/rules.d/99-half.rules && udevadm control --reload-rules"
    desk.board.ssh.check(script, user=ROOT, seconds=NET)
    desk.unplug()
    desk.plug()
    assert desk.diagnosis().ids == ["firmware"]
    refused = desk.model()
    assert refused.status == FORBIDDEN, refused.output
    assert "99-half.rules" in refused.output
    found = desk.diagnosis()
    assert (found.status, found.ids) == (FORBIDDEN, ["rules-one-id"])
    ran = desk.board.ssh.run(f"{found.commands()} && udevadm settle", user=ROOT, seconds=NET)
    assert ran.status == 0, ran.output
    assert desk.model().status == 0


def test_a_session_that_is_older_than_its_group_is_told_to_log_in_again(desk: Desk) -> None:
    desk.install_rules()
    desk.plug()
    assert desk.diagnosis(GUEST).ids[0] == "join-group"
    wait = "until grep -q '^plugdev:.*guest' /etc/group; do sleep 0.1; done"
    command = desk.board.ssh.command(
        GUEST, f"echo waiting; {wait}; exec ~{USER}/{desk.folder}/bin/lstpu --diagnose --json"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None and session.stdout.readline() == "waiting\n"
        desk.board.ssh.check(f"usermod -aG plugdev {GUEST}", user=ROOT, seconds=NET)
        said, _ = session.communicate(timeout=NET)
    assert session.returncode == FORBIDDEN
    assert json.loads(said)["diagnosis"][0]["id"] == "login-again"
    assert "join-group" not in desk.diagnosis(GUEST).ids, "it is a new session"
    desk.board.ssh.check(f"gpasswd -d {GUEST} plugdev", user=ROOT, seconds=NET)


def test_a_container_is_told_what_it_has_to_be_started_with(desk: Desk) -> None:
    """By the marks that Docker leaves; there is no container on the board."""
    desk.install_rules()
    desk.plug()
    try:
        desk.board.ssh.check("touch /.dockerenv", user=ROOT, seconds=NET)
        found = desk.diagnosis(GUEST)
        assert (found.status, found.ids[0]) == (FORBIDDEN, "container-group")
        group = desk.run("stat -c %g /dev/bus/usb/*/* | sort -n | tail -n 1").output.strip()
        assert found.action == f"start the container with --group-add {group}"
        desk.board.ssh.check("chown 65534:65534 /dev/bus/usb/*/*", user=ROOT, seconds=NET)
        assert desk.diagnosis().ids[0] == "container-owner"
    finally:
        mend = "rm -f /.dockerenv; chown root:root /dev/bus/usb/*/*; udevadm trigger; udevadm settle"
        desk.board.ssh.check(mend, user=ROOT, seconds=NET)


def test_the_model_is_right_on_the_device(desk: Desk) -> None:
    desk.install_rules()
    desk.plug()
    on_device, on_cpu = desk.model(), desk.model(PLAIN.name)
    assert on_device.status == on_cpu.status == 0, on_device.output + on_cpu.output
    assert "ran: EMULATED, not on an Edge TPU (usb " in on_device.output, "the kernel knows the product's name"
    assert "ran: on the CPU" in on_cpu.output
    scores = [[line for line in ran.output.splitlines() if line.startswith("0.")] for ran in (on_device, on_cpu)]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 5
    desk.unplug()
    place = desk.board.place
    [stats] = json.loads((place.run / "device1.json").read_text())
    assert sum(one["runs"] for one in stats["programs"] if one["kind"] == "execution") > 0


def put_model(desk: Desk, compiled: str = COMPILED.name) -> None:
    """The model, its labels, image and expected class, in the unpacked bundle as share/models/cat."""
    expected = json.dumps({"top1_index": TIGER_CAT}, indent=1)
    names = {compiled: "model_edgetpu.tflite", PLAIN.name: "model.tflite"}
    names |= {LABELS.name: "labels.txt", IMAGE.name: "image.bmp"}
    copies = " && ".join(f"cp ~/{file} $cat/{name}" for file, name in names.items())
    ran = desk.run(f"cat=share/models/cat && mkdir -p $cat && {copies} && echo '{expected}' >$cat/expected.json")
    assert ran.status == 0, ran.output


def test_a_model_in_the_bundle_is_tried_by_its_own_smoke_test(desk: Desk) -> None:
    desk.install_rules()
    desk.plug()
    put_model(desk)
    ran = desk.run("CORALFORGE_RUNS=2 ./smoke.sh")
    assert ran.status == 0, ran.output
    for step in ("access", "delegate-benchmark", "agreement", "cat.delegate-benchmark", "cat.agreement"):
        assert f"ok    {step}" in ran.output


@pytest.mark.parametrize(
    ("place", "said"), [("0", "not a TensorFlow Lite model"), ("400000", "gave up the Edge TPU")]
)
def test_a_broken_model_fails_the_smoke_test(desk: Desk, place: str, said: str) -> None:
    """At 0 is the file's head; at 400000 are parameters, which the device compares with those that it was given."""
    desk.install_rules()
    desk.plug()
    damage = f"cp ~/{COMPILED.name} ~/broken.tflite && printf XXXX | dd of=$HOME/broken.tflite bs=1 seek={place}"
    assert desk.run(f"{damage} conv=notrunc").status == 0
    put_model(desk, "broken.tflite")
    ran = desk.run("CORALFORGE_RUNS=2 ./smoke.sh")
    assert (ran.status, "FAIL  cat.delegate-benchmark" in ran.output, said in ran.output) == (1, True, True), (
        ran.output
    )
    assert "ok    cat.label" in ran.output, "the plain one is not broken"


def test_a_device_that_goes_away_fails_the_smoke_test(desk: Desk) -> None:
    desk.install_rules()
    desk.plug("--fault", "output-unplug=4")
    ran = desk.run("CORALFORGE_RUNS=10 ./smoke.sh")
    assert ran.status == 1, ran.output
    assert re.search(rf"FAIL  delegate-benchmark: exit status {LOST}", ran.output), ran.output
    desk.unplug()


def test_pulled_out_and_plugged_in_again(desk: Desk) -> None:
    desk.install_rules()
    desk.plug()
    assert desk.model().status == 0
    before = desk.address()
    desk.unplug()
    assert desk.run("bin/lstpu --require").status == NO_DEVICE
    assert desk.model().status == NO_DEVICE
    desk.plug()
    plugged = desk.address()
    assert plugged > before
    assert desk.model().status == 0
    assert desk.address() > plugged, "with firmware it is another device"


def test_a_device_that_is_pulled_out_at_work_is_called_lost(desk: Desk) -> None:
    desk.install_rules()
    desk.unplug()
    desk.plug()  # without firmware
    command = desk.board.ssh.command(USER, f"cd {desk.folder}; exec bin/benchmark ~/{COMPILED.name} --runs 1000000")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        wait_until_in_use(desk)
        second = desk.model()
        desk.unplug()
        said, _ = running.communicate(timeout=NET)
    assert second.status == BUSY, second.output
    assert re.search(r"another program|process \d+", second.output)
    assert running.returncode == LOST, said
    assert "damaged" not in said


def test_a_slow_bus_is_seen(desk: Desk) -> None:
    desk.install_rules()
    desk.plug("--speed", "high")
    assert re.search(r"USB 2", desk.run("bin/lstpu").output)
    assert "usb-slow" in desk.diagnosis().ids
    assert desk.model().status == 0
    desk.unplug()


def test_a_device_that_falls_silent_is_given_up(desk: Desk) -> None:
    desk.install_rules()
    desk.plug("--fault", "hang")
    # Nothing but the limit can end it; where loading the firmware takes longer than that, it is the same.
    ran = desk.run(f"bin/model ~/{COMPILED.name} ~/{LABELS.name} ~/{IMAGE.name} 0 --timeout 10")
    assert ran.status == TIMED_OUT, ran.output
    assert "lstpu --diagnose says more" in ran.output
    desk.unplug()


def test_a_device_that_does_not_start_says_why(desk: Desk) -> None:
    desk.unplug()
    ran = desk.cli.invoke("board", "--plug", "--fault", "unheard-of", "--name", BOARD_NAME)
    assert ran.status == 5
    assert "unheard-of" in ran.stderr
    assert "[board-device, exit 5]" in ran.stderr
    assert desk.devices() == ()


def wait_until_in_use(desk: Desk) -> None:
    """Until a program has given the device its firmware, opened what it became, and claimed it."""
    path = "/sys/bus/usb/devices/[12]-1"
    claimed = f'case "$(readlink {path}:1.0/driver)" in */usbfs) true ;; *) false ;; esac'
    desk.run(f"until grep -qs 18d1 {path}/idVendor && {claimed}; do sleep 0.1; done")
