"""The C++ tests of the simulated libedgetpu (simulator/tests): natively, with sanitizers, fuzzed, and emulated.

They are built by the engine, in the builder's Bazel cache, and run in containers like everything else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.config.userlands import oldest
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Finished, Mount
from coralforge.events import Recorder
from coralforge.pipeline.side_builds import make_simulator_tests
from coralforge.settings import Options, Project, Settings, resolve
from coralforge.sources.fetch import fetch_all
from coralforge.sources.trees import make_tree, survey_sources, to_fetch, trees
from tests.conftest import ROOT, in_ci
from tests.integration.conftest import Checkout
from tests.support.interface_reader import read_exports, read_headers, read_version_script
from tests.support.patience import NET
from tests.support.simulator_models import write_models, write_seeds

pytestmark = pytest.mark.docker

# Where programs of the board's architecture are run.
EMULATED = ("qemu-aarch64", "-L", "/board")
SUPPRESSIONS = ROOT / "simulator/tests/tsan.supp"
TSAN_OPTIONS = "external_symbolizer_path=/opt/llvm/usr/lib/llvm-19/bin/llvm-symbolizer:suppressions=/tsan.supp"
FUZZ_RUNS = 3_000_000 if in_ci() else 500_000
OVERHEAD_LIMIT = 2.0  # percent


@dataclass(frozen=True)
class Bench:
    """Built tests, the image that they run in, and the models they run with."""

    runner: DockerRunner
    folder: Path
    image: str
    models: Path
    prefix: tuple[str, ...] = ()

    def run(self, *command: str, **env: str) -> tuple[Finished, list[str]]:
        """Run a program of ``bin`` with its arguments; its output comes back in lines."""
        got: list[str] = []
        env = {
            "LD_LIBRARY_PATH": "/tests/lib",
            "CORALFORGE_TEST_DATA": "/models",
            "TSAN_OPTIONS": TSAN_OPTIONS,
            **env,
        }
        spec = ContainerSpec(
            "simulator-test",
            self.image,
            (*self.prefix, f"/tests/bin/{command[0]}", *command[1:]),
            (Mount(self.folder, "/tests"), Mount(self.models, "/models"), Mount(SUPPRESSIONS, "/tsan.supp")),
            tuple(env.items()),
        )
        return self.runner.run(spec, got.append), got

    def all_pass(self, program: str, at_least: int) -> None:
        """Run a GoogleTest program: everything in it must have run and passed."""
        finished, got = self.run(program)
        said = "\n".join(got)
        assert finished.status == 0, said[-8000:]
        ran = re.search(r"^\[=+\] (\d+) tests .* ran\.", said, re.MULTILINE)
        passed = re.search(r"^\[  PASSED  \] (\d+) tests\.", said, re.MULTILINE)
        assert ran and passed, said[-2000:]
        assert int(ran[1]) == int(passed[1]) >= at_least
        assert "SKIPPED" not in said and "DISABLED" not in said


def settings_for(arch: Arch) -> Settings:
    return resolve(Project(ROOT), Options(arch=arch.value))


@pytest.fixture(scope="module")
def models(testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_models(tmp_path_factory.mktemp("models") / "models", testdata)
    write_seeds(folder / "seeds")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whoever the container's user is
    return folder


@pytest.fixture(scope="module")
def native(runner: DockerRunner, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    destination = tmp_path_factory.mktemp("native") / "tests"
    built = make_simulator_tests(settings_for(Arch.X86_64), destination, Recorder())
    return Bench(runner, built.folder, built.image, models)


@pytest.fixture(scope="module")
def emulated(runner: DockerRunner, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    settings = settings_for(Arch.AARCH64)
    scratch = tmp_path_factory.mktemp("emulated")
    built = make_simulator_tests(settings, scratch / "tests", Recorder())
    image = board(settings.project.docker, oldest(settings.floor.versions()), settings.arch)
    tag = ImageMaker.of(settings, runner.client, Recorder()).ensure(image)
    return Bench(runner, built.folder, tag, models, EMULATED)


def test_the_inside_natively(native: Bench) -> None:
    native.all_pass("inner_test", at_least=15)


def test_what_programs_see_natively(native: Bench) -> None:
    native.all_pass("public_test", at_least=120)


@pytest.mark.parametrize("sanitizer", ["asan", "tsan"])
def test_all_of_it_with_sanitizers(native: Bench, sanitizer: str) -> None:
    native.all_pass(f"{sanitizer}_test", at_least=135)


def test_any_bytes_are_a_payload_or_give_a_sentence(native: Bench) -> None:
    finished, got = native.run(
        "fuzz_payload",
        f"-runs={FUZZ_RUNS}",
        "-max_len=4096",
        f"-timeout={NET}",
        "-rss_limit_mb=2048",
        "-artifact_prefix=/tmp/",
        "-print_final_stats=1",
        "/models/seeds",
    )
    said = "\n".join(got)
    assert finished.status == 0, said[-8000:]
    ran = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
    assert ran and int(ran[1]) >= FUZZ_RUNS, said[-2000:]


def test_the_inside_on_the_emulated_board(emulated: Bench) -> None:
    emulated.all_pass("inner_test", at_least=15)


def test_what_programs_see_on_the_emulated_board(emulated: Bench) -> None:
    emulated.all_pass("public_test", at_least=120)


def test_the_delegate_costs_next_to_nothing(native: Bench) -> None:
    """The best of ten: what costs too much does so each time, what disturbs does not."""
    name = "mobilenet_v2_1.0_224_quant"
    measured = []
    for _ in range(10):
        files = (f"/models/{name}.tflite", f"/models/{name}_edgetpu-sim.tflite")
        finished, got = native.run("overhead_one_copy", *files, "60", CORALFORGE_SIMULATED_DEVICES="usb:1")
        assert finished.status == 0, got
        measured.append(float(json.loads(got[-1])["overhead_percent"]))
        if measured[-1] < OVERHEAD_LIMIT:
            break
    assert min(measured) < OVERHEAD_LIMIT, measured


def exported(library: Path) -> dict[str, str]:
    """The symbols that a library defines for others, each with its version."""
    with library.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".dynsym")
        numbers, versions = elf.get_section_by_name(".gnu.version"), elf.get_section_by_name(".gnu.version_d")
        assert isinstance(symbols, SymbolTableSection)
        assert isinstance(numbers, GNUVerSymSection) and isinstance(versions, GNUVerDefSection)
        names = {verdef["vd_ndx"]: next(auxiliaries).name for verdef, auxiliaries in versions.iter_versions()}
        return {
            symbol.name: names[numbers.get_symbol(index)["ndx"]]
            for index, symbol in enumerate(symbols.iter_symbols())
            if symbol["st_shndx"] not in ("SHN_UNDEF", "SHN_ABS") and symbol["st_info"]["bind"] != "STB_LOCAL"
        }


EXPORTS = {export.symbol: "VER_1.0" for export in read_exports(ROOT / "simulator" / "exports.txt")}


@pytest.mark.parametrize("bench", ["native", "emulated"])
def test_the_built_library_exports_what_the_list_says(bench: str, request: pytest.FixtureRequest) -> None:
    built: Bench = request.getfixturevalue(bench)
    assert exported(built.folder / "lib" / "libedgetpu.so.1") == EXPORTS


@pytest.fixture(scope="module")
def real_source(libedgetpu_source: tuple[str, ...]) -> Path:
    """The unpacked source of the real library."""
    kind, value = libedgetpu_source
    options = Options(sources=(value,)) if kind == "--source" else Options(mirrors=(value,))
    settings = replace(resolve(Project(ROOT), options), variants=(Variant.DIRECT,))
    wanted = [source for source in to_fetch(settings) if source.name == "libedgetpu"]
    fetch_all(wanted, settings.cache.root, settings.mirrors, Recorder())
    facts = tuple(fact for fact in survey_sources(settings) if fact.name == "libedgetpu")
    for fact in facts:
        if not fact.unpacked:
            make_tree(settings, fact)
    return trees(settings, facts)["libedgetpu"].path


def test_the_headers_promise_what_the_real_ones_do(real_source: Path) -> None:
    assert read_headers(ROOT / "simulator" / "include") == read_headers(real_source / "tflite" / "public")


def test_the_real_version_script_shows_the_same(real_source: Path) -> None:
    real = read_version_script(real_source / "tflite" / "public" / "libedgetpu.lds")
    ours = read_version_script(ROOT / "simulator" / "libedgetpu_simulated.lds")
    assert (ours.node, ours.cpp) == (real.node, real.cpp)
    # What is left are operator new and delete, and std::nothrow, which exist in it only with a static C++ library.
    assert {name for name in real.plain if not name.startswith("_Z")} == set(ours.plain)
    exports = read_exports(ROOT / "simulator" / "exports.txt")
    assert [export for export in exports if not real.shows(export)] == []


def test_the_real_libraries_export_the_same(libedgetpu_source: tuple[str, ...], cli: Checkout) -> None:
    variants = ("--variant", "throttled", "--variant", "direct")
    ran = cli.invoke("build", "--arch", "aarch64", *variants, *libedgetpu_source)
    assert ran.status == 0, ran.stderr[-4000:]
    found = re.search(r"^libraries: (.*)$", ran.stdout, re.MULTILINE)
    assert found
    for variant in ("throttled", "direct"):
        assert exported(Path(found[1]) / "lib" / variant / "libedgetpu.so.1") == EXPORTS
