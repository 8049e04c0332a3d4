"""The Debian packages on Debian systems, old and new: installed, upgraded, used, removed and purged.

Installing takes root and a system of its own: these containers have both, and no network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.deb.build import lay_out
from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.config.userlands import USERLANDS
from coralforge.containers.engine import connect
from coralforge.containers.image import Image, board, board_run, make_image
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.owner import labels
from coralforge.events import Recorder
from coralforge.settings import Options, Project, resolve
from coralforge.templates import render_bundle
from tests.conftest import ROOT
from tests.integration.conftest import Checkout
from tests.support.bundle_maker import make_inputs

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RECIPES = ROOT / "tests/integration/debian"
USED = "libusb-1.0-0 libstdc++6 udev"
OLD = make_image(RECIPES, "debian-system", {"PACKAGES": USED}, suite="bullseye")
NEW = make_image(RECIPES, "debian-system", {"PACKAGES": f"{USED} cmake g++ lintian make pkgconf"}, suite="trixie")
SIMULATED = ("--arch", "x86_64", "--variant", "simulated", "--format", "deb")
NAMES = ("libtensorflowlite", "libedgetpu1-simulated", "libedgetpu-dev", "coralforge-dev", "coralforge-tools")


@dataclass(frozen=True)
class Systems:
    """Runs scripts as root in fresh containers; ``tags`` are of images that are there."""

    client: Any
    tags: dict[str, str] = field(default_factory=dict)

    def run(self, image: Image, script: str, mounts: Mapping[Path, str]) -> list[str]:
        """The lines that a shell script printed, which must not fail."""
        if image.tag not in self.tags:
            recipes = RECIPES if image.name == "debian-system" else ROOT / "docker"
            settings = resolve(Project(ROOT), Options())
            maker = ImageMaker(self.client, recipes, settings.cache, Recorder())
            self.tags[image.tag] = maker.ensure(image)
        output = self.client.containers.run(
            image.tag,
            ["sh", "-c", f'(set -eu; . /scripts/helpers.sh; {script}) 2>&1; echo "exit status $?"'],
            remove=True,
            network_mode="none",
            labels=labels(),
            volumes={
                str(path): {"bind": target, "mode": "ro"} for path, target in {RECIPES: "/scripts", **mounts}.items()
            },
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
        *lines, status = str(output, "utf-8").splitlines()
        assert status == "exit status 0", "\n".join([*lines, status])
        return lines


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    client = connect()
    yield Systems(client)
    client.close()


def packages(cli: Checkout, folder: Path, *options: str) -> Path:
    """The packages that a command made, kept apart from those of later ones."""
    shutil.rmtree(cli.root / "dist", ignore_errors=True)
    ran = cli.invoke("bundle", *options)
    assert ran.status == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-8000:]}"
    folder.mkdir()
    for path in (cli.root / "dist").glob("*.deb"):
        shutil.copy(path, folder)
        assert f"package: {path}\n" in ran.stdout
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def simulated(cli: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of this machine's architecture that need no libedgetpu source."""
    return packages(cli, tmp_path_factory.mktemp("debian") / "simulated", *SIMULATED)


@pytest.fixture(scope="module")
def doubles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of packages with doubles in place of the libraries, so that there are real variants' packages, too."""
    folder = tmp_path_factory.mktemp("doubles")
    settings = resolve(Project(ROOT), Options(arch="x86_64"))
    variants = (Variant.THROTTLED, Variant.DIRECT, Variant.SIMULATED)
    inputs = replace(make_inputs(folder / "inputs", variants), templates=render_bundle(settings), arch=Arch.X86_64)
    (folder / "bundle").mkdir()
    assemble(inputs, folder / "bundle")
    lay_out(settings, folder / "bundle", folder / "packages")
    (folder / "packages").chmod(0o755)
    return folder / "packages"


@pytest.mark.parametrize("image", [OLD, NEW], ids=["bullseye", "trixie"])
def test_installed_upgraded_used_removed_and_purged(systems: Systems, simulated: Path, image: Image) -> None:
    found = systems.run(image, f"set -- {' '.join(NAMES)}; . /scripts/life.sh", {simulated: "/debs"})
    text = "\n".join(found)
    new, old = version_of(simulated), "2.14.1-0coralforge0.0.1"
    for version in (old, new):
        wanted = [f"installed {version}", f"installed 16.0tf{version}", f"installed 16.0tf{version}"]
        assert [line for line in found if line.startswith("installed ") and line.endswith(version)] == [
            *wanted, f"installed {version}", f"installed {version}"
        ], text  # fmt: skip
    assert "1 Edge TPU (SIMULATED: this libedgetpu uses no hardware)" in found, text
    assert "dpkg -V: 0" in found, text
    assert "SIMULATED  smoke test passed" in found, text
    assert not [line for line in found if "failed" in line or "still" in line], text
    assert "the loader knows it no longer" in found, text
    assert found[-1] == "# left:", text


