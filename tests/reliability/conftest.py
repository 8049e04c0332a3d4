"""The fault matrix: how much is tried, and the table of what was found."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from coralforge.config.arch import Arch
from coralforge.settings import Options, Project, resolve
from coralforge.util.fingerprint import of_file
from tests.conftest import ROOT
from tests.integration.conftest import bundle, cli  # noqa: F401 - fixtures: the bundle that all tests share
from tests.support.cache_lab import CacheLab
from tests.support.promises import SEED, Form, Promise, Row, Trial, collect, write_table

ROWS = pytest.StashKey[dict[Promise, Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reliability", "the fault matrix (tests/reliability)")
    group.addoption("--long", action="store_true", help="try every case, as invoke selftest does")
    group.addoption("--seed", type=int, default=SEED, help="what random cases are drawn with (default: %(default)s)")
    group.addoption("--minutes", type=float, help="let no test begin another case after so long")
    group.addoption("--table", type=Path, help="write the table of promises into this Markdown file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = {}


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Trial:
    """How many cases to try."""
    return Trial(form_of(request.config))


def form_of(config: pytest.Config) -> Form:
    """How much this run tries."""
    return Form(config.getoption("--seed"), config.getoption("--long"), config.getoption("--minutes"))


@pytest.fixture(scope="module")
def lab(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheLab]:  # noqa: F811
    """The built bundle's cache, to be copied and damaged; whoever asks for Docker gets no answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        patch.delenv("CORALFORGE_MIRROR", raising=False)  # what is gone cannot be had again
        settings = resolve(Project(ROOT), Options(arch=Arch.AARCH64.value, variants=("simulated",)))
        yield CacheLab.of(settings, of_file(bundle), tmp_path_factory.mktemp("rooms"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    collect(item.config.stash[ROWS], item, report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--table")
    rows = session.config.stash[ROWS].values()
    if path is not None and rows:
        write_table(path, rows, form_of(session.config))
