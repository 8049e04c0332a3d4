"""The debug symbols that belong to the bundle: a debugger finds functions, files and lines with them."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import normpath
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from coralforge.containers.docker import DockerRunner
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.containers.toolchain import builder
from coralforge.elf.read import build_id, is_elf
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.integration.conftest import Checkout
from tests.support.unpacked import unpacked as unpacked_by_tar

pytestmark = pytest.mark.docker

SIMULATED = ("--arch", "aarch64", "--variant", "simulated")
SETTINGS = resolve(Project(ROOT), Options())

# By program or library: a function, and where its source is.
KNOWN = {
    "bin/model": ("main", "coralforge/model.cpp"),
    "lib/libtensorflowlite.so": ("TfLiteInterpreterInvoke", "org_tensorflow/tensorflow/lite/core/c/c_api.cc"),
    "lib/libtensorflowlite_c.so": ("TfLiteInterpreterInvoke", "org_tensorflow/tensorflow/lite/core/c/c_api.cc"),
    "lib/libusb-1.0.so.0": ("libusb_init", "libusb/libusb/core.c"),
    "lib/simulated/libedgetpu.so.1.0": ("edgetpu_list_devices", "simulator/"),
}


@pytest.fixture(scope="module")
def runner() -> Iterator[DockerRunner]:
    runner = DockerRunner()
    yield runner
    runner.client.close()


@pytest.fixture(scope="module")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle."""
    return unpacked_by_tar(bundle, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def symbols(bundle: Path, cli: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive."""
    ran = cli.invoke("bundle", *SIMULATED, "--format", "debug")
    assert ran.status == 0, ran.stderr
    archive = cli.root / "dist" / bundle.name.replace(".tar.gz", "-debug.tar.gz")
    assert f"debug symbols: {archive}" in ran.stdout
    return unpacked_by_tar(archive, tmp_path_factory.mktemp("symbols"))


def place(symbols: Path, file: Path) -> Path:
    found = build_id(file)
    assert found is not None
    return symbols / ".build-id" / found[:2] / f"{found[2:]}.debug"


def test_there_are_those_of_the_bundle_and_no_others(symbols: Path, unpacked: Path) -> None:
    files = [path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink() and is_elf(path)]
    assert len(files) >= len(KNOWN)
    assert {place(symbols, file) for file in files} == set(symbols.rglob("*.debug"))
    assert unpacked.name in (symbols / "README.md").read_text()


def address(file: Path, function: str) -> int:
    """Of a function, in the file with debug symbols: the bundle's own has no names but those it exports."""
    with file.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        [found] = {symbol["st_value"] for symbol in table.get_symbol_by_name(function) or []}
        return int(found)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_an_address_becomes_function_file_and_line(
    runner: DockerRunner, symbols: Path, unpacked: Path, name: str
) -> None:
    function, source = KNOWN[name]
    where = address(place(symbols, unpacked / name), function)
    said = symbolize(runner, symbols, place(symbols, unpacked / name), where)
    assert said[0].partition("(")[0] == function
    file, line, _ = said[1].rsplit(":", 2)
    assert normpath(file).startswith(source)
    assert int(line) > 0


def symbolize(runner: DockerRunner, symbols: Path, file: Path, where: int) -> list[str]:
    """The lines of llvm-symbolizer in the builder image."""
    command = ("llvm-symbolizer", f"--obj=/symbols/{file.relative_to(symbols)}", hex(where))
    mounts = (Mount(symbols, "/symbols"),)
    lines: list[str] = []
    finished = runner.run(ContainerSpec("symbolizer", builder(SETTINGS).tag, command, mounts), lines.append)
    assert finished.status == 0, lines
    return lines


def folders(file: Path) -> Iterator[str]:
    """The folders in which the compiler says that it ran."""
    with file.open("rb") as stream:
        for unit in ELFFile(stream).get_dwarf_info().iter_CUs():
            attribute = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
            if attribute is not None:
                yield attribute.value.decode()


def test_no_folder_of_the_build_is_in_them(symbols: Path) -> None:
    """It would make other bytes elsewhere, and it tells nobody anything."""
    assert {folder for file in symbols.rglob("*.debug") for folder in folders(file)} == {".", "coralforge"}
