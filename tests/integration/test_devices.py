"""What the bundle's programs say of an Edge TPU that cannot be used, fails, or belongs to another program.

The programs and TensorFlow Lite are those of the bundle. In the place of libedgetpu is a test double that ends as the
real library does when a device fails; the system's view of the device is a folder (CORAL_TEST_ROOT).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coralforge.containers.spec import Mount
from tests.support.device_bench import RUN, Bench, device_bench

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DEVICE = "/sys/bus/usb/devices/2-1"
NODE = "/dev/bus/usb/002/004"

# The board of every test: an accelerator at port 1 of bus 2, and functions that run programs of the bundle. `model`
# and `lstpu` print what they say and their exit code; `first &` has the device for ever, `opened` waits until it has.
PRELUDE = f"""
set -u
root=/tmp/root; export CORAL_TEST_ROOT=$root; export DOUBLE_PATH={DEVICE}
mkdir -p $root{DEVICE} $root/sys/bus/usb/devices/2-0:1.0/usb2-port1 $root/dev/bus/usb/002
cd $root{DEVICE}
echo 18d1 >idVendor; echo 9302 >idProduct; echo 2 >busnum; echo 4 >devnum; echo 5000 >speed
ln -s ../2-0:1.0/usb2-port1 port; : >$root{NODE}; chmod 666 $root{NODE}; cd /tmp
program() {{ LD_LIBRARY_PATH=/double {RUN} /bundle/bin/"$@"; }}
compiled=/bundle/share/models/model_edgetpu-sim.tflite plain=/bundle/share/models/model.tflite
labels=/bundle/share/models/labels.txt
model() {{ program model $compiled $labels 0.5 "$@"; echo "exit $?"; }}
lstpu() {{ program lstpu "$@"; echo "exit $?"; }}
first() {{
    export LD_LIBRARY_PATH=/double DOUBLE_INVOKE=hang
    exec {RUN} /bundle/bin/model $compiled $labels 0.5 --timeout 0 2>/tmp/first
}}
opened() {{ while ! grep -qs OPENED /tmp/first; do sleep 0.1; done; }}
"""


@pytest.fixture(scope="module")
def bench(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with device_bench(bundle, tmp_path_factory.mktemp("devices")) as bench:
        yield bench


def run(bench: Bench, script: str, *mounts: Mount) -> list[str]:
    return bench.run(PRELUDE + script, *mounts)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the sockets within the test, where the filter above holds."""
    yield
    gc.collect()


def errors(lines: list[str]) -> list[str]:
    return [line for line in lines if ": error: " in line]


def benchmark(bench: Bench, prepare: str, *options: str) -> tuple[dict[str, Any], list[str]]:
    """What benchmark measured of the compiled model, as JSON, and all lines; ``prepare`` is for the shell."""
    lines = run(bench, f"{prepare}; program benchmark $compiled --runs 20 {' '.join(options)} --json; echo exit $?")
    whole = lines[lines.index("{") : lines.index("}") + 1] if "{" in lines else ["{}"]
    return json.loads("\n".join(whole)), lines


def test_benchmark_measures_and_keeps_the_first_inference_apart(bench: Bench) -> None:
    found, lines = benchmark(bench, "true")
    ms = found["ms"]
    assert ms["min"] <= ms["median"] <= ms["p90"] <= ms["p99"] <= ms["max"]
    assert ms["min"] <= ms["mean"] <= ms["max"] and ms["stddev"] >= 0
    assert found["first_ms"] > 0 and found["ready_ms"] > 0
    assert (found["ran_on"], found["figures"], found["usb_mbits"]) == ("edgetpu", "measured", 5000)
    assert found["compared"] is None
    assert lines[-1] == "exit 0"


