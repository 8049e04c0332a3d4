"""The main job, as a user runs it, from pinned sources to a bundle that proves itself on an emulated board."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from coralforge.bundle.manifest import read_manifest, verify
from coralforge.config.load import load_release
from coralforge.config.userlands import oldest
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board as board_image
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.containers.toolchain import builder as builder_image
from coralforge.elf import check_tree, policy_for
from coralforge.settings import Options, Project, resolve
from coralforge.sources.trees import survey_sources, trees
from tests.conftest import ROOT
from tests.integration.conftest import BUILD_TIMEOUT, MOST_BYTES, Checkout, Ran
from tests.support.patience import NET, wait_until
from tests.support.project_maker import DEFAULT_RELEASE
from tests.support.unpacked import unpacked as unpacked_by_tar

pytestmark = pytest.mark.docker
SIMULATED = ("--arch", "aarch64", "--variant", "simulated")
NAME = f"coralforge-{DEFAULT_RELEASE}-aarch64-linux-gnu"


@pytest.fixture
def runner() -> Iterator[DockerRunner]:
    """The real thing, closed at the end."""
    runner = DockerRunner()
    yield runner
    runner.client.close()


@pytest.fixture(scope="module")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, unpacked where nothing of the build knows of."""
    folder = tmp_path_factory.mktemp("moved to") / "another place"
    with tarfile.open(bundle) as tar:
        names = {member.name.split("/")[0] for member in tar}
        assert names == {NAME}
    return unpacked_by_tar(bundle, folder)


def test_the_bundle_has_what_it_promises(unpacked: Path) -> None:
    for name in (
        "bin/lstpu",
        "bin/model",
        "bin/benchmark",
        "bin/detect",
        "lib/libtensorflowlite.so",
        "lib/libtensorflowlite_c.so",
        "lib/libflatbuffers.a",
        "lib/libusb-1.0.so.0",
        "lib/libedgetpu.so.1",
        "lib/simulated/libedgetpu.so.1.0",
        "include/edgetpu_c.h",
        "include/edgetpu.h",
        "include/tensorflow/lite/interpreter.h",
        "include/flatbuffers/flatbuffers.h",
        "lib/cmake/Coral/CoralConfig.cmake",
        "lib/pkgconfig/coral.pc",
        "share/models/model.tflite",
        "share/licenses/tensorflow/LICENSE",
        "share/udev/70-coral-edgetpu.rules",
        "check-board.sh",
        "smoke.sh",
        "MANIFEST.json",
    ):
        assert (unpacked / name).is_file(), name
    assert (unpacked / "lib/libedgetpu.so.1").readlink() == Path("simulated/libedgetpu.so.1")
    assert sum(path.stat().st_size for path in unpacked.glob("lib/libtensorflowlite*.so")) < MOST_BYTES


def test_the_manifest_is_true_and_honest(unpacked: Path) -> None:
    assert verify(unpacked) == []
    manifest = read_manifest(unpacked)
    assert manifest.simulated
    assert any("SIMULATED" in text for text in manifest.not_verified)
    assert manifest.tensorflow_commit == load_release(ROOT / "releases", DEFAULT_RELEASE).tensorflow_commit
    assert {part.name for part in manifest.sources} >= {"tensorflow", "flatbuffers", "libusb", "ruy"}
    assert "libedgetpu" not in {part.name for part in manifest.sources}
    assert manifest.unpinned == []


def test_the_gate_accepts_the_bundle_and_refuses_it_for_a_lower_floor(unpacked: Path, cli: Checkout) -> None:
    settings = resolve(Project(cli.root), Options())
    commit = settings.release.tensorflow_commit
    assert check_tree(unpacked, policy_for(settings.arch, settings.floor, commit)) == []
    older = replace(settings.floor, glibcxx="3.4.18")
    found = check_tree(unpacked, policy_for(settings.arch, older, commit))
    assert any("GLIBCXX" in violation.detail for violation in found)


LATE = {"docker", "jinja2", "numpy", "requests", "rich"}  # imported where they are used