def version_of(folder: Path) -> str:
    [tools] = folder.glob("coralforge-tools_*.deb")
    return tools.name.split("_")[1]


@pytest.mark.parametrize("suite", [OLD, NEW], ids=["bullseye", "trixie"])
def test_they_take_the_place_of_googles_and_of_each_other(systems: Systems, doubles: Path, suite: Image) -> None:
    found = systems.run(suite, ". /scripts/exchange.sh", {doubles: "/doubles"})
    text = "\n".join(found)
    assert "installed 16.0" in found, text
    ours = [line for line in found if line.startswith("installed 16.0tf2.14.1-0coralforge")]
    assert len(ours) == 2, text
    assert [line for line in found if line.startswith("/lib/udev")] == ["/lib/udev/rules.d/70-coral-edgetpu.rules"], (
        text
    )
    assert any(line.startswith("libedgetpu1-max:amd64: /") for line in found), text
    assert found.count("dpkg -V: 0") == 2, text
    assert "std is still known" not in found, text
    for line in ("installed 1.0", "refused beside the other", "it fulfils no dependency"):
        assert line in found, text


APP = """
cmake_minimum_required(VERSION 3.10)
project(app CXX)
find_package(Coral 2.14 CONFIG REQUIRED)
message(STATUS "variant ${Coral_DEFAULT_VARIANT} of ${Coral_VARIANTS}")
add_executable(app app.cc)
target_link_libraries(app PRIVATE Coral::tflite Coral::edgetpu Coral::flatbuffers)
install(TARGETS app DESTINATION bin)
"""
SOURCE = """
#include <cstdio>
#include "edgetpu.h"
#include "edgetpu_c.h"
#include "flatbuffers/util.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model.h"
int main(int count, char** arguments) {
  auto model = tflite::FlatBufferModel::BuildFromFile(arguments[count - 1]);
  tflite::ops::builtin::BuiltinOpResolver resolver;
  std::unique_ptr<tflite::Interpreter> interpreter;
  if (!model || tflite::InterpreterBuilder(*model, resolver)(&interpreter) != kTfLiteOk) return 1;
  std::printf("%zu inputs, %zu devices, %d\\n", interpreter->inputs().size(),
              edgetpu::EdgeTpuManager::GetSingleton()->EnumerateEdgeTpu().size(),
              flatbuffers::FileExists(arguments[0]));
  return interpreter->AllocateTensors() == kTfLiteOk ? 0 : 1;
}
"""

SMALL = """
#include <cstdio>
#include "edgetpu_c.h"
#include "flatbuffers/util.h"
int main(int count, char** arguments) {
  size_t devices;
  edgetpu_free_devices(edgetpu_list_devices(&devices));
  std::printf("%zu devices, %d\\n", devices, flatbuffers::FileExists(arguments[count - 1]));
}
"""


def test_a_program_of_ones_own_builds_against_the_development_package(
    systems: Systems, simulated: Path, tmp_path: Path
) -> None:
    """With the system's own compiler; CMake finds it by /bin, too, which is a link to /usr/bin."""
    (tmp_path / "CMakeLists.txt").write_text(APP)
    (tmp_path / "app.cc").write_text(SOURCE)
    (tmp_path / "small.cc").write_text(SMALL)
    tmp_path.chmod(0o755)
    script = """
    apt install -y /debs/*.deb >/dev/null
    PATH=/bin:$PATH cmake -S /app -B /tmp/b && cmake --build /tmp/b && cmake --install /tmp/b --prefix /tmp/installed
    export CORALFORGE_SIMULATED_DEVICES=usb:1,pci:1
    /tmp/installed/bin/app /usr/share/coralforge/models/model.tflite
    g++ -std=c++17 -o /tmp/small /app/small.cc $(pkg-config --cflags --libs --static coral)
    /tmp/small
    """
    found = systems.run(NEW, script, {simulated: "/debs", tmp_path: "/app"})
    assert "-- variant simulated of simulated" in found, "\n".join(found)
    assert found[-2:] == ["1 inputs, 2 devices, 1", "2 devices, 1"], "\n".join(found)