def test_benchmark_sees_that_the_outputs_are_wrong(bench: Bench) -> None:
    """The double answers zeros to everything."""
    found, lines = benchmark(bench, "true", "--compare $plain", "--tolerance 1")
    compared = found["compared"]
    assert compared["ran_on"] == "cpu"
    assert compared["differing"] > 0 and compared["max_steps"] > 1
    assert compared["within_tolerance"] is False
    assert found["delegated_operations"] == 1
    assert "differ from the CPU's by more than 1.0 steps" in errors(lines)[0]
    assert lines[-1] == "exit 10"
    assert benchmark(bench, "true", "--compare $plain")[1][-1] == "exit 0"


def test_benchmark_asks_both_for_each_sample(bench: Bench) -> None:
    """The double answers zeros: class 0 for all, of which the CPU finds others."""
    prepare = "head -c 98304 /dev/urandom >/tmp/questions"  # two pictures of 128 x 128
    found, _ = benchmark(bench, prepare, "--compare $plain", "--questions /tmp/questions")
    compared = found["compared"]
    assert (compared["questions"], compared["questions_same_best"]) == (2, 0)
    assert compared["values"] == 3 * 1001
    found, _ = benchmark(bench, "true", "--compare $plain")
    assert (found["compared"]["questions"], found["compared"]["questions_same_best"]) == (0, None)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("$compiled --questions $plain", 2, "--questions goes with --compare"),
        (
            "$compiled --compare $plain --questions $compiled",
            3,
            "which are not 1 to 1000 inputs of the model",
        ),
        ("$compiled --compare $plain --questions /none", 3, "cannot read /none"),
        ("$plain --compare $plain", 3, "it ran on the CPU, and there is nothing to compare it with"),
        ("$compiled --compare $compiled", 3, "--compare takes the model"),
        ("$compiled --tolerance 1", 2, "--tolerance goes with --compare"),
        ("$compiled --expect usb4=1", 2, "not 'usb4=1'"),
    ],
)
def test_benchmark_compares_no_pair_that_is_none(bench: Bench, options: str, status: int, said: str) -> None:
    lines = run(bench, f"program benchmark {options}; echo exit $?")
    assert said in errors(lines)[0]
    assert lines[-1] == f"exit {status}"


def test_a_model_that_the_delegate_does_not_take_is_not_run_on_the_cpu_instead(bench: Bench) -> None:
    lines = run(
        bench, "export DOUBLE_TAKE=nothing; model; program benchmark $compiled --compare $plain; echo exit $?"
    )
    assert len(errors(lines)) == 2
    assert [line for line in lines if line.startswith("exit")] == ["exit 5", "exit 5"]


def test_far_slower_than_expected_is_a_warning_that_says_what_to_look_at(bench: Bench) -> None:
    prepare = f"echo 480 >$root{DEVICE}/speed"
    found, lines = benchmark(bench, prepare, "--expect usb3=0.000001,usb2=0.000001")
    assert found["expected_ms"] is not None and found["times_expected"] > 3
    for suspect in ("USB 2 speed", "hot", "power supply"):
        assert suspect in found["warning"]
    assert any(line.startswith("benchmark: warning: an inference takes") for line in lines)
    assert lines[-1] == "exit 0"
    found, _ = benchmark(bench, prepare, "--expect usb2=100000")
    assert (found["warning"], found["no_expectation"]) == ("", "")
    assert found["times_expected"] < 1


@pytest.mark.parametrize(
    ("prepare", "options", "reason"),
    [
        (f"echo EMULATED Edge TPU >$root{DEVICE}/product", "usb3=0.000001", "it is EMULATED"),
        (f"rm $root{DEVICE}/speed", "usb3=0.000001", "does not say how fast"),
        ("true", "usb2=0.000001", "nothing is known of this model at usb3"),
    ],
)
def test_nothing_is_expected_where_nothing_can_be_known(
    bench: Bench, prepare: str, options: str, reason: str
) -> None:
    found, _ = benchmark(bench, prepare, f"--expect {options}")
    assert reason in found["no_expectation"]
    assert (found["expected_ms"], found["warning"]) == (None, "")


