"""What all tests share: the things a machine may lack, and how honestly their absence is told.

A test names what it needs by a marker or by the fixture of the same name. Where that is absent the test is
skipped with the reason, the run ends with a list of all skips, and in CI (CI=true) a skip that is not on the
short list of things no CI machine has is an error: a test that silently stopped running proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from tests.support.patience import NET
from tests.support.second_engine import ABSENT, possible

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = ROOT / "tests" / "data"
SAMPLE = ROOT / "sample"
SKIPPED = "Skipped: "

# Deadlines, and how long an example takes to draw, measure how busy the machine is.
# In CI the same examples every time: a red run must be repeatable.
ANY_PACE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("developer", ANY_PACE)
settings.register_profile("ci", ANY_PACE, derandomize=True, database=None, print_blob=True)


@cache
def docker_answers() -> bool:
    from docker.errors import DockerException

    import docker

    try:
        with contextlib.closing(docker.from_env(timeout=NET)) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


@cache
def libedgetpu_options() -> tuple[str, ...] | None:
    """What to add to ``invoke build`` so that libedgetpu's source is found; None when this machine has none."""
    checkout = os.environ.get("CORALFORGE_TEST_LIBEDGETPU")
    return ("--source", f"libedgetpu={checkout}") if checkout else mirror_options("libedgetpu")


@cache
def mirror_options(source: str) -> tuple[str, ...] | None:
    """What to add to ``invoke build`` so that a source is found that only GitHub and a mirror have."""
    from coralforge.config.load import load_release

    names = [place.filename for place in load_release(ROOT / "releases", "2.14.1").sources[source].places]
    for mirror in os.environ.get("CORALFORGE_MIRROR", "").split():
        if urlsplit(mirror).scheme or any((Path(mirror) / name).is_file() for name in names):
            return ("--mirror", mirror)
    return None


@dataclass(frozen=True)
class Thing:
    """Something a test needs. ``name`` is a marker, and also a fixture where there is something to hand over."""

    name: str
    present: Callable[[], bool]
    absence: str
    in_ci: bool
    """Whether every CI machine has it, so that its absence there is an error."""


@cache
def tensorflow_found() -> bool:
    from coralforge.errors import CoralforgeError
    from coralforge.quantize.environment import find_python

    try:
        return find_python().exists()
    except CoralforgeError:
        return False


@cache
def onnx2tf_found() -> bool:
    from coralforge.convert.environment import find_python
    from coralforge.errors import CoralforgeError

    try:
        return find_python().exists()
    except CoralforgeError:
        return False


THINGS = (
    Thing("docker", docker_answers, "no Docker Engine answers", in_ci=True),
    Thing(
        "emulated_board",
        lambda: shutil.which("ssh") is not None,
        "there is no SSH client (apt-get install openssh-client)",
        in_ci=True,
    ),
    Thing("tensorflow", tensorflow_found, "TensorFlow is not installed (scripts/bootstrap --models)", in_ci=True),
    Thing("onnx2tf", onnx2tf_found, "onnx2tf is not installed (scripts/bootstrap --convert)", in_ci=True),
    Thing(
        "libedgetpu_source",
        lambda: libedgetpu_options() is not None,
        "libedgetpu's source is not on this machine (set CORALFORGE_TEST_LIBEDGETPU or CORALFORGE_MIRROR)",
        in_ci=False,
    ),
    Thing("second_engine", possible, ABSENT, in_ci=False),
    Thing(
        "xnnpack_source",
        lambda: mirror_options("xnnpack") is not None,
        "XNNPACK's source is not on this machine (set CORALFORGE_MIRROR)",
        in_ci=False,
    ),
    Thing(
        "edgetpu_compiler",
        lambda: "CORALFORGE_TEST_COMPILER" in os.environ,
        "Google's edgetpu_compiler is not on this machine (set CORALFORGE_TEST_COMPILER)",
        in_ci=False,
    ),
)
ALLOWED = frozenset(thing.absence for thing in THINGS if not thing.in_ci)


@pytest.fixture(scope="session")
def testdata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real models, labels and an image: tests/data and sample, whose READMEs say where each is from."""
    folder = tmp_path_factory.mktemp("testdata")
    for path in (*TESTDATA.iterdir(), *SAMPLE.iterdir()):
        if path.suffix != ".md":
            shutil.copy(path, folder)
    folder.chmod(0o755)  # containers read it as another user
    return folder


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP do in the test, and in what it starts, what they do at a terminal.

    A script that starts the tests in the background hands SIGINT down ignored, nohup SIGHUP; so would every program.
    """
    usual: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def libedgetpu_source() -> tuple[str, ...]:
    """Options of ``invoke build`` that make libedgetpu's source available."""
    options = libedgetpu_options()
    assert options is not None
    return options


@pytest.fixture(scope="session")
def xnnpack_source() -> tuple[str, ...]:
    """Options of ``invoke build`` that make XNNPACK's source available."""
    options = mirror_options("xnnpack")
    assert options is not None
    return options


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or module was skipped."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix(SKIPPED)


def refuse_silent_skip(report: Any) -> None:
    """In CI, turn a skip that is not on the list into a failure."""
    if report.skipped and in_ci() and not hasattr(report, "wasxfail") and reason_of(report) not in ALLOWED:
        text = f"skipped in CI: {reason_of(report)}\nOnly these may be absent there (tests/conftest.py):\n"
        report.outcome = "failed"
        report.longrepr = text + "\n".join(f"  {absence}" for absence in sorted(ALLOWED))


def pytest_configure() -> None:
    settings.load_profile("ci" if in_ci() else "developer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for thing in THINGS:
            wanted = item.get_closest_marker(thing.name) or thing.name in getattr(item, "fixturenames", ())
            if wanted and not thing.present():
                item.add_marker(pytest.mark.skip(reason=thing.absence))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_silent_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_silent_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skips = Counter(reason_of(report) for report in terminalreporter.stats.get("skipped", []))
    if skips:
        terminalreporter.section("skipped, and why")
        for reason, count in skips.most_common():
            terminalreporter.write_line(f"{count:4d}  {reason}")
