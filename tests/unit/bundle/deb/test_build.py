"""The folders that dpkg-deb packs: complete, honest, and the same every time."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge import __released__
from coralforge.bundle.assemble import assemble
from coralforge.bundle.deb.build import EPOCH, lay_out
from coralforge.bundle.deb.contents import SMOKE, commands
from coralforge.bundle.deb.mapping import HOME
from coralforge.config.base import Variant
from coralforge.settings import Options, Project, Settings, resolve
from coralforge.templates import PROGRAMS, render_bundle
from tests.conftest import ROOT
from tests.support.bundle_maker import make_inputs
from tests.support.elf_maker import write

LIB = "usr/lib/aarch64-linux-gnu"
VARIANTS = (Variant.THROTTLED, Variant.DIRECT, Variant.SIMULATED)
DEB = re.compile(r"(?P<name>[a-z0-9-]+)_(?P<version>[a-z0-9.]+-[a-z0-9.]+)_arm64\.deb")


@pytest.fixture
def settings() -> Settings:
    return resolve(Project(ROOT), Options(arch="aarch64"))


@pytest.fixture
def bundle(tmp_path: Path, settings: Settings) -> Path:
    """A bundle of small files with the real templates."""
    folder = tmp_path / settings.bundle_name
    folder.mkdir()
    assemble(replace(make_inputs(tmp_path / "inputs", VARIANTS), templates=render_bundle(settings)), folder)
    return folder


@pytest.fixture
def packages(tmp_path: Path, settings: Settings, bundle: Path) -> Path:
    lay_out(settings, bundle, tmp_path / "packages")
    return tmp_path / "packages"


def test_one_folder_for_each_file_that_is_promised(tmp_path: Path, settings: Settings, bundle: Path) -> None:
    names = lay_out(settings, bundle, tmp_path / "packages")
    found = [DEB.fullmatch(name) for name in names]
    assert {match["name"] for match in found if match} == {path.name for path in (tmp_path / "packages").iterdir()}
    assert all(found)
    for match in found:
        assert match is not None
        text = (tmp_path / "packages" / match["name"] / "DEBIAN/control").read_text()
        assert f"\nVersion: {match['version']}\n" in text


def test_every_file_is_in_the_md5sums_and_has_a_usual_mode(packages: Path) -> None:
    for package in packages.iterdir():
        lines = (package / "DEBIAN/md5sums").read_text().splitlines()
        sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
        files = [path for path in package.rglob("*") if path.is_file() and not path.is_symlink()]
        files = [path for path in files if path.parent.name != "DEBIAN"]
        assert set(sums) == {path.relative_to(package).as_posix() for path in files}
        for path in files:
            assert hashlib.md5(path.read_bytes()).hexdigest() == sums[path.relative_to(package).as_posix()]
            assert path.stat().st_mode & 0o777 in (0o644, 0o755)


def test_every_time_is_that_of_the_version(packages: Path) -> None:
    assert {path.lstat().st_mtime for path in packages.rglob("*")} == {EPOCH}


def test_the_time_of_the_version_is_the_change_logs() -> None:
    newest = re.search(r"^## \[[\d.]+\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __released__


def test_links_lead_to_files_of_the_packages(packages: Path, tmp_path: Path) -> None:
    """With one variant installed, as it is on a system."""
    root = tmp_path / "root"
    for package in sorted(packages.iterdir()):
        if package.name not in ("libedgetpu1-max", "libedgetpu1-simulated"):
            for path in package.rglob("*"):
                target = root / path.relative_to(package)
                if path.is_dir() and not path.is_symlink():
                    target.mkdir(parents=True, exist_ok=True)
                elif path.parent.name != "DEBIAN":
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, target, follow_symlinks=False)
    links = [path for path in root.rglob("*") if path.is_symlink()]
    assert {path.relative_to(root).as_posix() for path in links} >= {
        "usr/bin/lstpu",
        f"{LIB}/libedgetpu.so",
        f"{LIB}/libedgetpu.so.1",
        f"{LIB}/coralforge/throttled/libedgetpu.so.1",
        "usr/lib/coralforge/share",
    }
    for path in links:
        assert not path.readlink().is_absolute()
        assert path.resolve(strict=True).is_relative_to(root)


def test_description_and_page_name_every_command(packages: Path) -> None:
    page = (ROOT / "docs/debian.md").read_text(encoding="utf-8")
    described = (packages / "coralforge-tools/DEBIAN/control").read_text(encoding="utf-8")
    for command in (*commands(), SMOKE):
        assert re.search(rf"\b{command}\b", described), command
        assert f"`{command}`" in page, command


def test_the_manual_page_has_every_exit_code(packages: Path) -> None:
    codes = re.search(r"enum ExitCode {(.*?)};", (ROOT / "templates/consumer/cli.h").read_text(), re.DOTALL)
    manual = gzip.decompress((packages / "coralforge-tools/usr/share/man/man1/lstpu.1.gz").read_bytes()).decode()
    status = manual.partition(".SH EXIT STATUS")[2].partition(".SH")[0]
    assert codes is not None
    for code in re.findall(r"= (\d+),", codes[1]):
        assert re.search(rf"\b{code} [a-z]", status), code


def test_every_program_is_a_command_with_a_manual_page(packages: Path) -> None:
    assert set(commands().values()) == {f"usr/lib/coralforge/bin/{name}" for name in PROGRAMS}
    tools = packages / "coralforge-tools"
    for command in (*commands(), SMOKE):
        assert os.path.lexists(tools / "usr/bin" / command)
        page = gzip.decompress((tools / f"usr/share/man/man1/{command}.1.gz").read_bytes()).decode()
        assert command.replace("-", "\\-") in page


def test_the_smoke_test_is_run_by_its_own_path_beside_programs_and_models(packages: Path) -> None:
    tools = packages / "coralforge-tools"
    assert f"exec /{HOME}/smoke.sh " in (tools / "usr/bin" / SMOKE).read_text()
    for name in ("smoke.sh", "check-board.sh", "bin/lstpu", "share/models/model.tflite"):
        assert (tools / HOME / name).is_file()


def test_only_what_has_rules_and_libraries_acts_on_the_system(packages: Path) -> None:
    found = {package.name: {path.name for path in (package / "DEBIAN").iterdir()} for package in packages.iterdir()}
    always = {"control", "md5sums"}
    assert found == {
        "libedgetpu1-std": always | {"triggers", "shlibs", "postinst"},
        "libedgetpu1-max": always | {"triggers", "shlibs", "postinst"},
        "libedgetpu1-simulated": always | {"triggers", "shlibs"},
        "libtensorflowlite": always | {"triggers"},
        "libedgetpu-dev": always,
        "coralforge-dev": always,
        "coralforge-tools": always,
    }
    assert (packages / "libedgetpu1-std/DEBIAN/postinst").stat().st_mode & 0o777 == 0o755


def test_the_copyright_file_names_each_source_and_has_no_licence_that_debian_has(
    tmp_path: Path, settings: Settings, bundle: Path
) -> None:
    apache = (ROOT / "LICENSE").read_text()
    write(bundle / "share/licenses/tensorflow/LICENSE", f"Mine too.\n\n{apache}\nAnd more.\n".encode())
    lay_out(settings, bundle, tmp_path / "packages")
    texts = {path.read_text() for path in (tmp_path / "packages").glob("*/usr/share/doc/*/copyright")}
    assert len(texts) == 1
    [text] = texts
    assert {"Files: sources/tensorflow/*", "Files: sources/ruy/*", "Files: *"} <= set(text.splitlines())
    assert "TERMS AND CONDITIONS" not in text
    assert " Mine too.\n .\n On Debian systems" in text
    assert " And more.\n" in text
    assert "Copyright: 2015-2023 The TensorFlow Authors\n" in text
    for paragraph in text.strip().split("\n\n")[1:]:
        names = [line.split(":")[0] for line in paragraph.splitlines() if not line.startswith(" ")]
        assert [name for name in names if name != "Comment"] == ["Files", "Copyright", "License"]


def test_equal_bundles_give_equal_folders(tmp_path: Path, settings: Settings, bundle: Path) -> None:
    before = os.umask(0o077)
    try:
        lay_out(settings, bundle, tmp_path / "one")
        os.umask(0o002)
        lay_out(settings, bundle, tmp_path / "two")
    finally:
        os.umask(before)
    assert state(tmp_path / "one") == state(tmp_path / "two")
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o755


def state(root: Path) -> dict[str, tuple[int, float, bytes]]:
    """Mode, time, and content or target, by path."""
    found = {}
    for path in root.rglob("*"):
        about = path.lstat()
        link = os.fsencode(path.readlink()) if path.is_symlink() else None
        data = link if link is not None else b"" if path.is_dir() else path.read_bytes()
        found[path.relative_to(root).as_posix()] = (about.st_mode, about.st_mtime, data)
    return found
