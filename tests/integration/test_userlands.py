"""Bundles on systems old and new: the C and C++ libraries of each under one and the same bundle.

The programs of tests/integration/libstdcxx are compiled in the builder image against the bundle, as a user's are.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.config.arch import Arch
from coralforge.config.userlands import USERLANDS, Userland
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board, board_run
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Finished, Mount
from coralforge.containers.toolchain import builder
from coralforge.events import Recorder
from coralforge.settings import Options, Project, Settings, resolve
from tests.conftest import ROOT
from tests.integration.conftest import Checkout, make_bundle
from tests.support.unpacked import unpacked

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SOURCES = ROOT / "tests/integration/libstdcxx"
NAMED = {one.name: one for one in USERLANDS}
OLDEST, NEWEST = USERLANDS[0], USERLANDS[-1]
# The oldest and the newest system; for 32 bits the one whose loader looks for folders by statx(), a trap under qemu
# (see docker/board.Dockerfile); and the oldest one without emulation.
SHOWN = [
    (Arch.AARCH64, OLDEST),
    (Arch.AARCH64, NEWEST),
    (Arch.ARMV7, NAMED["bookworm"]),
    (Arch.X86_64, OLDEST),
]
PARTS = [
    "exceptions from a library", "exceptions through a library", "exceptions through TensorFlow Lite",
    "types across a border", "types of the bundle's libraries", "threads", "locale", "iostream",
]  # fmt: skip
# What the models of tests/data give for the inputs of outputs.c, as its digests: the bytes that libraries for x86_64
# gave before there was a floor, when clang 21 built them for glibc 2.36.
OUTPUTS = {
    "bright_128x128": "0afc2807b749b32b",
    "deeplabv3_mnv2_dm05_pascal_quant": "628b72a72e1cb9c5",
    "dense_256": "7221930c75b2e611",
    "keras_lstm_mnist_ptq": "c9133fc3ca19bbb2",
    "looming_128x128_3x3": "8483aca7022eb62d",
    "mobilenet_v1_0.25_128_quant": "62c1dddf11906727",
    "mobilenet_v2_1.0_224_quant": "f47568f8ffabdaa9",
}
# Where vector code rounds otherwise: on aarch64 before there was a floor, too; on the others since they have ruy. It
# gives the same on armv7 and on x86_64 without AVX (QEMU's Nehalem). Without GitHub armv7 has no ruy.
RUY = {"mobilenet_v1_0.25_128_quant": "909de26dd307cadc", "mobilenet_v2_1.0_224_quant": "c63a853e16d99bfc"}
OTHER_OUTPUTS = {
    Arch.AARCH64: [{**RUY, "mobilenet_v1_0.25_128_quant": "84ed59e83350b11d"}],
    Arch.ARMV7: [RUY, {}],
    Arch.X86_64: [{"mobilenet_v2_1.0_224_quant": "09312c70eb2c88e1"}, RUY],
}
# Functions that came after glibc 2.27 and GCC 8, by the version that has them: library, symbol.
NEWER = {
    "GLIBC_2.28": ("libpthread.so.0", "mtx_unlock"),
    "GLIBC_2.29": ("libm.so.6", "exp"),
    "GLIBCXX_3.4.26": ("libstdc++.so.6", "_ZNSt7__cxx1118basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev"),
}
BUILD_CHECK = """
$CXX -std=c++17 -fPIC -shared -fvisibility=hidden -Wl,-soname,libborder.so -o /out/libborder.so /sources/border.cc
$CXX -std=c++17 -isystem /bundle/include -o /out/check /sources/check.cc /out/libborder.so \
    /bundle/lib/libtensorflowlite.so /bundle/lib/libedgetpu.so.1 /bundle/lib/libflatbuffers.a \
    /bundle/lib/libcoralfloor.a -Wl,-rpath-link,/bundle/lib -Wl,-rpath,/bundle/lib:/out
$CC -isystem /bundle/include -o /out/outputs /sources/outputs.c /bundle/lib/libtensorflowlite_c.so \
    -Wl,-rpath-link,/bundle/lib -Wl,-rpath,/bundle/lib
