"""The emulated board with a bundle and a test double of libedgetpu, for tests of what the programs say of devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.arch import Arch
from coralforge.config.userlands import oldest
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board, board_run
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.containers.toolchain import builder as builder_image
from coralforge.events import Recorder
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.support.unpacked import unpacked as unpacked_by_tar

DOUBLE = ROOT / "tests/support/libedgetpu_double.cc"
RUN = board_run(Arch.AARCH64)


@dataclass(frozen=True)
class Bench:
    """Runs shell scripts on the emulated board, with the bundle and the double."""

    runner: DockerRunner
    image: str
    mounts: tuple[Mount, ...]

    def run(self, script: str, *mounts: Mount) -> list[str]:
        """The lines of the script, errors in their place; the bundle is in /bundle, the double in /double."""
        lines: list[str] = []
        spec = ContainerSpec("test", self.image, ("/bin/sh", "-c", f"exec 2>&1\n{script}"), (*self.mounts, *mounts))
        self.runner.run(spec, lines.append)
        return lines


@contextmanager
def device_bench(bundle: Path, folder: Path) -> Iterator[Bench]:
    """A bench for the bundle; ``folder`` is empty and takes what it needs."""
    unpacked = unpacked_by_tar(bundle, folder)
    settings = resolve(Project(ROOT), Options())
    runner = DockerRunner()
    out = folder / "double"
    out.mkdir()
    out.chmod(0o777)
    folder.chmod(0o755)
    (folder / "exports").write_text("VER_1.0 { global: edgetpu_*; local: *; };\n")
    command = (
        "clang++ --target=aarch64-linux-gnu --sysroot=/opt/sysroots/aarch64-linux-gnu -fuse-ld=lld -std=c++17 -O1 "
        "-fPIC -shared -Wl,-soname,libedgetpu.so.1 -Wl,--version-script=/request/exports -I/bundle/include "
        "/double.cc -o /out/libedgetpu.so.1"
    )
    mounts = (
        Mount(unpacked, "/bundle"),
        Mount(DOUBLE, "/double.cc"),
        Mount(folder / "exports", "/request/exports"),
        Mount(out, "/out", writable=True),
    )
    lines: list[str] = []
    builder = builder_image(settings)
    done = runner.run(ContainerSpec("double", builder.tag, ("sh", "-c", command), mounts), lines.append)
    assert done.status == 0, "\n".join(lines)
    wanted = board(settings.project.docker, oldest(settings.floor.versions()), settings.arch)
    image = ImageMaker.of(settings, runner.client, Recorder()).ensure(wanted)
    yield Bench(runner, image, (Mount(unpacked, "/bundle"), Mount(out, "/double")))
    runner.client.close()
