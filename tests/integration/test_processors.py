"""The x86-64 libraries on processors old and new: kernels are chosen at run time, and all give the same answers.

The old one is QEMU's Nehalem (2008: SSE4.2, no AVX); the new ones are its own (AVX2) and this machine's own.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.config.arch import Arch
from coralforge.config.userlands import USERLANDS
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board, board_run, make_image
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.containers.toolchain import builder
from coralforge.events import Recorder
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.integration.conftest import MOST_BYTES, Checkout
from tests.support.unpacked import unpacked

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

X86_64 = Arch.X86_64
SETTINGS = resolve(Project(ROOT), Options(arch=X86_64.value))
LIBRARIES = ("libtensorflowlite.so", "libtensorflowlite_c.so")
MODELS = [
    f"{name}.tflite"
    for name in (
        "dense_256",
        "keras_lstm_mnist_ptq",
        "looming_128x128_3x3",
        "mobilenet_v1_0.25_128_quant",
        "mobilenet_v2_1.0_224_quant",
    )
]
SMALL = "mobilenet_v1_0.25_128_quant.tflite"
# Multiplications that the C library has none of, and how many at least: in ruy's kernels, and in those of depthwise
# convolutions (ruy has only a few of these).
KERNELS = {"vpmaddwd ymm": 10, "vpmaddwd zmm": 10, "vpmulld ymm": 50}
# Where Bazel keeps what toolchains/bazel/overlays/*/tensorflow/lite/avx2 became.
OBJECTS = "bazel/*/bazel/*/execroot/_main/bazel-out/k8-opt/bin/external/*org_tensorflow/tensorflow/lite/_objs/avx2"
BUILD = """
clang --target={triple} --sysroot=/opt/sysroots/{triple} -fuse-ld=lld -O2 -Wall -Werror -isystem /bundle/include \
    -o /out/outputs /sources/outputs.c /bundle/lib/libtensorflowlite_c.so -Wl,-rpath,/bundle/lib
"""


@dataclass(frozen=True)
class Bench:
    """A bundle for x86-64, a program that prints digests of models' outputs, and QEMU."""

    runner: DockerRunner
    bundle: Path
    models: Path
    programs: Path
    builder: str
    emulator: str

    def run(self, image: str, script: str, *more: Mount) -> list[str]:
        """What a shell script prints that ends well."""
        mounts = (Mount(self.bundle, "/bundle"), Mount(self.models, "/models"), Mount(self.programs, "/out"), *more)
        lines: list[str] = []
        done = self.runner.run(ContainerSpec("test", image, ("sh", "-ec", script), mounts), lines.append)
        assert done.status == 0, "\n".join(lines[-40:])
        return lines

    def answers(self, how: str) -> list[bytes]:
        """The output of each model on fixed bytes; ``how`` starts programs of the bundle."""
        models = " ".join(f"/models/{name}" for name in MODELS)
        return [bytes.fromhex(line) for line in self.run(self.emulator, f"{how} /out/outputs {models}")]


@pytest.fixture(scope="module")
def bench(cli: Checkout, testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    ran = cli.invoke("bundle", "--arch", X86_64.value, "--variant", "simulated")
    assert ran.status == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-8000:]}"
    scratch = tmp_path_factory.mktemp("processors")
    scratch.chmod(0o755)
    [archive] = (cli.root / "dist").glob(f"*-{X86_64.triple}.tar.gz")
    unpacked(archive, scratch)
    programs = scratch / "programs"
    programs.mkdir()
    programs.chmod(0o777)
    runner = DockerRunner()
    maker = ImageMaker.of(SETTINGS, runner.client, Recorder())
    usual = board(ROOT / "docker", USERLANDS[-1], X86_64)
    arguments = {**dict(usual.arguments), "EMULATOR": X86_64.row.emulator}
    emulator = make_image(ROOT / "docker", "board", arguments, files=dict(usual.files))
    bundle = scratch / archive.name.removesuffix(".tar.gz")
    bench = Bench(runner, bundle, testdata, programs, maker.ensure(builder(SETTINGS)), maker.ensure(emulator))
    lines: list[str] = []
    mounts = (
        Mount(bundle, "/bundle"),
        Mount(ROOT / "tests/integration/processors", "/sources"),
        Mount(programs, "/out", writable=True),
    )
    command = ("sh", "-ec", BUILD.format(triple=X86_64.triple))
    assert runner.run(ContainerSpec("test", bench.builder, command, mounts), lines.append).status == 0, lines
    yield bench
    runner.client.close()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the sockets within the test, where the filter above holds."""
    yield
    gc.collect()


def emulated(processor: str, options: str = "") -> str:
    return f"{X86_64.row.emulator} -cpu {processor} {options} -L /board"


def test_old_and_new_processors_give_the_same_answers(bench: Bench) -> None:
    """Without AVX, matrix products are rounded in another way, which TensorFlow Lite allows."""
    old, new, own = (bench.answers(how) for how in (emulated("Nehalem"), emulated("max"), board_run(X86_64)))
    assert new == own
    for name, one, other in zip(MODELS, old, new, strict=True):
        assert max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0) <= 4, name
        assert one.index(max(one)) == other.index(max(other)), name


def test_the_libraries_stay_small(bench: Bench) -> None:
    assert sum((bench.bundle / "lib" / library).stat().st_size for library in LIBRARIES) < MOST_BYTES


@pytest.mark.parametrize("library", LIBRARIES)
def test_kernels_for_newer_processors_are_in_the_libraries(bench: Bench, library: str) -> None:
    code = bench.run(bench.builder, f"llvm-objdump -d /bundle/lib/{library} | grep -E 'vpm(addwd|ulld)'")
    for kernel, least in KERNELS.items():
        instruction, registers = kernel.split()
        assert sum(instruction in line and registers in line for line in code) >= least, kernel


@pytest.mark.parametrize(("processor", "used"), [("Nehalem", False), ("max", True)])
def test_kernels_are_chosen_at_run_time(bench: Bench, processor: str, used: bool) -> None:
    how = emulated(processor, "-d in_asm -D /tmp/log")
    script = f"{how} /out/outputs /models/{SMALL} > /dev/null; grep -c vpmaddwd /tmp/log || true"
    [count] = bench.run(bench.emulator, script)
    assert (int(count) > 10) == used


def test_only_functions_of_their_own_use_avx2(bench: Bench) -> None:
    """An inline function that others have too must not: the linker keeps one copy, and it may be that one."""
    folders = sorted(SETTINGS.cache.root.glob(OBJECTS), key=lambda path: path.stat().st_mtime)
    if not folders:
        pytest.skip("the libraries came from the cache, without Bazel's own objects")
    script = "for object in /objects/*.o; do llvm-objdump -d --no-show-raw-insn $object; done"
    users, function = set(), ""
    for line in bench.run(bench.builder, script, Mount(folders[-1], "/objects")):
        if label := re.fullmatch(r"[0-9a-f]+ <(.+)>:", line):
            function = label[1]
        elif re.match(r"\s+[0-9a-f]+:\s+v[a-z]", line):
            users.add(function)
    assert len(users) > 50
    assert [name for name in users if "avx2" not in name] == []
