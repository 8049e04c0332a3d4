"""The emulated device: its C++ tests, and the real, unmodified libedgetpu against it.

Outputs are compared byte by byte with those of the plain model, on the same TensorFlow Lite and the same processor.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.config.userlands import oldest
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board, board_run
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.events import Recorder
from coralforge.pipeline.side_builds import make_device
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.docker

REAL = (Variant.THROTTLED, Variant.DIRECT)
ARCHES = (Arch.X86_64, Arch.AARCH64)
# Compiled models and the plain ones, of the fixture testdata.
MODELS = {
    "dense": "dense_256",
    "looming": "looming_128x128_3x3",
    "bright": "bright_128x128",  # int8 output; half a megabyte of parameters streamed for each inference
    "mobilenet": "mobilenet_v1_0.25_128_quant",
    "deeplab": "deeplabv3_mnv2_dm05_pascal_quant",  # an output in tiles; eight more operations on the CPU
}
ABORTED = 134


@dataclass(frozen=True)
class Done:
    status: int
    said: str
    seconds: float


@dataclass(frozen=True)
class Bench:
    """A built device, an unpacked bundle with the real libedgetpu, and where they run."""

    runner: DockerRunner
    image: str
    arch: Arch
    device: Path
    bundle: Path
    models: Path

    def run(self, script: str) -> Done:
        """A shell's words, as an ordinary user of a board has them; ``$RUN`` runs a program of the board's."""
        lines: list[str] = []
        spec = ContainerSpec(
            "device-test",
            self.image,
            ("sh", "-c", script),
            (Mount(self.device, "/device"), Mount(self.bundle, "/bundle"), Mount(self.models, "/data")),
            (("RUN", self.prefix(Variant.THROTTLED)), ("CORALFORGE_RUN", self.prefix(Variant.THROTTLED))),
        )
        finished = self.runner.run(spec, lines.append)
        return Done(finished.status, "\n".join(lines), finished.seconds)

    def prefix(self, variant: Variant) -> str:
        """What programs are run with: an x86_64 board's loader is given its search path."""
        libraries = f"/device/shim:/bundle/lib/{variant.value}:/bundle/lib"
        return board_run(self.arch).replace("--library-path ", f"--library-path {libraries}:")

    def check(self, *models: str, variant: Variant = Variant.THROTTLED, options: str = "", more: str = "") -> Done:
        """``device_check`` with some of MODELS and options of coral-device."""
        pairs = [(f"/data/{MODELS[name]}_edgetpu.tflite", f"/data/{MODELS[name]}.tflite") for name in models]
        given = " ".join(f"--model {compiled} {plain}" for compiled, plain in pairs)
        asked = " ".join(f"{compiled} {plain}" for compiled, plain in pairs)
        return self.run(
            f"export LD_LIBRARY_PATH=/bundle/lib/{variant.value}:/bundle/lib RUN='{self.prefix(variant)}'\n"
            f"exec /device/bin/with-device {given} {options} --"
            f" timeout 300 $RUN /device/bin/device_check {more} {asked}"
        )


@pytest.fixture(scope="module")
def runner() -> Iterator[DockerRunner]:
    runner = DockerRunner()
    yield runner
    runner.client.close()


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> dict[Arch, tuple[Path, str]]:
    """By architecture, the folder of the built device and the image; filled when they are asked for."""
    return {}


def built(devices: dict[Arch, tuple[Path, str]], arch: Arch, scratch: Path) -> tuple[Path, str]:
    if arch not in devices:
        settings = resolve(Project(ROOT), Options(arch=arch.value))
        made = make_device(settings, scratch / "device", Recorder(), tests=True)
        devices[arch] = (made.folder, made.image)
    return devices[arch]