def test_figures_of_an_emulated_device_say_so(bench: Bench) -> None:
    lines = run(
        bench, f"echo 'EMULATED Edge TPU (coral-device)' >$root{DEVICE}/product; program benchmark $compiled; model"
    )
    for figure in ("ms per inference", "fps", "ms until ready"):
        [line] = [line for line in lines if figure in line]
        assert line.startswith("EMULATED  ")
    assert len([line for line in lines if line.startswith("ran: EMULATED, not on an Edge TPU (usb ")]) == 2


def test_a_device_that_works_runs_the_model(bench: Bench) -> None:
    lines = run(bench, "model")
    assert errors(lines) == []
    assert f"ran: on the Edge TPU (usb {DEVICE}; 1 of 1 operations)" in lines
    assert lines[-1] == "exit 0"


def test_a_device_that_may_not_be_opened_is_one_line_and_not_tried(bench: Bench) -> None:
    lines = run(bench, f"chmod 0 $root{NODE}; model; lstpu --check")
    text, again = errors(lines)
    for part in (
        "may not open the Edge TPU usb 2-1",
        NODE,
        "mode 0000",
        "70-coral-edgetpu.rules",
        "usermod -aG plugdev",
    ):
        assert part in text
    assert text.partition(": error: ")[2] == again.partition(": error: ")[2]
    assert "OPENED" not in lines
    assert [line for line in lines if line.startswith("exit")] == ["exit 6", "exit 6"]


def test_where_there_is_no_group_it_is_made_first(bench: Bench, tmp_path: Path) -> None:
    groups = tmp_path / "group"
    groups.write_text("root:x:0:\n")
    groups.chmod(0o644)
    [text] = errors(run(bench, f"chmod 0 $root{NODE}; model", Mount(groups, "/etc/group")))
    assert "as root, run: groupadd plugdev && cp " in text


def test_a_device_without_its_node_is_named(bench: Bench) -> None:
    lines = run(bench, f"rm $root{NODE}; model")
    assert f"there is no /tmp/root{NODE}" in errors(lines)[0]
    assert "OPENED" not in lines
    assert lines[-1] == "exit 6"


def test_lstpu_shows_speed_firmware_and_whether_it_may_be_opened(bench: Bench) -> None:
    lines = run(
        bench, f"cd $root{DEVICE}; lstpu; echo 480 >speed; echo 1a6e >idVendor; echo 089a >idProduct; lstpu --json"
    )
    assert lines[0] == f"0  USB  {DEVICE}  USB 3 (5000 Mbit/s), may be opened"
    data = json.loads("\n".join(lines[lines.index("{") : lines.index("}") + 1]))
    assert data["devices"] == [
        {
            "index": 0, "type": "usb", "path": DEVICE, "state": "usable",
            "node": f"/tmp/root{NODE}", "firmware": False, "mbits": 480,
        }
    ]  # fmt: skip
    assert data["count"] == 1
    assert data["unlisted"] == []


def test_one_that_libedgetpu_does_not_list_is_told_apart_from_none(bench: Bench) -> None:
    lines = run(bench, "unset DOUBLE_PATH; lstpu --require; model; rm -r $root/sys; lstpu --require; model")
    assert [line for line in lines if line.startswith("exit")] == ["exit 4"] * 4
    assert "is plugged in, but libedgetpu does not see it" in errors(lines)[0]
    assert "there is none here" in errors(lines)[1]


def test_one_that_is_not_listed_since_it_has_no_node_is_forbidden_and_not_absent(bench: Bench) -> None:
    lines = run(bench, f"unset DOUBLE_PATH; rm $root{NODE}; lstpu --check; lstpu --diagnose; model")
    assert [line for line in lines if line.startswith("exit")] == ["exit 6"] * 3
    assert f"there is no /tmp/root{NODE}" in errors(lines)[0]


@pytest.mark.parametrize("where", ["OPEN", "INVOKE"])
def test_every_wait_has_an_end(bench: Bench, where: str) -> None:
    lines = run(bench, f"export DOUBLE_{where}=hang; model --timeout 5")
    [text] = errors(lines)
    assert "Edge TPU usb 2-1 did not end within 5 s; check the cable" in text
    assert lines[-1] == "exit 9"