def times_the_least(cli: Checkout, *command: str) -> float:
    """Processor time of a command, in that of ``invoke --version``, the least that Invoke can do: best of five."""
    least, taken = (min(cli.invoke(*args).processor for _ in range(5)) for args in (("--version",), command))
    return taken / least


def imported(ran: Ran) -> set[str]:
    """The packages that a run with PYTHONPROFILEIMPORTTIME imported."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines() if "|" in line}


def test_nothing_happens_when_nothing_changed_and_it_takes_no_time(bundle: Path, cli: Checkout) -> None:
    before = bundle.stat().st_mtime_ns
    ran = cli.invoke("build", *SIMULATED, DOCKER_HOST="unix:///nonexistent.sock", PYTHONPROFILEIMPORTTIME="1")
    assert ran.status == 0, ran.stderr
    assert "time:" not in ran.stdout
    assert imported(ran) & {"pydantic", *LATE} == {"pydantic"}
    assert times_the_least(cli, "build", *SIMULATED) < 8  # 3 here, where it takes 0.3 s
    assert cli.invoke("bundle", *SIMULATED).status == 0
    assert bundle.stat().st_mtime_ns == before


def test_listing_the_tasks_takes_no_time(cli: Checkout) -> None:
    ran = cli.invoke("--list", PYTHONPROFILEIMPORTTIME="1")
    for verb in ("doctor", "fetch", "image", "build", "template", "bundle", "smoke", "clean", "shell"):
        assert verb in ran.stdout
    assert imported(ran) & {"invoke", "pydantic", *LATE} == {"invoke"}
    assert times_the_least(cli, "--list") < 2


def test_the_same_bytes_from_another_folder_umask_time_zone_and_cache(
    bundle: Path, project: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but Bazel's own work is done again; that Bazel repeats itself is measured in docs/performance.md."""
    settings = resolve(Project(project.root), Options(variants=("simulated",)))
    cache = tmp_path / "cache"
    for name in ("downloads", "trees", "bazel", "last"):
        (cache / name).parent.mkdir(exist_ok=True)
        (cache / name).symlink_to(settings.cache.root / name)
    artifacts = cache / "artifacts"
    artifacts.mkdir()
    for kept in settings.cache.artifacts.glob("libraries-*"):
        (artifacts / kept.name).symlink_to(kept)
    invoke = Path(sys.executable).parent / "invoke"
    command = f"umask 077; TZ=Asia/Kathmandu LC_ALL=C exec {invoke} bundle {' '.join(SIMULATED)}"
    environment = project.environment(CORALFORGE_CACHE=str(cache), HOME=str(tmp_path))
    subprocess.run(["bash", "-c", command], cwd=project.root, env=environment, check=True, timeout=BUILD_TIMEOUT)
    again = project.root / "dist" / bundle.name
    assert again.read_bytes() == bundle.read_bytes()


