"""State that Docker and Bazel keep: images by their tags, and what was compiled before."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge import store
from coralforge.containers import image_maker
from coralforge.containers.base import base_tag
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import Image, make_image
from coralforge.containers.image_maker import ImageMaker, exists
from coralforge.containers.toolchain import compiler_key
from coralforge.errors import CoralforgeError
from coralforge.events import Recorder
from coralforge.pipeline.executor import run_plan
from coralforge.plan import Stage
from coralforge.settings import Cache
from coralforge.util.inventory import take
from tests.support.cache_lab import CacheLab, Room
from tests.support.faults import DAMAGES
from tests.support.project_maker import copy_project_files
from tests.support.promises import Promise, Trial, promised

pytestmark = pytest.mark.docker

IMAGE = Promise(
    "Store and state",
    "An image under another one's tag is not built in: it is made again",
    "Docker's tag of an image is given to another one of ours, and the image is asked for",
    "only the tag is asked for: the other image is taken",
)


@contextmanager
def tagged(tmp_path: Path, text: str) -> Iterator[tuple[ImageMaker, Image]]:
    """A small image that was made, whose tag then was given to the base image."""
    recipes = tmp_path / "recipes"
    recipes.mkdir(parents=True)
    (recipes / "faults.Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN echo {text} > /made\n")
    image = make_image(recipes, "faults", {})
    runner = DockerRunner()
    maker = ImageMaker(runner.client, recipes, Cache(tmp_path / "cache"), Recorder())
    try:
        maker.ensure(image)
        assert exists(runner.client, image)
        runner.client.images.get(base_tag(image.suite)).tag(image.tag)
        yield maker, image
    finally:
        runner.client.images.remove(image.tag, force=True)
        runner.client.close()


@promised(IMAGE)
def test_an_image_under_anothers_tag_is_made_again(tmp_path: Path, trial: Trial) -> None:
    for number in trial.times(long=3, short=1):
        with tagged(tmp_path / str(number), f"one{number}") as (maker, image):
            assert not exists(maker.client, image)
            maker.ensure(image)
            assert maker.client.containers.run(image.tag, ["cat", "/made"], remove=True) == f"one{number}\n".encode()


@promised(IMAGE, control=True)
def test_without_its_label_another_image_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tagged(tmp_path, "two") as (maker, image):
        monkeypatch.setattr(image_maker, "exists", lambda client, image: bool(client.images.get(image.tag)))
        maker.ensure(image)
        assert maker.client.containers.run(image.tag, ["ls", "/"], remove=True).split().count(b"made") == 0


BAZEL = Promise(
    "Store and state",
    "A damaged library is built again; what is damaged in Bazel's output too is compiled again, or the build fails",
    "a flipped bit in the store; libraries, archives, objects and headers (flip, truncate, delete) in Bazel's output",
    "Bazel is not asked, its output is taken as it is: another library, and no error",
)
KINDS = (".so", ".a", ".o", ".h")
LIBRARY = "lib/libtensorflowlite.so"


def copy_bazel(lab: CacheLab, room: Room) -> list[Path]:
    """Copy Bazel's cache with its owners and times; returns what it made for the lab's architecture."""
    name = compiler_key(lab.settings)[:16]
    room.cache.bazel.mkdir()
    subprocess.run(["cp", "-a", str(lab.settings.cache.bazel / name), str(room.cache.bazel)], check=True)
    arch = lab.settings.arch.value
    [folder] = (room.cache.bazel / name).glob(f"bazel/*/execroot/_main/bazel-out/{arch}-opt/bin")
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]


def build(room: Room) -> dict[str, str] | str:
    """``invoke build`` with a damaged library: the digests of those that are made, or why there are none."""
    damaged = room.artifact(Stage.LIBRARIES) / LIBRARY
    DAMAGES["flip"](damaged, damaged, random.Random(0))
    room.forget(Stage.PREFIX)
    try:
        actions = run_plan(room.settings, Stage.PREFIX, room.sink).actions
    except CoralforgeError as error:
        return error.reason
    [libraries] = (action for action in actions if action.stage is Stage.LIBRARIES)
    return digests(store.location(room.cache, libraries))


def digests(artifact: Path) -> dict[str, str]:
    return {name: str(entry.get("sha256")) for name, entry in take(artifact).items() if name != store.RECORD}


@promised(BAZEL)
def test_bazels_damaged_output_is_in_no_library(lab: CacheLab, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    for number in trial.times(long=4, short=1):
        rng = trial.random("bazel", number)
        with lab.room() as room:
            whole = digests(room.artifact(Stage.LIBRARIES))
            made = copy_bazel(lab, room)
            for kind in KINDS:
                some = [path for path in made if path.suffix == kind]
                for path in rng.sample(some, min(2, len(some))):
                    DAMAGES[rng.choice(("flip", "truncate", "delete"))](path, path, rng)
            assert build(room) in (whole, "build-failed")
            assert any("libraries is damaged in the cache and is made again" in note for note in room.notes())


@promised(BAZEL, control=True)
def test_a_damaged_output_that_nobody_compares_is_in_a_library(
    lab: CacheLab, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    project = copy_project_files(tmp_path)
    script = project.scripts / "bazel_build.py"
    text = script.read_text()
    asked = 'command = bazel_command(request, "build"'
    assert asked in text
    script.write_text(text.replace(asked, "return\n    " + asked))
    with lab.room() as room:
        whole = digests(room.artifact(Stage.LIBRARIES))
        [library] = (path for path in copy_bazel(lab, room) if path.name == Path(LIBRARY).name)
        data = bytearray(library.read_bytes())
        data[len(data) // 10] ^= 1  # in its code; behind that come symbols for debuggers
        library.chmod(0o644)
        library.write_bytes(bytes(data))
        found = build(replace(room, settings=replace(room.settings, project=project)))
    assert isinstance(found, dict)
    assert [name for name in whole if found[name] != whole[name]] == [LIBRARY]
