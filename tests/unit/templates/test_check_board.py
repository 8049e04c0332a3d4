"""check-board.sh: one line for a board that does not fit, with what it has, what is needed and what fits.

The boards are folders with loaders that are shell scripts (test doubles), and a uname of their own.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from coralforge.settings import Options, Project, Settings, resolve
from coralforge.templates import render_bundle
from tests.conftest import ROOT
from tests.support.project_maker import DEFAULT_RELEASE

AARCH64, ARMHF, X86_64 = "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-armhf.so.3", "/lib64/ld-linux-x86-64.so.2"
SHELLS = [shell for shell in (["sh"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
BUNDLE = f"coralforge-{DEFAULT_RELEASE}"
NEEDS = {"NEED_GLIBC": "2.27", "NEED_GLIBCXX": "3.4.25"}


def settings(arch: str) -> Settings:
    return resolve(Project(ROOT), Options(arch=arch))


def rendered(arch: str, name: str) -> bytes:
    return render_bundle(settings(arch))[PurePosixPath(name)].content


@dataclass(frozen=True)
class Board:
    """A folder that stands for a board's root, and one with the commands that say what it is."""

    root: Path
    commands: Path

    def loader(self, path: str, glibc: str = "") -> None:
        """A loader; with ``glibc`` it tells that version as those from 2.33 on do."""
        says = f"echo 'ld.so (Debian GLIBC {glibc}-1) stable release version {glibc}.'" if glibc else ":"
        self._script(self.root / path.lstrip("/"), f'if [ "$1" = --version ]; then {says}; fi; exec "$@"')

    def c_library(self, folder: str, glibc: str) -> None:
        """A C library that tells its version when it is run; older loaders do not know theirs."""
        path = self.root / folder / "libc.so.6"
        self._script(path, f"echo 'GNU C Library (Debian GLIBC {glibc}-1) stable release version {glibc}.'")

    def cxx_library(self, path: str, *versions: str) -> None:
        library = self.root / path
        library.parent.mkdir(parents=True, exist_ok=True)
        names = [b"\x7fELF", *(f"GLIBCXX_{version}".encode() for version in versions), b"_ZSt4cout"]
        library.write_bytes(b"\0".join(names))

    def command(self, name: str, output: str) -> None:
        self._script(self.commands / name, f"echo '{output}'")

    def _script(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def check(self, arch: str, shell: list[str], kernel: str = "", needs: Mapping[str, str] = NEEDS) -> str:
        """What check-board.sh of the bundle for ``arch`` says; nothing for a board that fits.

        uname is a function of the shell, since busybox has one of its own and would not look for a command.
        """
        script = self.root / "check-board.sh"
        script.write_bytes(rendered(arch, "check-board.sh"))
        path = f"{self.commands}:/usr/bin:/bin"
        environment = {"PATH": path, "CORAL_TEST_ROOT": str(self.root), **needs}
        command = f"uname() {{ echo {kernel or arch}; }}; . {script}"
        done = subprocess.run([*shell, "-c", command], capture_output=True, text=True, env=environment, check=False)
        assert done.stderr == ""
        assert (done.returncode == 0) == (done.stdout == "")
        assert len(done.stdout.splitlines()) <= 1
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Board:
    machine = Board(tmp_path / "root", tmp_path / "commands")
    for name in ("getconf", "ldd"):
        machine.command(name, "")
    (machine.root / "etc").mkdir(parents=True)
    (machine.root / "etc/os-release").write_text('NAME="x"\nPRETTY_NAME="Mendel GNU/Linux 5 (Eagle)"\n')
    return machine


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    return words


def test_a_board_that_fits_is_no_news(machine: Board, shell: list[str]) -> None:
    machine.loader(AARCH64, "2.36")
    machine.cxx_library("usr/lib/aarch64-linux-gnu/libstdc++.so.6", "3.4", "3.4.9", "3.4.30")
    assert machine.check("aarch64", shell) == ""


@pytest.mark.parametrize("source", ["loader", "library", "getconf", "ldd"])
def test_an_old_glibc_is_named_wherever_its_version_stands(machine: Board, shell: list[str], source: str) -> None:
    machine.loader(AARCH64, "2.9" if source == "loader" else "")
    if source == "library":
        machine.c_library("lib", "2.9")
    elif source == "getconf":
        machine.command("getconf", "glibc 2.9")
    elif source == "ldd":
        machine.command("ldd", "ldd (Ubuntu GLIBC 2.9-0ubuntu1) 2.9")
    line = machine.check("aarch64", shell)
    assert "need glibc 2.27 or newer" in line
    assert "(Mendel GNU/Linux 5 (Eagle)) has 2.9:" in line
    assert 'glibc: "2.9"\' below platforms.aarch64 in pipeline.yaml' in line


def test_versions_are_compared_as_numbers(machine: Board, shell: list[str]) -> None:
    machine.loader(X86_64, "2.100")
    machine.cxx_library("lib/x86_64-linux-gnu/libstdc++.so.6", "3.4.9", "3.4.100")
    assert machine.check("x86_64", shell, needs=NEEDS | {"NEED_GLIBC": "2.99"}) == ""
    assert "2.101 or newer" in machine.check("x86_64", shell, needs=NEEDS | {"NEED_GLIBC": "2.101"})


def test_an_old_libstdcxx_is_named(machine: Board, shell: list[str]) -> None:
    machine.loader(AARCH64, "2.28")
    machine.cxx_library("usr/lib/aarch64-linux-gnu/libstdc++.so.6", "3.4", "3.4.9", "3.4.24")
    line = machine.check("aarch64", shell)
    assert "GLIBCXX_3.4.25 or newer" in line
    assert "has GLIBCXX_3.4.24" in line


def test_the_needs_are_the_platforms_floors(machine: Board) -> None:
    machine.loader(AARCH64, "2.1")
    needed = f"need glibc {settings('aarch64').floor.glibc} or newer"
    assert needed in machine.check("aarch64", ["sh"], needs={})


@pytest.mark.parametrize(
    ("arch", "kernel", "loaders", "expected"),
    [
        ("aarch64", "x86_64", [X86_64], f"it is x86_64: take {BUNDLE}-x86_64-linux-gnu.tar.gz"),
        (
            "x86_64",
            "aarch64",
            [AARCH64],
            f"it is aarch64: take {BUNDLE}-aarch64-linux-gnu.tar.gz",
        ),
        ("aarch64", "aarch64", [ARMHF], "its system is 32-bit ARM (armv7) under a 64-bit kernel (aarch64)"),
        ("aarch64", "armv7l", [ARMHF], "it is armv7"),
        ("aarch64", "armv6l", [ARMHF], "ARMv6"),
        ("aarch64", "armv7l", ["/lib/ld-linux.so.3"], "armel"),
        ("x86_64", "x86_64", ["/lib/ld-linux.so.2"], "32-bit x86"),
        ("aarch64", "aarch64", ["/lib/ld-musl-aarch64.so.1"], "musl"),
        ("aarch64", "riscv64", [], "it is riscv64: there is no bundle for it"),
        ("aarch64", "x86_64", [X86_64, AARCH64], "it is x86_64"),
    ],
)
def test_another_architecture_is_named_with_what_fits(
    machine: Board, shell: list[str], arch: str, kernel: str, loaders: list[str], expected: str
) -> None:
    for loader in loaders:
        machine.loader(loader, "2.36")
    assert expected in machine.check(arch, shell, kernel)


def test_a_board_that_does_not_tell_its_versions_is_left_to_the_loader(machine: Board, shell: list[str]) -> None:
    machine.loader(AARCH64)
    assert machine.check("aarch64", shell) == ""


def test_a_board_that_does_not_tell_its_processor_is_left_to_the_loader(machine: Board, shell: list[str]) -> None:
    machine.loader(AARCH64, "2.36")
    assert machine.check("aarch64", shell, kernel="''") == ""


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse4_1 sse4_2 popcnt", ""),
        ("fpu sse4_2", ""),
        ("fpu sse4_1 sse4_2x popcnt", "they need a processor with sse4_2"),
        (None, ""),
    ],
)
def test_a_processor_without_the_instructions_is_named(
    machine: Board, shell: list[str], flags: str | None, expected: str
) -> None:
    machine.loader(X86_64, "2.36")
    if flags is not None:
        (machine.root / "proc").mkdir()
        processor = f"processor\t: 0\nvmx flags\t: sse4_2\nflags\t\t: {flags}\nbugs\t\t: none\n\n"
        (machine.root / "proc/cpuinfo").write_text(processor * 2)
    said = machine.check("x86_64", shell)
    assert expected in said
    assert bool(said) == bool(expected)


def test_what_files_need_is_read_from_them(machine: Board, shell: list[str]) -> None:
    one, other = machine.root / "one", machine.root / "other"
    one.write_bytes(b"\x7fELF\0GLIBC_2.9\0GLIBC_2.17\0GLIBCXX_3.4.9\0")
    other.write_bytes(b"\0GLIBC_2.4\0GLIBC_PRIVATE\0GLIBCXX_3.4.21\0not_GLIBC_2.99\0")
    script = machine.root / "check-board.sh"
    script.write_bytes(rendered("aarch64", "check-board.sh"))
    done = subprocess.run([*shell, script, "--needs", one, other], capture_output=True, text=True, check=True)
    assert done.stdout == "NEED_GLIBC=2.17 NEED_GLIBCXX=3.4.21\n"
