"""Bazel is killed while it compiles: no library that nobody built, one error, and the next build goes on."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.containers.docker import DockerRunner
from coralforge.containers.engine import connect
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.settings import Cache
from tests.support.chain import containers_of
from tests.support.promises import Promise, Trial, promised
from tests.support.small_build import ACTIONS, NAME, SmallBuild

pytestmark = pytest.mark.docker
COMPILERS = 8
"""Of the eleven actions of the build, those that compile."""
VICTIMS = {
    "server": "bazel(workspace)",
    "client": "bazel",
    "compiler": "/opt/llvm/usr/lib/llvm-19/bin/clang",
    "script": "python3",
}
"""By who they are, the first word of their command."""
KILL = """
import os, signal, sys
victim, after = sys.argv[1], int(sys.argv[2])
def words(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().split("\\0")
    except OSError:
        return [""]
compilers = set()
while True:
    first = {int(pid): words(pid)[0] for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()}
    compilers |= {pid for pid, word in first.items() if word.endswith("/clang")}
    found = [pid for pid, word in first.items() if word == victim]
    if len(compilers) >= after and found:
        os.kill(max(found), signal.SIGKILL)
        break
"""
BAZEL = Promise(
    "Bazel",
    "A Bazel that is killed while it compiles is one error and makes no library; the next build goes on from what "
    "there is, and makes the same bytes",
    f"kill -9 of Bazel's server, of its client, of a compiler and of the script that runs them, when one to all of "
    f"{COMPILERS} compilers have begun, in a build of libusb ({ACTIONS} actions) whose cache is kept all along",
    "Bazel's exit status is not asked: the library of an earlier build is taken for this one's",
)


@dataclass
class Bench:
    """A small build whose actions run anew each time, but make the same bytes, in one cache."""

    small: SmallBuild
    scratch: Path
    client: Any
    golden: str = ""
    number: Iterator[int] = field(default_factory=itertools.count)

    def build(self) -> str:
        """The digest of the library."""
        return self.small.run(Cache(self.scratch / "cache"), self.scratch / f"staging-{next(self.number)}").digest

    def compile_anew(self, *options: str) -> None:
        """From now on no earlier action counts."""
        with (self.small.project.bazel / ".bazelrc").open("a") as rc:
            for option in (f"-DTRIAL_{next(self.number)}", *options):
                rc.write(f"build --copt={option}\n")

    def build_killed(self, victim: str, after: int) -> tuple[bool, str | CoralforgeError]:
        """Build, and kill a process when so many compilers have begun; whether it was, and how the build ended."""
        over, killed = threading.Event(), threading.Event()
        killer = threading.Thread(target=self._kill, args=(VICTIMS[victim], after, over, killed))
        killer.start()
        try:
            ended: str | CoralforgeError = self.build()
        except CoralforgeError as error:
            ended = error
        finally:
            over.set()
            killer.join()
        return killed.is_set(), ended

    def _kill(self, victim: str, after: int, over: threading.Event, killed: threading.Event) -> None:
        from docker.errors import APIError

        with contextlib.closing(connect()) as client:
            while not over.wait(0.05):
                for name in containers_of(client, os.getpid()):
                    if "coralforge-libusb" not in name:
                        continue
                    with contextlib.suppress(APIError):  # it is not started yet, or has ended
                        command = ["python3", "-c", KILL, victim, str(after)]
                        # When the script is killed the container ends, and with it this one.
                        if client.containers.get(name).exec_run(command).exit_code in (0, 137):
                            killed.set()
                            return


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    scratch, runner = tmp_path_factory.mktemp("bazel"), DockerRunner()
    with contextlib.closing(runner.client):
        made = Bench(SmallBuild.prepare(scratch / "project", runner), scratch, runner.client)
        yield replace(made, golden=made.build())


@promised(BAZEL)
def test_a_killed_bazel_makes_nothing_and_the_next_one_goes_on(bench: Bench, trial: Trial) -> None:
    every = list(itertools.product(("server", "client"), range(1, COMPILERS + 1)))
    every += itertools.product(("compiler", "script"), (1, COMPILERS // 2, COMPILERS))
    for victim, after in trial.cases(every, short=2):
        bench.compile_anew()
        killed, ended = bench.build_killed(victim, after)
        where = f"{victim} after {after}, killed: {killed}: {ended}"
        if isinstance(ended, CoralforgeError):
            assert killed, where
            # What ends the container itself is most likely the kernel, for memory.
            reason = "build-memory" if victim == "script" else "build-failed"
            assert (ended.code, ended.reason) == (ExitCode.BUILD, reason), where
            assert victim == "script" or f"{NAME}: bazel stopped with exit code" in ended.details, where
        else:
            assert ended == bench.golden, where
        assert containers_of(bench.client, os.getpid()) == [], where
        assert bench.build() == bench.golden, where


@promised(BAZEL, control=True)
def test_without_bazels_status_the_library_of_an_earlier_build_is_taken(bench: Bench) -> None:
    script = bench.small.project.scripts / "bazel_build.py"
    text, options = script.read_text(), bench.small.project.bazel / ".bazelrc"
    kept = options.read_text()
    bench.compile_anew("-O0")
    other = bench.build()
    assert other != bench.golden
    options.write_text(kept)
    bench.compile_anew()
    assert "if process.returncode:" in text
    script.write_text(text.replace("if process.returncode:", "if False:"))
    try:
        assert bench.build_killed("server", 1) == (True, other)
    finally:
        script.write_text(text)
    assert bench.build() == bench.golden