"""
BUILD_NEWER = """
echo '{version} {{ global: {symbol}; }};' > /tmp/map
echo 'void stub(void) __asm__("{symbol}"); void stub(void) {{}}' > /tmp/stub.c
$CC -fPIC -shared -nostdlib -Wl,-soname,{library} -Wl,--version-script=/tmp/map -o /tmp/stub.so /tmp/stub.c
$CC '-DNEEDED="{symbol}"' -o /out/{version} /sources/newer.c /tmp/stub.so
"""


@dataclass(frozen=True)
class Bench:
    """A bundle, packed and not, and the programs that were built against it."""

    runner: DockerRunner
    arch: Arch
    archive: Path
    bundle: Path
    programs: Path

    def run(self, userland: Userland, script: str, *mounts: Mount) -> tuple[Finished, list[str]]:
        """A shell script on the emulated board, where $RUN runs a program of the board's architecture."""
        image = ImageMaker.of(settings_for(self.arch), self.runner.client, Recorder()).ensure(
            board(ROOT / "docker", userland, self.arch)
        )
        usual = (Mount(self.bundle, "/bundle"), Mount(self.programs, "/out"))
        env = (("RUN", board_run(self.arch)), ("CORALFORGE_SIMULATED_DEVICES", "usb:2"))
        lines: list[str] = []
        spec = ContainerSpec("test", image, ("sh", "-c", script), (*usual, *mounts), env)
        return self.runner.run(spec, lines.append), lines


def settings_for(arch: Arch) -> Settings:
    return resolve(Project(ROOT), Options(arch=arch.value))