def test_smoke_runs_on_the_emulated_board_and_says_simulated(bundle: Path, cli: Checkout, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ran = cli.invoke("smoke", "--bundle", str(bundle), "--report", str(report))
    assert ran.status == 0, ran.stderr
    assert "SIMULATED" in ran.stdout
    data = json.loads(report.read_text())
    assert data["ok"] and data["emulated"] and data["simulated"]
    assert data["variant"] == "simulated"
    assert data["top1_index"] == data["expected_index"]
    assert {step["name"] for step in data["steps"]} >= {"lstpu", "benchmark", "model", "label"}


def test_smoke_refuses_a_bundle_that_was_changed(bundle: Path, cli: Checkout, tmp_path: Path) -> None:
    changed = tmp_path / bundle.name
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    shutil.copy(f"{bundle}.sha256", tmp_path)
    ran = cli.invoke("smoke", "--bundle", str(changed))
    assert ran.status == 2
    assert "bundle-digest" in ran.stderr


def test_a_changed_template_does_not_rebuild_the_libraries(bundle: Path, project: Checkout) -> None:
    source = project.root / "templates/consumer/lstpu.cpp"
    source.write_text(source.read_text() + "// changed\n")
    ran = project.invoke("bundle", *SIMULATED, "--dry-run", "--explain")
    assert "skip  libraries: up to date" in ran.stdout
    assert "run   programs: changed: templates/consumer" in ran.stdout


def test_a_changed_source_is_named_and_marks_the_bundle_unpinned(
    bundle: Path, project: Checkout, tmp_path: Path
) -> None:
    settings = resolve(Project(project.root), Options(variants=("simulated",)))
    tree = trees(settings, survey_sources(settings))["fxdiv"].path
    checkout = tmp_path / "fxdiv"
    shutil.copytree(tree, checkout)
    (checkout / "NEW").write_text(uuid4().hex)  # other libraries than those that an earlier run left in the cache
    source = ("--source", f"fxdiv={checkout}")
    planned = project.invoke("build", *SIMULATED, *source, "--dry-run")
    assert "run   libraries: sources changed: fxdiv\n" in planned.stdout
    ran = project.invoke("bundle", *SIMULATED, *source)
    assert ran.status == 0, ran.stderr
    out = unpacked_by_tar(project.root / "dist" / bundle.name, tmp_path / "out")
    assert read_manifest(out).unpinned == ["fxdiv"]
    again = project.invoke("build", *SIMULATED, "--dry-run", "--explain")
    assert "skip  libraries: up to date" in again.stdout  # those of the pinned sources are still there


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_stops_cleanly_and_leaves_nothing(bundle: Path, project: Checkout, tmp_path: Path) -> None:
    """In the middle of the Bazel build, in a Bazel cache of its own: exit code 130, no container, no artifact."""
    settings = resolve(Project(project.root), Options())
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("downloads", "trees"):
        (cache / name).symlink_to(settings.cache.root / name)
    invoke = Path(sys.executable).parent / "invoke"
    process = subprocess.Popen(
        [invoke, "build", *SIMULATED],
        cwd=project.root,
        env=project.environment(CORALFORGE_CACHE=str(cache)),
        stderr=subprocess.PIPE,
        text=True,
    )
    logs = cache / "logs"

    def is_building() -> bool:
        assert process.poll() is None, "it ended before it built"
        return any(path.stat().st_size for path in logs.glob("libraries-*.log"))

    wait_until(is_building)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=NET)
    assert process.returncode == 130
    assert "cancelled" in shown
    assert "Traceback" not in shown
    containers = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label=coralforge.pid={process.pid}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert containers.stdout == ""
    assert list(cache.glob("artifacts/*")) == []
    assert list((cache / "tmp").iterdir()) == []


def test_no_engine_is_one_error_with_a_remedy(project: Checkout, tmp_path: Path) -> None:
    ran = project.invoke("image", DOCKER_HOST="unix:///nonexistent.sock", CORALFORGE_CACHE=str(tmp_path / "cache"))
    assert ran.status == 3
    assert "docker-unreachable" in ran.stderr
    assert "what to do:" in ran.stderr


def test_the_consumer_project_builds_against_a_moved_bundle(
    unpacked: Path, cli: Checkout, runner: DockerRunner, tmp_path: Path
) -> None:
    """find_package(Coral), as a stranger uses it: bundle somewhere, project somewhere else, the toolchain file."""
    app = tmp_path / "my app"
    assert cli.invoke("template", "--dest", str(app), "--name", "my-app").status == 0
    settings = resolve(Project(cli.root), Options())
    builder = builder_image(settings)
    script = (
        "cmake -G Ninja -S '/home/me/my app' -B /tmp/b -DCMAKE_BUILD_TYPE=Release "
        "-DCMAKE_TOOLCHAIN_FILE='/home/me/my app/toolchains/aarch64-linux-gnu.cmake' "
        "-DCORAL_SYSROOT=/opt/sysroots/aarch64-linux-gnu "
        "-DCMAKE_PREFIX_PATH=/opt/coral && cmake --build /tmp/b && llvm-readelf -d /tmp/b/bin/model"
    )
    got: list[str] = []
    for path in (tmp_path, app):
        path.chmod(0o755)
    spec = ContainerSpec(
        "test", builder.tag, ("sh", "-c", script), (Mount(app, "/home/me/my app"), Mount(unpacked, "/opt/coral"))
    )
    finished = runner.run(spec, got.append)
    assert finished.status == 0, "\n".join(got[-30:])
    assert any("libedgetpu.so.1" in line for line in got)
    assert any("libtensorflowlite.so" in line for line in got)


