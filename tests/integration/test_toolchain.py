"""The builder image: its sysroots have a floor that the linker holds; its digest is that of pinned things only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from coralforge.config.arch import Arch, Floor
from coralforge.containers.base import BASE
from coralforge.containers.context import lay_out
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.containers.toolchain import builder
from coralforge.elf import check_tree, policy_for
from coralforge.events import Recorder
from coralforge.settings import Options, Project, Settings, resolve
from tests.conftest import ROOT

pytestmark = pytest.mark.docker

# What old boards have under an older version, or not at all and libcoralfloor.a has.
FITS = r"""
#include <cmath>
#include <condition_variable>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <iostream>
#include <sstream>
#include <thread>
namespace std { [[noreturn]] void __throw_bad_array_new_length(); }
extern "C" long __isoc23_strtol(const char*, char**, int);
extern "C" int fcntl64(int, int, ...);
int main(int count, char** words) {
  if (count > 90) std::__throw_bad_array_new_length();
  std::ostringstream out;
  std::stringstream both;
  std::istringstream in;
  std::stringbuf buffer;
  out << std::exp(count) + std::log(count) + std::pow(count, 2.5) << fcntl64(1, F_GETFD);
  both << __isoc23_strtol(words[0], nullptr, 10) << in.good() << buffer.in_avail();
  std::mutex mutex;
  std::condition_variable wake;
  std::thread other([&] { wake.notify_all(); });
  std::unique_lock<std::mutex> lock(mutex);
  wake.wait_for(lock, std::chrono::milliseconds(1));
  other.join();
  std::cout << out.str() << both.str();
}
"""
TOO_NEW = (
    "#define _GNU_SOURCE\n#include <unistd.h>\n#include <threads.h>\n"
    "int main() { return (int)gettid() + (int)thrd_current(); }\n"
)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return resolve(Project(ROOT), Options())


@pytest.fixture(scope="module")
def image(runner: DockerRunner, settings: Settings) -> str:
    settings.cache.root.mkdir(parents=True, exist_ok=True)
    return ImageMaker.of(settings, runner.client, Recorder()).ensure(builder(settings))


def compiled(runner: DockerRunner, image: str, arch: Arch, source: str, out: Path) -> tuple[int, str]:
    """Compile a program into ``out``/program; the status and what was printed."""
    out.mkdir()
    out.chmod(0o777)
    suffix = "cc" if "iostream" in source else "c"
    (out / f"program.{suffix}").write_text(source)
    program = "clang++ -std=c++17" if suffix == "cc" else "clang"
    options = f"--target={arch.triple} --sysroot=/opt/sysroots/{arch.triple} {' '.join(arch.row.flags)}"
    linked = f"-O2 -fPIE -pie -fuse-ld=lld -Wl,-z,defs -s /out/program.{suffix} -lm -lpthread -o /out/program"
    command = f"{program} {options} {linked}"
    got: list[str] = []
    spec = ContainerSpec("test", image, ("sh", "-c", command), (Mount(out, "/out", writable=True),))
    return runner.run(spec, got.append).status, "\n".join(got)


@pytest.mark.parametrize("arch", list(Arch))
def test_what_old_boards_have_links_and_needs_no_more(
    runner: DockerRunner, image: str, settings: Settings, arch: Arch, tmp_path: Path
) -> None:
    status, said = compiled(runner, image, arch, FITS, tmp_path / "out")
    assert status == 0, said
    policy = policy_for(arch, settings.floors[arch], "")
    found = [v for v in check_tree(tmp_path / "out", policy) if v.what != "stamp"]
    assert found == []
    lower = policy_for(arch, Floor("2.3", "3.4.1", "1.3"), "")
    assert any(v.what == "symbol-version" for v in check_tree(tmp_path / "out", lower))


@pytest.mark.parametrize("arch", list(Arch))
def test_a_function_above_the_floor_is_an_error_of_the_linker_that_names_it(
    runner: DockerRunner, image: str, arch: Arch, tmp_path: Path
) -> None:
    status, said = compiled(runner, image, arch, TOO_NEW, tmp_path / "out")
    assert status != 0
    assert "undefined symbol: gettid" in said
    assert "undefined symbol: thrd_current" in said


NEWER_XXD = (
    "FROM {base}\n"
    "RUN apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \\\n"
    " && cd /tmp && apt-get -o APT::Sandbox::User=root download xxd && dpkg-deb -R xxd_*.deb xxd \\\n"
    " && sed -i 's/^Version: .*/&+newer/' xxd/DEBIAN/control && dpkg-deb -b xxd newer.deb && dpkg -i newer.deb\n"
)


def test_a_newer_package_of_the_suite_does_not_reach_the_toolchains_digest(
    runner: DockerRunner, image: str, settings: Settings, tmp_path: Path
) -> None:
    """The image once more, from nothing, on another day: xxd is newer there."""
    wanted, context = builder(settings), tmp_path / "context"
    context.mkdir()
    lay_out(context, wanted, settings.project.docker, settings.cache, settings.mirrors, Recorder())
    (context / "newer.Dockerfile").write_text(NEWER_XXD.format(base=BASE))
    tags = {"newer": f"coralforge-test-newer:{os.getpid()}", "builder": f"coralforge-test-builder:{os.getpid()}"}
    images = runner.client.images
    try:
        images.build(path=str(context), dockerfile="newer.Dockerfile", tag=tags["newer"], rm=True, forcerm=True)
        arguments = {"BASE": tags["newer"]}
        images.build(
            path=str(context), dockerfile="builder.Dockerfile", tag=tags["builder"], buildargs=arguments, rm=True
        )
        before, after = toolchain(runner, image), toolchain(runner, tags["builder"])
    finally:
        for tag in reversed(tags.values()):
            if images.list(name=tag):
                images.remove(tag, force=True)
    assert after["unpinned"]["xxd"] == before["unpinned"]["xxd"] + "+newer"
    assert {**after, "unpinned": before["unpinned"]} == before


def toolchain(runner: DockerRunner, image: str) -> Any:
    got: list[str] = []
    spec = ContainerSpec("test", image, ("cat", "/opt/coralforge/toolchain.json"))
    assert runner.run(spec, got.append).status == 0
    return json.loads("\n".join(got))
