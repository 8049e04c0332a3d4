"""The table of architectures is the one place: a row more, and everything knows the new one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coralforge.config.arch import BUILD_MACHINE, Arch
from coralforge.pipeline.survey import collect
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.support.project_maker import DEFAULT_RELEASE, copy_project_files

ROW = """
    INVENTED = Row(
        name="riscv64",
        triple="riscv64-linux-gnu",
        debian="riscv64",
        docker="linux/riscv64",
        processors=("riscv64", "rv64"),
        kernels=("riscv64",),
        machine="EM_RISCV",
        bits=64,
        loader="/lib/ld-linux-riscv64-lp64d.so.1",
        constraint="riscv64",
        cpu="riscv64",
        emulator="qemu-riscv64",
        lowest=Floor("2.27", "3.4.25", "1.3.11"),
        flags=("-march=rv64gc",),
    )
"""
PINS = """
  riscv64:
    suite: trixie
    packages:
      - debian: pool/main/g/glibc/libc6_2.41_riscv64.deb
        sha256: "0000000000000000000000000000000000000000000000000000000000000000"
        size: 1
"""
# What every part of the engine makes of it, in a process of its own.
ASK = """
import json, sys
from pathlib import Path
from coralforge.containers.image import board_run
from coralforge.config.arch import Arch
from coralforge.config.userlands import USERLANDS
from coralforge.containers.image import board
from coralforge.containers.toolchain import builder
from coralforge.elf.policy import policy_for
from coralforge.pipeline.build import bazel_platform
from coralforge.pipeline.survey import collect
from coralforge.settings import Options, Project, resolve
from coralforge.templates import render_bundle, render_consumer

def texts(files):
    return {str(name): file.content.decode("utf-8", "replace") for name, file in files.items()}

def settings_of(arch):
    return resolve(Project(Path(sys.argv[1])), Options(arch=arch), {"CORALFORGE_CACHE": sys.argv[1] + "/cache"})

settings = settings_of("riscv64")
policy = policy_for(settings.arch, settings.floor, "0" * 40)
print(json.dumps({
    "bundle": settings.bundle_name,
    "image": json.loads(dict(builder(settings).files)["platforms.json"])["platforms"],
    "packages": [folder for folder, _ in builder(settings).packages],
    "aarch64": {stage.value: inputs for stage, inputs in collect(settings_of("aarch64")).facts.inputs.items()},
    "bazel": bazel_platform(settings.arch),
    "board": dict(board(settings.project.docker, USERLANDS[0], settings.arch).arguments),
    "run": board_run(settings.arch),
    "policy": [policy.machine, policy.bits, policy.interpreter, sorted(policy.system)],
    "project": texts(render_consumer(settings)),
    "package": texts(render_bundle(settings)),
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a copy of the project says, in which the table has a row more, and its sysroot is pinned."""
    project = copy_project_files(tmp_path_factory.mktemp("project"))
    table = project.root / "src/coralforge/config/arch.py"
    before = table.read_text()
    table.write_text(before.replace("\n    row: Row\n", ROW + "\n    row: Row\n"))
    assert table.read_text() != before
    with project.toolchain.open("a") as stream:
        stream.write(PINS.lstrip("\n"))
    pipeline = project.pipeline.read_text()
    project.pipeline.write_text(pipeline.replace("platforms:\n", "platforms:\n  riscv64: {}\n"))
    environment = {**os.environ, "PYTHONPATH": str(project.root / "src")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(project.root)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_bundle_is_named_by_its_triple(told: Any) -> None:
    assert told["bundle"] == f"coralforge-{DEFAULT_RELEASE}-riscv64-linux-gnu"


def test_the_builder_image_gets_its_packages_flags_and_floor(told: Any) -> None:
    assert "packages/sysroots/riscv64-linux-gnu" in told["packages"]
    (one,) = [platform for platform in told["image"] if platform["name"] == "riscv64"]
    assert one["flags"] == ["-march=rv64gc"]
    assert one["floors"] == {"GLIBC": "2.27", "GLIBCXX": "3.4.25", "CXXABI": "1.3.11"}
    assert one["loader"] == "/lib/ld-linux-riscv64-lp64d.so.1"


def test_bazel_gets_its_platform(told: Any) -> None:
    assert told["bazel"] == {
        "triple": "riscv64-linux-gnu", "constraint": "@platforms//cpu:riscv64", "cpu": "riscv64",
        "flags": ["-march=rv64gc"], "loader": "/lib/ld-linux-riscv64-lp64d.so.1",
    }  # fmt: skip


def test_the_board_gets_its_emulator(told: Any) -> None:
    assert told["run"] == "qemu-riscv64 -L /board"
    assert told["board"]["EMULATOR"] == "qemu-riscv64"
    assert told["board"]["DEBIAN_ARCH"] == "riscv64"


def test_the_gate_knows_its_files(told: Any) -> None:
    machine, bits, interpreter, system = told["policy"]
    assert (machine, bits, interpreter) == ("EM_RISCV", 64, "/lib/ld-linux-riscv64-lp64d.so.1")
    assert "ld-linux-riscv64-lp64d.so.1" in system


def test_projects_get_a_toolchain_file_and_a_preset(told: Any) -> None:
    toolchain = told["project"]["toolchains/riscv64-linux-gnu.cmake"]
    assert "set(CMAKE_SYSTEM_PROCESSOR riscv64)" in toolchain
    assert 'set(CMAKE_CXX_FLAGS_INIT "-march=rv64gc")' in toolchain
    assert "g++-riscv64-linux-gnu" in toolchain
    presets = json.loads(told["project"]["CMakePresets.json"])
    assert "riscv64-linux-gnu" in [preset["name"] for preset in presets["configurePresets"]]
    assert "qemu-riscv64-static" in told["project"]["Makefile"]
    assert "$(filter $(shell uname -m),riscv64 rv64)" in told["project"]["Makefile"]
    assert "qemu-riscv64-static" in told["package"]["smoke.sh"]
    assert f"coralforge-{DEFAULT_RELEASE}-riscv64-linux-gnu.tar.gz" in told["package"]["check-board.sh"]
    assert "^(riscv64|rv64)$" in told["package"]["lib/cmake/Coral/CoralConfig.cmake"]


def test_the_bundles_of_others_name_it_and_their_libraries_stay(told: Any, tmp_path: Path) -> None:
    """check-board.sh says which bundle fits a board; so what has it is made again, and nothing before it."""
    settings = resolve(Project(ROOT), Options(arch="aarch64"), {"CORALFORGE_CACHE": str(tmp_path)})
    before = {stage.value: dict(inputs) for stage, inputs in collect(settings).facts.inputs.items()}
    changed = {name for name, inputs in before.items() if inputs != told["aarch64"][name]}
    assert changed == {"prefix"}


def test_nothing_else_in_the_engine_names_one() -> None:
    """But for the machine that compilers run on: Google's compiler and ours exist for that one only."""
    named = re.compile("|".join(word for arch in Arch for word in {arch.value, arch.row.debian, arch.triple}))
    for path in sorted((ROOT / "src").rglob("*.py")):
        if path.name == "arch.py":
            continue
        found = {match[0] for match in named.finditer(path.read_text(encoding="utf-8"))}
        assert found <= {BUILD_MACHINE.value, BUILD_MACHINE.row.debian}, path


@pytest.mark.parametrize("arch", list(Arch))
def test_a_row_is_found_by_its_name_and_a_name_is_text(arch: Arch) -> None:
    assert Arch(arch.value) is arch
    assert arch == arch.value == arch.row.name
    assert f"{arch.value}" in json.dumps({"arch": arch})
