"""Where the real, unmodified libedgetpu meets the emulated device: a container with a board's libraries.

One device and one bundle for each architecture, made when the first test asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.config.userlands import oldest
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board, board_run
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.events import Recorder
from coralforge.pipeline.side_builds import SideBuild, make_device
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.support.unpacked import unpacked

REAL = (Variant.THROTTLED, Variant.DIRECT)
ARCHES = (Arch.X86_64, Arch.AARCH64, Arch.ARMV7)
# Compiled models and the plain ones, of the fixture testdata, without their endings.
MODELS = {
    "dense": ("dense_256_edgetpu", "dense_256"),
    "looming": ("looming_128x128_3x3_edgetpu", "looming_128x128_3x3"),
    # int8 output; half a megabyte of parameters is streamed for each inference.
    "bright": ("bright_128x128_edgetpu", "bright_128x128"),
    "mobilenet": ("mobilenet_v1_0.25_128_quant_edgetpu", "mobilenet_v1_0.25_128_quant"),
    # An output in tiles; eight more operations on the CPU.
    "deeplab": ("deeplabv3_mnv2_dm05_pascal_quant_edgetpu", "deeplabv3_mnv2_dm05_pascal_quant"),
    "split-concat": ("split_concat_edgetpu", "split_concat"),  # three inputs, three outputs
    # Compiled together: their parameters share the chip's memory.
    "small-of-two": (
        "mobilenet_v1_0.25_128_quant_cocompiled_with_mobilenet_v1_0.5_160_quant_edgetpu",
        "mobilenet_v1_0.25_128_quant",
    ),
    "large-of-two": (
        "mobilenet_v1_0.5_160_quant_cocompiled_with_mobilenet_v1_0.25_128_quant_edgetpu",
        "mobilenet_v1_0.5_160_quant",
    ),
}
ABORTED = 134


@dataclass(frozen=True)
class Done:
    status: int
    said: str
    seconds: float


@dataclass(frozen=True)
class DeviceBench:
    """A built device, an unpacked bundle with the real libedgetpu, and where they run."""

    runner: DockerRunner
    image: str
    arch: Arch
    device: Path
    bundle: Path
    models: Path

    def run(self, script: str, variant: Variant = Variant.THROTTLED) -> Done:
        """A shell's words, as an ordinary user of a board has them; ``$RUN`` runs a program of the board's."""
        lines: list[str] = []
        spec = ContainerSpec(
            "device-test",
            self.image,
            ("sh", "-c", f"export LD_LIBRARY_PATH=/bundle/lib/{variant.value}:/bundle/lib\n{script}"),
            (Mount(self.device, "/device"), Mount(self.bundle, "/bundle"), Mount(self.models, "/data")),
            (("RUN", self.prefix(variant)), ("CORALFORGE_RUN", self.prefix(variant))),
        )
        finished = self.runner.run(spec, lines.append)
        return Done(finished.status, "\n".join(lines), finished.seconds)

    def prefix(self, variant: Variant) -> str:
        """The words that programs are run with: an x86_64 board's loader is given its search path."""
        libraries = f"/device/shim:/bundle/lib/{variant.value}:/bundle/lib"
        return board_run(self.arch).replace("--library-path ", f"--library-path {libraries}:")

    def check(self, *models: str, variant: Variant = Variant.THROTTLED, options: str = "", more: str = "") -> Done:
        """``device_check`` with some of MODELS and options of coral-device."""
        given = " ".join(f"--model {compiled} {plain}" for compiled, plain in map(files, models))
        asked = " ".join(f"{compiled} {plain}" for compiled, plain in map(files, models))
        return self.run(
            f"exec /device/bin/with-device {given} {options} --"
            f" timeout 300 $RUN /device/bin/device_check {more} {asked}",
            variant,
        )


def files(model: str) -> tuple[str, str]:
    """In the container, the compiled one of MODELS and the plain one that it came from."""
    compiled, plain = MODELS[model]
    return f"/data/{compiled}.tflite", f"/data/{plain}.tflite"


@dataclass
class DeviceBenches:
    """Devices and benches by architecture, each made once."""

    runner: DockerRunner
    scratch: Path
    models: Path
    """The fixture testdata."""
    make_bundle: Callable[[Arch], Path]
    """Gives the archive of a bundle with both real variants."""
    devices: dict[Arch, SideBuild] = field(default_factory=dict)
    benches: dict[Arch, DeviceBench] = field(default_factory=dict)

    def device(self, arch: Arch) -> SideBuild:
        """The device with its tests. Most of building it is TensorFlow Lite, unless the cache has that."""
        if arch not in self.devices:
            settings = resolve(Project(ROOT), Options(arch=arch.value))
            self.devices[arch] = make_device(settings, self.scratch / f"device-{arch.value}", Recorder(), tests=True)
        return self.devices[arch]

    def bench(self, arch: Arch) -> DeviceBench:
        if arch not in self.benches:
            device = self.device(arch).folder
            bundle = unpacked(self.make_bundle(arch), self.scratch)
            settings = resolve(Project(ROOT), Options(arch=arch.value))
            image = board(settings.project.docker, oldest(settings.floor.versions()), arch)
            tag = ImageMaker.of(settings, self.runner.client, Recorder()).ensure(image)
            self.benches[arch] = DeviceBench(self.runner, tag, arch, device, bundle, self.models)
        return self.benches[arch]