def compiled(runner: DockerRunner, arch: Arch, bundle: Path, out: Path) -> Path:
    """The programs for one architecture, in the folder ``out``."""
    settings = settings_for(arch)
    image = ImageMaker.of(settings, runner.client, Recorder()).ensure(builder(settings))
    flags = ("-fuse-ld=lld", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", *arch.row.flags)
    target = f"--target={arch.triple} --sysroot=/opt/sysroots/{arch.triple} {' '.join(flags)}"
    steps = [BUILD_CHECK]
    for version, (library, symbol) in NEWER.items():
        steps.append(BUILD_NEWER.format(version=version, library=library, symbol=symbol))
    script = f'CC="clang {target}"; CXX="clang++ {target}"' + "".join(steps)
    out.mkdir(exist_ok=True)
    out.chmod(0o777)
    mounts = (Mount(SOURCES, "/sources"), Mount(bundle, "/bundle"), Mount(out, "/out", writable=True))
    lines: list[str] = []
    done = runner.run(ContainerSpec("test", image, ("sh", "-ec", script), mounts), lines.append)
    assert done.status == 0, "\n".join(lines)
    return out


class Benches:
    """Makes the bench of an architecture when it is first asked for."""

    def __init__(self, cli: Checkout, runner: DockerRunner, scratch: Path) -> None:
        self.cli, self.runner, self.scratch = cli, runner, scratch
        self.made: dict[Arch, Bench] = {}

    def of(self, arch: Arch) -> Bench:
        if arch not in self.made:
            archive = make_bundle(self.cli, self.scratch, arch, "--variant", "simulated")
            bundle = unpacked(archive, self.scratch)
            programs = compiled(self.runner, arch, bundle, self.scratch / f"programs-{arch.value}")
            self.made[arch] = Bench(self.runner, arch, archive, bundle, programs)
        return self.made[arch]


@pytest.fixture(scope="module")
def benches(cli: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    runner = DockerRunner()
    scratch = tmp_path_factory.mktemp("userlands")
    scratch.chmod(0o755)
    yield Benches(cli, runner, scratch)
    runner.client.close()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the sockets within the test, where the filter above holds."""
    yield
    gc.collect()


def name_of(value: Arch | Userland) -> str:
    return value.value if isinstance(value, Arch) else value.name


@pytest.mark.parametrize(("arch", "userland"), SHOWN, ids=name_of)
def test_the_whole_smoke_test_passes(
    benches: Benches, cli: Checkout, tmp_path: Path, arch: Arch, userland: Userland
) -> None:
    report = tmp_path / "report.json"
    where = ("--arch", arch.value, "--userland", userland.name, "--bundle", str(benches.of(arch).archive))
    ran = cli.invoke("smoke", *where, "--report", str(report))
    assert ran.status == 0, ran.stderr[-4000:]
    data = json.loads(report.read_text())
    assert [step["name"] for step in data["steps"]] == [
        "lstpu", "benchmark", "model", "label",
        "delegate-benchmark", "agreement", "delegate-model", "delegate-label",
    ]  # fmt: skip
    assert data["board"]["userland"] == userland.name
    assert data["board"]["versions"] == userland.offers.versions()
    assert f" on {userland.name} (" in ran.stdout
    assert userland.note in ran.stdout
    assert (userland.note != "") == any(userland.name in text for text in data["not_verified"])


@pytest.mark.parametrize(("arch", "userland"), SHOWN, ids=name_of)
def test_a_program_of_ones_own_has_its_libstdcxx(benches: Benches, arch: Arch, userland: Userland) -> None:
    done, lines = benches.of(arch).run(userland, "$RUN /out/check /bundle/share/models/model.tflite")
    assert (done.status, lines) == (0, [f"ok {part}" for part in PARTS])


@pytest.mark.parametrize("arch", list(Arch), ids=name_of)
def test_models_give_the_bytes_that_are_written_down(benches: Benches, testdata: Path, arch: Arch) -> None:
    """On the weakest processor of the architecture, where it is emulated."""
    models = " ".join(f"/models/{name}.tflite" for name in OUTPUTS)
    done, lines = benches.of(arch).run(OLDEST, f"$RUN /out/outputs {models}", Mount(testdata, "/models"))
    assert done.status == 0, lines
    given = {Path(path).stem: digest for path, _, digest in (line.split() for line in lines)}
    assert given.keys() == OUTPUTS.keys()
    assert {name: digest for name, digest in given.items() if digest != OUTPUTS[name]} in OTHER_OUTPUTS[arch]


@pytest.mark.parametrize("version", NEWER)
def test_what_needs_more_than_the_oldest_has_is_refused_there(benches: Benches, version: str) -> None:
    """Without this the tests above would show nothing: the same program starts where nothing was removed."""
    bench = benches.of(Arch.AARCH64)
    refused, lines = bench.run(OLDEST, f"$RUN /out/{version}")
    assert refused.status == 1
    assert any(f"version `{version}' not found (required by /out/{version})" in line for line in lines), lines
    assert bench.run(NAMED["bullseye"], f"$RUN /out/{version}")[1] == ["started"]


def test_a_bundle_that_is_too_new_for_the_board_says_so_in_one_line(benches: Benches, tmp_path: Path) -> None:
    """Stands in for a bundle with a newer floor: its lstpu is the program that needs glibc 2.29."""
    bench = benches.of(Arch.AARCH64)
    newer = tmp_path / "bundle"
    shutil.copytree(bench.bundle, newer, symlinks=True)
    shutil.copy(bench.programs / "GLIBC_2.29", newer / "bin/lstpu")
    tmp_path.chmod(0o755)
    command = "CORALFORGE_RUN=$RUN CORALFORGE_REPORT=/tmp/smoke.json /newer/smoke.sh"
    done, lines = bench.run(OLDEST, command, Mount(newer, "/newer"))
    assert done.status == 1
    [line] = [line for line in lines if line.startswith("FAIL")]
    assert "this board's C or C++ library is older than the bundle needs" in line
    assert "GLIBC_2.29 not found" in line


def test_an_unknown_userland_is_one_error_that_lists_them(cli: Checkout, bundle: Path) -> None:
    ran = cli.invoke("smoke", "--userland", "buster", "--bundle", str(bundle))
    assert ran.status == 2
    assert "[userland-unknown, exit 2]" in ran.stderr
    assert all(name in ran.stderr for name in NAMED)
