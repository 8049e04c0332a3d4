"""The emulated device: its C++ tests, and the real, unmodified libedgetpu against it.

Outputs are compared byte by byte with those of the plain model, on the same TensorFlow Lite and the same processor.
"""

from __future__ import annotations

import re

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.pipeline.side_builds import SideBuild
from tests.support.wire_bench import ABORTED, ARCHES, MODELS, REAL, DeviceBench, DeviceBenches, files

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def native_device(device_benches: DeviceBenches) -> SideBuild:
    """Built before the tests, so that their times are their own."""
    return device_benches.device(Arch.X86_64)


@pytest.mark.parametrize("program", ["core_test", "server_test"])
def test_the_device_by_itself(program: str, device_benches: DeviceBenches, native_device: SideBuild) -> None:
    lines: list[str] = []
    command = ("timeout", "300", f"/device/bin/{program}")
    spec = ContainerSpec("device-test", native_device.image, command, (Mount(native_device.folder, "/device"),))
    assert device_benches.runner.run(spec, lines.append).status == 0, "\n".join(lines)[-8000:]
    said = "\n".join(lines)
    ran, passed = re.search(r"\] (\d+) tests .* ran\.", said), re.search(r"PASSED  \] (\d+) tests", said)
    assert ran and passed and int(ran[1]) == int(passed[1]) >= 15


@pytest.fixture(scope="module", params=ARCHES, ids=lambda arch: arch.value)
def bench(
    request: pytest.FixtureRequest, device_benches: DeviceBenches, libedgetpu_source: tuple[str, ...]
) -> DeviceBench:
    return device_benches.bench(request.param)


@pytest.mark.parametrize("variant", REAL, ids=lambda variant: variant.value)
@pytest.mark.parametrize("model", MODELS)
def test_the_real_library_gives_the_plain_models_bytes(bench: DeviceBench, model: str, variant: Variant) -> None:
    done = bench.check(model, variant=variant)
    assert done.status == 0, done.said
    assert re.findall(r"round \d model 0: (\d+) of", done.said) == ["0", "0"]
    assert "emulated device: this is no hardware" in done.said


@pytest.mark.parametrize("speed", ["super", "high", "full"])
def test_two_models_take_turns_on_one_device(bench: DeviceBench, speed: str) -> None:
    done = bench.check("dense", "mobilenet", options=f"--speed {speed} --trace --log /dev/stderr")
    assert done.status == 0, done.said
    # Compiled apart, they take the chip's memory from each other: parameters are loaded before each inference.
    assert len(re.findall(r"parameters of data/dense_256", done.said)) == 2
    assert len(re.findall(r"parameters of data/mobilenet", done.said)) == 2


def test_two_models_that_were_compiled_together_load_their_parameters_once(bench: DeviceBench) -> None:
    done = bench.check("small-of-two", "large-of-two", options="--trace --log /dev/stderr")
    assert done.status == 0, done.said
    assert len(re.findall(r"parameters of data/mobilenet_v1_0.25_128", done.said)) == 1
    assert len(re.findall(r"parameters of data/mobilenet_v1_0.5_160", done.said)) == 1


@pytest.mark.parametrize(
    ("model", "fault", "differs"),
    [("dense", "wrong-output=2", ["0", "1"]), ("deeplab", "plain-layout", None)],
)
def test_a_difference_is_seen(bench: DeviceBench, model: str, fault: str, differs: list[str] | None) -> None:
    done = bench.check(model, options=f"--fault {fault}")
    assert (done.status, "DIFFERENT" in done.said) == (1, True), done.said
    if differs is not None:
        assert re.findall(r"model 0: (\d+) of", done.said) == differs


@pytest.mark.parametrize(("fault", "same"), [("", 3), ("--fault wrong-output", 3)])
def test_questions_are_asked_of_device_and_cpu(bench: DeviceBench, fault: str, same: int) -> None:
    """A wrong bit is seen in each answer; the best class of these is none that one bit changes."""
    compiled, plain = files("mobilenet")
    script = (
        "head -c 147456 /dev/urandom >/tmp/questions; "
        f"exec /device/bin/with-device {fault} --model {compiled} {plain} -- $RUN /bundle/bin/benchmark {compiled} "
        f"--compare {plain} --questions /tmp/questions --runs 1 --warmup 0 --tolerance 0"
    )
    done = bench.run(script)
    differing = re.findall(r"(\d+) of 4004 values differ", done.said)
    assert (done.status, differing) == ((0, ["0"]) if not fault else (10, ["4"])), done.said
    assert f"questions: 3, counted above; the same best class for {same} of them" in done.said


def test_the_device_says_what_it_does_not_know(bench: DeviceBench) -> None:
    (known, known_plain), (other, other_plain) = files("looming"), files("dense")
    done = bench.run(
        f"/device/bin/with-device --model {known} {known_plain} --"
        f" $RUN /device/bin/device_check {other} {other_plain}; exit $?"
    )
    assert done.status == ABORTED, done.said
    assert "emulated device: instructions of 1072 bytes belong to none of the models it was given" in done.said


def test_the_bundles_own_programs_meet_the_device(bench: DeviceBench) -> None:
    compiled, plain = files("mobilenet")
    script = (
        f"exec /device/bin/with-device --model {compiled} {plain} -- sh -c '"
        "$RUN /bundle/bin/lstpu --require && "
        f"$RUN /bundle/bin/model {compiled} /data/imagenet_labels.txt /data/cat.bmp 0 && "
        f"$RUN /bundle/bin/benchmark {compiled} --compare {plain} --tolerance 0 --runs 3'"
    )
    done = bench.run(script)
    assert done.status == 0, done.said
    assert "0 of 1001 values differ; the same best class" in done.said
    assert "EMULATED  speed-up" in done.said
    assert "/sys/bus/usb/devices/2-1" in done.said
    assert "top-1: " in done.said
    assert done.said.count("emulated device: this is no hardware") == 3, "every program says so"
