"""The emulated board, made from Debian packages, and the smoke test in it; nothing has to be compiled for this."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.bench import ContainerBench
from coralforge.bundle.pack import pack
from coralforge.bundle.smoke import run_smoke
from coralforge.config.arch import Arch
from coralforge.config.userlands import BOOKWORM
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import board
from coralforge.containers.image_maker import ImageMaker
from coralforge.errors import CoralforgeError
from coralforge.events import Recorder
from coralforge.settings import Cache
from coralforge.templates import File
from tests.conftest import ROOT
from tests.support.bundle_maker import make_inputs

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# Stands in for the bundle's smoke.sh. The board's own loader is a program of the board's architecture.
SMOKE = b"""#!/bin/sh
set -eu
version=$($CORALFORGE_RUN /board/lib/ld-linux-aarch64.so.1 --version | head -n 1)
echo "$version"
writable=true; touch /bundle/x 2>/dev/null || writable=false
cat > "$CORALFORGE_REPORT" <<END
{"schema": 1, "passed": OK, "variant": "simulated", "simulated": true, "loader": "$version", "uid": $(id -u),
 "writable": $writable, "network": "$(ls /sys/class/net | tr '\\n' ' ')", "apex": "$(ls /board-apex/sys/class/apex)",
 "steps": [{"name": "lstpu", "status": "RESULT"}]}
END
exit STATUS
"""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the sockets within the test, where the filter above holds."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def bench(runner: DockerRunner, tmp_path_factory: pytest.TempPathFactory) -> ContainerBench:
    wanted = board(ROOT / "docker", BOOKWORM, Arch.AARCH64)
    cache = Cache(tmp_path_factory.mktemp("image"))
    image = ImageMaker(runner.client, ROOT / "docker", cache, Recorder()).ensure(wanted)
    return ContainerBench(runner, image)


def make_archive(tmp_path: Path, passes: bool) -> Path:
    words = {b"OK": b"true", b"STATUS": b"0", b"RESULT": b"passed"}
    if not passes:
        words = {b"OK": b"false", b"STATUS": b"1", b"RESULT": b"failed"}
    script = SMOKE
    for word, value in words.items():
        script = script.replace(word, value)
    inputs = make_inputs(tmp_path / "inputs")
    folder = tmp_path / "coralforge-2.14.1-aarch64-linux-gnu"
    folder.mkdir()
    assemble(replace(inputs, templates={PurePosixPath("smoke.sh"): File(script, True)}), folder)
    pack(folder, tmp_path / "b.tar.gz")
    return tmp_path / "b.tar.gz"


def test_programs_of_the_board_run_and_can_change_nothing(bench: ContainerBench, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, passes=True)
    result = run_smoke(archive, bench, tmp_path / "work", tmp_path / "report.json", Recorder())
    data = json.loads((tmp_path / "report.json").read_text())
    assert result.steps == ("lstpu",)
    assert "2.36" in data["loader"]
    assert (data["board"]["userland"], data["board"]["versions"]["GLIBC"]) == ("bookworm", "2.36")
    assert data["board"]["emulator"].startswith("qemu-aarch64")
    assert (data["writable"], data["network"].split(), data["apex"]) == (False, ["lo"], "apex_0")
    assert data["uid"] != 0
    assert list((tmp_path / "work").iterdir()) == []


def test_a_failing_step_fails_the_smoke_test(bench: ContainerBench, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, passes=False)
    with pytest.raises(CoralforgeError) as caught:
        run_smoke(archive, bench, tmp_path / "work", tmp_path / "report.json", Recorder())
    assert caught.value.reason == "smoke-failed"
    assert "step lstpu" in caught.value.brief
    assert json.loads((tmp_path / "report.json").read_text())["ok"] is False


def test_a_bundle_for_another_architecture_is_refused(bench: ContainerBench, tmp_path: Path) -> None:
    inputs = replace(make_inputs(tmp_path / "inputs"), arch=Arch.X86_64)
    folder = tmp_path / "coralforge-2.14.1-x86_64-linux-gnu"
    folder.mkdir()
    assemble(inputs, folder)
    pack(folder, tmp_path / "b.tar.gz")
    with pytest.raises(CoralforgeError, match="the bundle is for x86_64"):
        run_smoke(tmp_path / "b.tar.gz", bench, tmp_path / "work", tmp_path / "r.json", Recorder())