@pytest.mark.parametrize("where", ["OPEN", "INVOKE"])
def test_a_device_that_the_library_gives_up_is_no_damaged_model(bench: Bench, where: str) -> None:
    lines = run(bench, f"export DOUBLE_{where}=abort; model")
    [text] = errors(lines)
    assert "libedgetpu gave up the Edge TPU usb 2-1" in text
    assert "check the cable" in text
    assert "damaged" not in text
    assert lines[-1] == "exit 8"


@pytest.mark.parametrize("how", ["abort", "fail"])
def test_a_device_that_was_unplugged_is_said_to_be_gone(bench: Bench, how: str) -> None:
    lines = run(bench, f"export DOUBLE_INVOKE={how} DOUBLE_UNPLUG=$root{DEVICE}:$root{NODE}; model")
    [text] = errors(lines)
    assert "the Edge TPU usb 2-1 went away" in text
    assert lines[-1] == "exit 8"


def test_a_model_that_fails_on_a_device_that_is_there_is_the_models_failure(bench: Bench) -> None:
    lines = run(bench, "export DOUBLE_INVOKE=fail; model")
    assert "failed while it ran" in errors(lines)[0]
    assert lines[-1] == "exit 5"


def test_one_that_does_not_open_is_said_to_be_silent_or_without_firmware(bench: Bench) -> None:
    lines = run(
        bench, f"export DOUBLE_OPEN=null; cd $root{DEVICE}; model; echo 1a6e >idVendor; echo 089a >idProduct; model"
    )
    assert "does not answer" in errors(lines)[0]
    assert "did not take its firmware" in errors(lines)[1]
    assert [line for line in lines if line.startswith("exit")] == ["exit 8", "exit 8"]


def test_a_second_program_leaves_the_device_to_the_first(bench: Bench) -> None:
    lines = run(
        bench,
        'first & first=$!; opened\necho "first $first"; model; lstpu --check; kill -9 $first; wait $first; model',
    )
    [first] = [line.split()[1] for line in lines if line.startswith("first")]
    refused, listed = errors(lines)
    assert f"is used by process {first} (" in refused
    assert f"is used by process {first} (" in listed
    # The lock ends with the process, even one that was killed.
    assert [line for line in lines if line.startswith("exit")] == ["exit 7", "exit 7", "exit 0"]
    assert lines.count("OPENED") == 1


def test_a_program_of_others_that_has_the_device_open_is_found(bench: Bench) -> None:
    lines = run(
        bench,
        f"sleep 600 <>$root{NODE} & other=$!; echo other $other; model; kill $other; wait $other\n"
        f"sleep 600 <$root{NODE} & reader=$!; model; kill $reader",
    )
    [other] = [line.split()[1] for line in lines if line.startswith("other")]
    assert f"is used by process {other} (sleep)" in errors(lines)[0]
    assert [line for line in lines if line.startswith("exit")] == ["exit 7", "exit 0"]


def test_who_has_the_device_is_diagnosed(bench: Bench) -> None:
    lines = run(bench, f"sleep 600 <>$root{NODE} & other=$!; echo other $other; lstpu --diagnose; kill $other")
    [other] = [line.split()[1] for line in lines if line.startswith("other")]
    assert any(line.startswith("1. in the way: ") and f"process {other} (sleep)" in line for line in lines)
    assert lines[-1] == "exit 7"


def test_a_node_that_even_its_group_cannot_open_is_a_policys_fault(bench: Bench) -> None:
    lines = run(bench, f"chmod 0060 $root{NODE}; lstpu --diagnose")
    assert any("SELinux" in line for line in lines)
    assert lines[-1] == "exit 6"


def test_a_failure_at_work_names_what_the_diagnosis_names(bench: Bench) -> None:
    lines = run(bench, "export DOUBLE_INVOKE=hang; model --timeout 5; export DOUBLE_INVOKE=abort; model")
    for text in errors(lines):
        assert "check the cable" in text and text.endswith("lstpu --diagnose says more")
