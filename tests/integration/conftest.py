"""Integration tests do what a user does: run invoke in a checkout, with real containers and compilers.

The cache is the user's own (CORALFORGE_CACHE, or ~/.cache/coralforge), so one build serves all tests and the
next run too. A test that edits pipeline.yaml, or wants its own output folder, gets a copy of the project.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.board import board as boards
from coralforge.board.board import Board
from coralforge.config.arch import Arch
from coralforge.containers.docker import DockerRunner
from coralforge.containers.engine import connect
from coralforge.quantize.environment import find_python
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT, TESTDATA, libedgetpu_options
from tests.support.wire_bench import DeviceBenches

NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "dist")
BOARD_NAME = f"test-{os.getpid()}"
MOST_BYTES = 5_750_000
"""Of libtensorflowlite.so and libtensorflowlite_c.so together, without XNNPACK."""
BUILD_TIMEOUT = 3 * 60 * 60.0  # seconds; 12 minutes are usual


@dataclass(frozen=True)
class Ran:
    """How a command ended, and how many seconds of the processor it took."""

    status: int
    stdout: str
    stderr: str
    processor: float


@dataclass(frozen=True)
class Checkout:
    """A checkout of the project in which commands are run."""

    root: Path

    def environment(self, **changes: str) -> dict[str, str]:
        """The user's environment, with this checkout's engine instead of the one that .venv points to."""
        return {**os.environ, "PYTHONPATH": str(self.root / "src"), **changes}

    def invoke(self, *args: str, timeout: float = BUILD_TIMEOUT, **environment: str) -> Ran:
        """``invoke ARGS...`` to the end; ``timeout`` in seconds; ``environment`` adds variables."""
        program = Path(sys.executable).parent / "invoke"
        before = processor_seconds()
        done = subprocess.run(
            [program, *args],
            cwd=self.root,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr, processor_seconds() - before)


def processor_seconds() -> float:
    """What all processes took that this one started and that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def copy_project(destination: Path) -> Checkout:
    """The project without what was built or installed in it, and without the tests' models."""

    def skipped(folder: str, names: list[str]) -> set[str]:
        return {TESTDATA.name} if Path(folder) == TESTDATA.parent else NOT_COPIED(folder, names)

    return Checkout(Path(shutil.copytree(ROOT, destination, ignore=skipped, symlinks=True)))


@pytest.fixture(scope="module")
def runner() -> Iterator[DockerRunner]:
    """Runs containers, as builds do."""
    runner = DockerRunner()
    yield runner
    runner.client.close()


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout for all tests that only read it."""
    return copy_project(tmp_path_factory.mktemp("cli") / "coralforge")


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    """A checkout of the test's own, to be edited."""
    return copy_project(tmp_path / "coralforge")


@pytest.fixture(scope="session")
def keras_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models and samples of keras_models.py, made once by real TensorFlow."""
    folder, maker = tmp_path_factory.mktemp("keras"), ROOT / "tests/support/keras_models.py"
    done = subprocess.run(
        [find_python(), maker, folder], capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="session")
def emulated_board(cli: Checkout) -> Iterator[Board]:
    """One whole emulated board for all tests; each says what it needs of users, udev rules and devices."""
    place = boards.place_of(resolve(Project(cli.root), Options()).cache.boards, BOARD_NAME)
    client = connect()
    try:
        ran = cli.invoke("board", "--start", "--name", BOARD_NAME)
        assert ran.status == 0, ran.stdout + ran.stderr
        yield boards.require(client, place)
    finally:
        boards.stop(client, place)
        client.close()


def make_bundle(cli: Checkout, destination: Path, arch: Arch, *options: str) -> Path:
    """The archive that ``invoke bundle`` makes, copied into the folder ``destination`` with its digest.

    All bundles of an architecture have one name in dist/, whatever variants are in them.
    """
    ran = cli.invoke("bundle", "--arch", arch.value, *options)
    assert ran.status == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-8000:]}"
    [archive] = (cli.root / "dist").glob(f"*-{arch.triple}.tar.gz")
    shutil.copy(f"{archive}.sha256", destination)
    return Path(shutil.copy(archive, destination))


@pytest.fixture(scope="session")
def bundle(cli: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the README's command, built once."""
    return make_bundle(cli, tmp_path_factory.mktemp("simulated"), Arch.AARCH64, "--variant", "simulated")


@pytest.fixture(scope="session")
def device_benches(
    cli: Checkout, testdata: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeviceBenches]:
    """Emulated devices. Tests that ask it for a bench need ``libedgetpu_source`` too."""
    scratch = tmp_path_factory.mktemp("devices")
    scratch.chmod(0o755)
    runner = DockerRunner()
    yield DeviceBenches(
        runner, scratch, testdata, lambda arch: make_bundle(cli, scratch, arch, *(libedgetpu_options() or ()))
    )
    runner.client.close()