@pytest.mark.parametrize("program", ["core_test", "server_test"])
def test_the_device_by_itself(
    program: str,
    runner: DockerRunner,
    devices: dict[Arch, tuple[Path, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, image = built(devices, Arch.X86_64, tmp_path_factory.mktemp("native"))
    lines: list[str] = []
    command = ("timeout", "300", f"/device/bin/{program}")
    spec = ContainerSpec("device-test", image, command, (Mount(folder, "/device"),))
    assert runner.run(spec, lines.append).status == 0, "\n".join(lines)[-8000:]
    said = "\n".join(lines)
    ran, passed = re.search(r"\] (\d+) tests .* ran\.", said), re.search(r"PASSED  \] (\d+) tests", said)
    assert ran and passed and int(ran[1]) == int(passed[1]) >= 15


@pytest.fixture(scope="module", params=ARCHES, ids=lambda arch: arch.value)
def bench(
    request: pytest.FixtureRequest,
    runner: DockerRunner,
    devices: dict[Arch, tuple[Path, str]],
    cli: Checkout,
    libedgetpu_source: tuple[str, ...],
    testdata: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Bench:
    arch: Arch = request.param
    scratch = tmp_path_factory.mktemp(arch.value)
    scratch.chmod(0o755)
    folder, _ = built(devices, arch, scratch)
    ran = cli.invoke("bundle", "--arch", arch.value, *libedgetpu_source)
    assert ran.status == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-8000:]}"
    [archive] = (cli.root / "dist").glob(f"*-{arch.triple}.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(scratch, filter="data")
    [bundle] = scratch.glob("coralforge-*")
    settings = resolve(Project(ROOT), Options(arch=arch.value))
    image = board(settings.project.docker, oldest(settings.floor.versions()), arch)
    tag = ImageMaker.of(settings, runner.client, Recorder()).ensure(image)
    return Bench(runner, tag, arch, folder, bundle, testdata)


@pytest.mark.parametrize("variant", REAL, ids=lambda variant: variant.value)
@pytest.mark.parametrize("model", MODELS)
def test_the_real_library_gives_the_plain_models_bytes(bench: Bench, model: str, variant: Variant) -> None:
    done = bench.check(model, variant=variant)
    assert done.status == 0, done.said
    assert re.findall(r"round \d model 0: (\d+) of", done.said) == ["0", "0"]
    assert "emulated device: this is no hardware" in done.said


@pytest.mark.parametrize("speed", ["super", "high"])
def test_two_models_take_turns_on_one_device(bench: Bench, speed: str) -> None:
    done = bench.check("dense", "mobilenet", options=f"--speed {speed} --trace --log /dev/stderr")
    assert done.status == 0, done.said
    # Compiled apart, they take the chip's memory from each other: parameters are loaded before each inference.
    assert len(re.findall(r"parameters of data/dense_256", done.said)) == 2
    assert len(re.findall(r"parameters of data/mobilenet", done.said)) == 2


@pytest.mark.parametrize(
    ("model", "fault", "differs"),
    [("dense", "wrong-output=2", ["0", "1"]), ("deeplab", "plain-layout", None)],
)
def test_a_difference_is_seen(bench: Bench, model: str, fault: str, differs: list[str] | None) -> None:
    done = bench.check(model, options=f"--fault {fault}")
    assert (done.status, "DIFFERENT" in done.said) == (1, True), done.said
    if differs is not None:
        assert re.findall(r"model 0: (\d+) of", done.said) == differs


def test_the_device_says_what_it_does_not_know(bench: Bench) -> None:
    known, other = f"/data/{MODELS['looming']}", f"/data/{MODELS['dense']}"
    script = (
        "export LD_LIBRARY_PATH=/bundle/lib/throttled:/bundle/lib\n"
        f"/device/bin/with-device --model {known}_edgetpu.tflite {known}.tflite --"
        f" $RUN /device/bin/device_check {other}_edgetpu.tflite {other}.tflite; exit $?"
    )
    done = bench.run(script)
    assert done.status == ABORTED, done.said
    assert "emulated device: instructions of 1072 bytes belong to none of the models it was given" in done.said


@pytest.mark.parametrize(
    ("start", "fault", "status", "said"),
    [
        ("app", "access", 4, "the device cannot be opened"),
        ("app", "busy", 4, "the device cannot be opened"),
        ("app", "wrong-id", 3, "no device"),
        ("dfu", "dfu-refuse", 4, "the device cannot be opened"),
        ("dfu", "dfu-stall", 4, "the device cannot be opened"),
        ("dfu", "dfu-unplug=10", 4, "the device cannot be opened"),
        ("dfu", "dfu-corrupt", 4, "the device cannot be opened"),
        ("app", "register-stall=0x1a30c", 4, "the device cannot be opened"),
        ("app", "parameters-unplug", ABORTED, "HandleEvent failed. USB transfer error 5"),
        ("app", "input-unplug=2", ABORTED, "HandleQueuedBulkIn transfer in failed. Not found: USB transfer error 5"),
        ("app", "idle-unplug=1", ABORTED, "HandleQueuedBulkIn transfer in failed. Not found: USB transfer error 5"),
        ("app", "out-stall=2", ABORTED, "bulk out for header failed. Abort."),
        ("app", "stall-output=2", ABORTED, "HandleQueuedBulkIn transfer in failed. Invalid argument"),
        ("app", "fatal=2", ABORTED, "HIB Error. hib_error_status = 0000000000000001"),
    ],
)
def test_what_the_library_makes_of_faults(bench: Bench, start: str, fault: str, status: int, said: str) -> None:
    done = bench.check("dense", options=f"--start {start} --fault {fault}")
    assert (done.status, said in done.said) == (status, True), done.said


def test_the_bundles_own_programs_meet_the_device(bench: Bench) -> None:
    model = f"/data/{MODELS['mobilenet']}"
    script = (
        f"exec /device/bin/with-device --model {model}_edgetpu.tflite {model}.tflite -- sh -c '"
        "$RUN /bundle/bin/lstpu --require && "
        f"$RUN /bundle/bin/model {model}_edgetpu.tflite /data/imagenet_labels.txt"
        " /data/cat.bmp 0 && "
        f"$RUN /bundle/bin/benchmark {model}_edgetpu.tflite --compare {model}.tflite --tolerance 0 --runs 3'"
    )
    done = bench.run(script)
    assert done.status == 0, done.said
    assert "0 of 1001 values differ; the same best class" in done.said
    assert "EMULATED  speed-up" in done.said
    assert "/sys/bus/usb/devices/2-1" in done.said
    assert "top-1: " in done.said
    assert done.said.count("emulated device: this is no hardware") == 3, "every program says so"