def lintian(systems: Systems, folder: Path) -> list[str]:
    """Errors and warnings, and overrides that override nothing."""
    script = (
        "cd /debs; setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/tmp lintian --fail-on none -I *.deb"
    )
    found = systems.run(NEW, script, {folder: "/debs"})
    return [line for line in found if line.startswith(("E:", "W:")) or "override" in line]


def test_lintian_finds_nothing_that_is_not_explained(systems: Systems, simulated: Path) -> None:
    assert lintian(systems, simulated) == []


def test_the_same_bytes_from_another_folder_umask_and_time_zone(
    cli: Checkout, simulated: Path, project: Checkout, tmp_path: Path
) -> None:
    """Only the packages are made again; for the bundle there is a test of its own."""
    settings = resolve(Project(project.root), Options(arch="x86_64", variants=("simulated",)))
    cache = tmp_path / "cache"
    (cache / "artifacts").mkdir(parents=True)
    for name in ("downloads", "trees", "bazel", "last"):
        (cache / name).symlink_to(settings.cache.root / name)
    for kept in settings.cache.artifacts.iterdir():
        if not kept.name.startswith("deb-"):
            (cache / "artifacts" / kept.name).symlink_to(kept)
    before = os.umask(0o077)
    try:
        ran = project.invoke(
            "bundle", *SIMULATED, CORALFORGE_CACHE=str(cache), TZ="Asia/Kathmandu", SOURCE_DATE_EPOCH="1"
        )
    finally:
        os.umask(before)
    assert ran.status == 0, ran.stderr
    assert "time: deb " in ran.stdout
    again = {path.name: path.read_bytes() for path in (project.root / "dist").glob("*.deb")}
    assert again == {path.name: path.read_bytes() for path in simulated.iterdir()}
    sums = project.root / "dist" / f"{settings.bundle_name}.debs.sha256"
    assert [line.split()[1] for line in sums.read_text().splitlines()] == sorted(again)


def test_the_packages_of_another_architecture_run_on_an_emulated_board(
    systems: Systems, cli: Checkout, tmp_path: Path
) -> None:
    """dpkg is this machine's: it has no arm64 system to run maintainer scripts in, and installs below /board."""
    folder = packages(cli, tmp_path / "arm64", "--arch", "aarch64", "--variant", "simulated", "--format", "deb")
    bullseye = board(ROOT / "docker", next(one for one in USERLANDS if one.name == "bullseye"), Arch.AARCH64)
    script = f"""
    mkdir -p /board/var/lib/dpkg/info /board/var/lib/dpkg/updates; : > /board/var/lib/dpkg/status
    dpkg --root=/board --force-architecture --force-depends --force-script-chrootless -i /debs/*.deb
    dpkg --root=/board -V; echo "dpkg -V: $?"
    CORALFORGE_REPORT=/tmp/smoke.json CORALFORGE_RUN='{board_run(Arch.AARCH64)}' /board/usr/lib/coralforge/smoke.sh
    """
    found = systems.run(bullseye, script, {folder: "/debs"})
    assert "dpkg -V: 0" in found
    assert "SIMULATED  smoke test passed" in found, "\n".join(found)


def test_the_real_ones_are_installed_and_exchanged(
    systems: Systems, cli: Checkout, tmp_path: Path, libedgetpu_source: tuple[str, ...]
) -> None:
    folder = packages(cli, tmp_path / "real", "--arch", "x86_64", *libedgetpu_source, "--format", "deb")
    script = """
    cd /tmp
    apt install -y /debs/libedgetpu1-std*.deb /debs/libtensorflowlite*.deb /debs/coralforge-tools*.deb
    lstpu --json
    apt install -y /debs/libedgetpu1-max*.deb
    lstpu --json
    dpkg -V; echo "dpkg -V: $?"
    coral-smoke | tail -n 1
    """
    for suite in (OLD, NEW):
        found = systems.run(suite, script, {folder: "/debs"})
        text = "\n".join(found)
        assert [line.split('"')[3] for line in found if '"variant"' in line] == ["throttled", "direct"], text
        assert "smoke test passed" in found, text
    assert lintian(systems, folder) == []