def test_the_tutorials_commands_work_in_the_consumer_project(
    unpacked: Path, cli: Checkout, runner: DockerRunner, tmp_path: Path
) -> None:
    """``make lstpu``, ``make build`` and what follows them; and no copy is made to a board that cannot run it."""
    app = tmp_path / "my app"
    assert cli.invoke("template", "--dest", str(app), "--name", "my-app").status == 0
    settings = resolve(Project(cli.root), Options())
    for path in (tmp_path, app):
        path.chmod(0o777)
    mounts = (Mount(app, "/home/me/my app", writable=True), Mount(unpacked, "/opt/coral"))

    def run(image: str, script: str) -> list[str]:
        got: list[str] = []
        spec = ContainerSpec("test", image, ("sh", "-ec", f"cd '/home/me/my app'; {script}"), mounts)
        finished = runner.run(spec, got.append)
        assert finished.status == 0, "\n".join(got[-30:])
        return got

    run(
        builder_image(settings).tag,
        "export CORAL_ROOT=/opt/coral CORAL_SYSROOT=/opt/sysroots/aarch64-linux-gnu; make lstpu; make build",
    )
    board = board_image(settings.project.docker, oldest(settings.floor.versions()), settings.arch).tag
    emulated = "qemu-aarch64 -L /board"
    shown = run(board, f"cd build; CORALFORGE_SIMULATED_DEVICES=usb:1 {emulated} ./lstpu")
    assert shown[0] == "0  USB  SIMULATED:usb:0"
    shown = run(board, f"cd build; {emulated} ./model test.tflite labels.txt 0.5")
    assert any(line.startswith("top-1: ") for line in shown)
    shown = run(board, f"{emulated} ./model build/test.tflite build/labels.txt 0.5")
    assert any(line.startswith("top-1: ") for line in shown)

    (app / "no-ssh").write_text('#!/bin/sh\nshift; exec sh -c "$1"\n')
    (app / "no-ssh").chmod(0o755)
    shown = run(
        builder_image(settings).tag,
        "export CORAL_SYSROOT=/opt/sysroots/aarch64-linux-gnu; "
        "! make deploy HOST=me@board DIR=/tmp/copied SSH=./no-ssh; test ! -e /tmp/copied; find stage -name '*.so'",
    )
    assert any(f"it is x86_64: take coralforge-{DEFAULT_RELEASE}-x86_64-linux-gnu.tar.gz" in line for line in shown)
    assert "stage/lib/libtensorflowlite.so" in shown


def test_the_real_libedgetpu_lists_a_pci_device(
    libedgetpu_source: tuple[str, ...], project: Checkout, runner: DockerRunner, tmp_path: Path
) -> None:
    """Both variants from the pinned source, and the real lstpu on a board with a (fake) PCI device node."""
    options = ("--arch", "aarch64", "--variant", "throttled", "--variant", "direct", *libedgetpu_source)
    ran = project.invoke("bundle", *options)
    assert ran.status == 0, ran.stderr[-4000:]
    archive = project.root / "dist" / f"{NAME}.tar.gz"
    smoke = project.invoke("smoke", "--bundle", str(archive))
    assert smoke.status == 0, smoke.stderr[-4000:]
    unpacked_by_tar(archive, tmp_path)
    settings = resolve(Project(project.root), Options())
    board = board_image(settings.project.docker, oldest(settings.floor.versions()), settings.arch)
    for variant in ("throttled", "direct"):
        got: list[str] = []
        command = f"LD_LIBRARY_PATH= qemu-aarch64 -L /board-apex -E LD_LIBRARY_PATH=/b/lib/{variant} /b/bin/lstpu"
        tmp_path.chmod(0o755)
        spec = ContainerSpec("test", board.tag, ("sh", "-c", command), (Mount(tmp_path / NAME, "/b"),))
        assert runner.run(spec, got.append).status == 0
        assert any("PCI" in line and "/dev/apex_0" in line for line in got), got
