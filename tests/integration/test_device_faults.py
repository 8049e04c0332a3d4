"""What goes wrong at the wire: what the real libedgetpu makes of it, and what the bundle's programs say.

On this machine's architecture, since libedgetpu has the same source on each. The table is in docs/device.md. What
needs a kernel (permissions, a second program, numbers that change) is in test_emulated_board.py, and with a test
double in test_devices.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from tests.support.wire_bench import ABORTED, REAL, DeviceBench, DeviceBenches, Done, files

pytestmark = pytest.mark.docker

# Exit codes of device_check and of the bundle's programs.
NO_DEVICE, NOT_OPENED = 3, 4
NO_EDGE_TPU, LOST, TIMED_OUT = 4, 8, 9
STOPPED = 124  # by timeout(1)

GAVE_UP = "libedgetpu gave up the Edge TPU usb 2-1"
SILENT = "does not answer, or a program of another user has it"
NO_FIRMWARE = "did not take its firmware"
CHECK = "check the cable, the port"


@dataclass(frozen=True)
class Case:
    """A fault of coral-device; how device_check ends and what is in its words; the same for bin/model."""

    fault: str
    status: int
    library: str
    code: int
    program: str
    slow: bool = False
    """The library waits half a minute before it gives up: one variant is enough."""


# While the device is opened: without firmware.
DFU = (
    Case("dfu-refuse", NOT_OPENED, "cannot be opened", LOST, NO_FIRMWARE),
    Case("dfu-stall", NOT_OPENED, "cannot be opened", LOST, NO_FIRMWARE),
    Case("dfu-unplug=10", NOT_OPENED, "cannot be opened", LOST, NO_FIRMWARE),
    Case("dfu-corrupt", NOT_OPENED, "cannot be opened", LOST, NO_FIRMWARE),
    Case("dfu-silent", NOT_OPENED, "cannot be opened", LOST, NO_FIRMWARE, slow=True),
    Case("lost-after-reset", NOT_OPENED, "cannot be opened", LOST, NO_FIRMWARE, slow=True),
)
# While it is opened, with firmware.
OPENING = (
    Case("wrong-id", NO_DEVICE, "no device", NO_EDGE_TPU, "libedgetpu does not see it"),
    Case("access", NOT_OPENED, "cannot be opened", LOST, SILENT, slow=True),
    Case("busy", NOT_OPENED, "cannot be opened", LOST, SILENT),
    Case("register-stall=0x1a30c", NOT_OPENED, "cannot be opened", LOST, SILENT),
    Case("register-silent=0x1a30c", NOT_OPENED, "cannot be opened", LOST, SILENT, slow=True),
)
# While it is used.
USING = (
    Case("parameters-unplug", ABORTED, "HandleEvent failed. USB transfer error 5", LOST, GAVE_UP),
    Case("input-unplug", ABORTED, "Not found: USB transfer error 5", LOST, GAVE_UP),
    Case("output-unplug", ABORTED, "Not found: USB transfer error 5", LOST, GAVE_UP),
    Case("out-stall", ABORTED, "Abort. Invalid argument: USB transfer error 4", LOST, GAVE_UP),
    Case("out-silent", ABORTED, "Abort. Deadline exceeded: USB transfer error 2", LOST, GAVE_UP),
    Case("stall-output", ABORTED, "transfer in failed. Invalid argument: USB transfer error 4", LOST, GAVE_UP),
    Case("fatal", ABORTED, "HIB Error. hib_error_status = 0000000000000001", LOST, GAVE_UP),
)
FAULTS = (*DFU, *OPENING, *USING)
# The library never returns. However long it is given, it must be stopped; so a slow machine changes nothing.
ENDLESS = ("hang", "no-output", "short-output", "no-event")
GIVEN = 12  # seconds; three or four are usual

APP_ID, DFU_ID = ("18d1", "9302"), ("1a6e", "089a")
# A device at port 1 of bus 2, in a folder in place of the system's.
SYSTEM = """
root=/tmp/root; export CORAL_TEST_ROOT=$root
at=$root/sys/bus/usb/devices/2-1; mkdir -p $at $root/dev/bus/usb/002 $root/port; ln -s ../../../../../port $at/port
echo {vendor} >$at/idVendor; echo {product} >$at/idProduct; echo 2 >$at/busnum; echo 4 >$at/devnum
echo 5000 >$at/speed
: >$root/dev/bus/usb/002/004; chmod 666 $root/dev/bus/usb/002/004
"""
FUNCTIONS = """
model() {{
    limit=${{1:-600}}; [ $# -eq 0 ] || shift
    $RUN /bundle/bin/model {compiled} /data/imagenet_labels.txt /data/cat.bmp 0 --timeout $limit "$@"
    echo "exit $?"
}}
check() {{ $RUN /device/bin/device_check "$@" {compiled} {plain}; }}
tell() {{ $CORALFORGE_RUN /device/bin/coral-device --tell $CORAL_DEVICE_SOCKET $1; }}
"""


@pytest.fixture(scope="module")
def bench(device_benches: DeviceBenches, libedgetpu_source: tuple[str, ...]) -> DeviceBench:
    return device_benches.bench(Arch.X86_64)


def start_of(case: Case) -> str:
    return "dfu" if case in DFU else "app"


def programs(bench: DeviceBench, options: str, script: str, start: str = "app") -> Done:
    """A shell's words, with a device at the wire that the system knows.

    Functions in them: ``model [SECONDS]`` runs the bundle's bin/model and prints its exit code; ``check`` runs
    device_check; ``tell COMMAND`` tells the device.
    """
    (compiled, plain), (vendor, product) = files("mobilenet"), DFU_ID if start == "dfu" else APP_ID
    words = SYSTEM.format(vendor=vendor, product=product) + FUNCTIONS.format(compiled=compiled, plain=plain)
    return bench.run(
        f"cat >/tmp/script <<'END'\n{words}{script}\nEND\n"
        f"exec /device/bin/with-device --start {start} --model {compiled} {plain} {options} -- sh /tmp/script"
    )


ONCE = [(case, variant) for case in FAULTS for variant in REAL if variant is REAL[0] or not case.slow]


@pytest.mark.parametrize(("case", "variant"), ONCE, ids=lambda value: getattr(value, "fault", value))
def test_what_the_library_makes_of_a_fault(bench: DeviceBench, case: Case, variant: Variant) -> None:
    done = bench.check("dense", variant=variant, options=f"--start {start_of(case)} --fault {case.fault}")
    assert (done.status, case.library in done.said) == (case.status, True), done.said


def test_the_library_aborts_when_its_device_goes_after_an_inference(bench: DeviceBench) -> None:
    done = bench.check("dense", options="--start app --fault idle-unplug=1")
    assert done.status == ABORTED, done.said
    assert "HandleQueuedBulkIn transfer in failed. Not found: USB transfer error 5" in done.said


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.fault)
def test_what_programs_say_of_a_fault(bench: DeviceBench, case: Case) -> None:
    done = programs(bench, f"--fault {case.fault}", "model", start_of(case))
    [line] = errors(done)
    assert (f"exit {case.code}" in done.said, case.program in line) == (True, True), done.said
    assert "damaged" not in line
    assert CHECK in line or case.code != LOST


@pytest.mark.parametrize("variant", REAL, ids=lambda variant: variant.value)
@pytest.mark.parametrize("fault", ENDLESS)
def test_the_library_waits_for_ever(bench: DeviceBench, fault: str, variant: Variant) -> None:
    compiled, plain = files("dense")
    done = bench.run(
        f"exec /device/bin/with-device --start app --model {compiled} {plain} --fault {fault} --"
        f" timeout {GIVEN} $RUN /device/bin/device_check {compiled} {plain}",
        variant,
    )
    assert done.status == STOPPED, done.said


@pytest.mark.parametrize("fault", ENDLESS)
def test_programs_give_up_and_leave_the_device_to_the_next(bench: DeviceBench, fault: str) -> None:
    done = programs(bench, f"--fault {fault}", f"model {GIVEN}; tell no-faults; model")
    [line] = errors(done)
    assert f"did not end within {GIVEN} s; {CHECK}" in line
    assert exits(done) == [TIMED_OUT, 0], done.said


def test_a_device_that_was_lost_can_be_used_when_it_is_back(bench: DeviceBench) -> None:
    done = programs(bench, "--fault output-unplug", "model; model; tell no-faults; tell plug; model")
    assert exits(done) == [LOST, NO_EDGE_TPU, 0], done.said


# A first program that has the device open and idle; what it says goes to /tmp/first.
FIRST = """
mkfifo /tmp/go; check --pause </tmp/go >/tmp/first 2>&1 & exec 3>/tmp/go
until grep -q 'pause: open and idle' /tmp/first; do sleep 0.1; done
"""


@pytest.mark.parametrize(("how", "then"), [("tell unplug", "exit 0"), ("check", "device_check: equal\nexit 0")])
def test_the_library_aborts_when_its_idle_device_is_taken(bench: DeviceBench, how: str, then: str) -> None:
    done = programs(bench, "", f'{FIRST}\n{how}; echo "exit $?"; wait $!; echo "first $?"; cat /tmp/first')
    assert then in done.said, done.said
    assert f"first {ABORTED}" in done.said, done.said
    assert "HandleEvent failed. USB transfer error 5" in done.said


def test_two_devices_are_two(bench: DeviceBench) -> None:
    done = programs(bench, "--devices 2", "$RUN /bundle/bin/lstpu; model; model 600 --device 1; model 600 --device 2")
    assert all(f"/sys/bus/usb/devices/2-{port}" in done.said for port in (1, 2)), done.said
    assert exits(done) == [0, 0, NO_EDGE_TPU], done.said
    assert "there is no device 2" in errors(done)[0]


def errors(done: Done) -> list[str]:
    return [line for line in done.said.splitlines() if ": error: " in line]


def exits(done: Done) -> list[int]:
    return [int(line.split()[1]) for line in done.said.splitlines() if line.startswith("exit ")]
