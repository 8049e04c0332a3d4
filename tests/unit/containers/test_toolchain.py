"""The builder image: what it is made from is pinned, checked before it is used, and in its key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from coralforge.config.arch import Arch
from coralforge.config.load import load_toolchain
from coralforge.config.toolchain import Toolchain
from coralforge.containers import toolchain
from coralforge.containers.context import lay_out
from coralforge.containers.image import make_image
from coralforge.containers.toolchain import builder, compiler_key, target_key
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.settings import Options, Settings, resolve
from coralforge.sources.places import file_name
from tests.conftest import ROOT
from tests.support.project_maker import copy_project_files
from tests.support.toolchain_maker import make_package, make_toolchain


@pytest.fixture(scope="module")
def pins() -> Toolchain:
    return load_toolchain(ROOT / "toolchains" / "toolchain.yaml")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = copy_project_files(tmp_path / "project")
    return resolve(project, Options(arch="aarch64"), {"CORALFORGE_CACHE": str(tmp_path / "cache")})


def with_pins(settings: Settings) -> Settings:
    return replace(settings, toolchain=make_toolchain(settings.cache.root))


def test_every_package_is_in_the_debian_archive_once(pins: Toolchain) -> None:
    places = pins.packages()
    assert len({place.sha256 for place in places}) == len(places)
    assert all(place.debian and place.size for place in places)


def test_the_compiler_runs_on_the_build_machine_and_a_sysroot_is_its_targets(pins: Toolchain) -> None:
    def architectures(places: object) -> set[str]:
        return {PurePosixPath(place.filename).stem.rpartition("_")[2] for place in places}  # type: ignore[attr-defined]

    assert architectures([*pins.compiler, *pins.sanitizers]) == {"amd64"}
    for arch in Arch:
        assert architectures(pins.sysroots[arch].packages) == {arch.row.debian}


def test_all_sysroots_have_the_same_packages(pins: Toolchain) -> None:
    names = [
        [place.filename.rpartition("_")[0] for place in pins.sysroots[arch].packages]
        for arch in Arch
    ]  # fmt: skip
    assert len(names[0]) == 7
    assert all(one == names[0] for one in names)


def test_packages_are_asked_for_with_the_date_of_their_snapshot(settings: Settings) -> None:
    for _, places in (*builder(settings).packages, *toolchain.tester(settings).packages):
        assert {place.snapshot for place in places} == {settings.toolchain.snapshot}


def test_the_context_has_the_recipe_the_programs_and_the_packages(settings: Settings, tmp_path: Path) -> None:
    settings = with_pins(settings)
    image, context = builder(settings), tmp_path / "context"
    context.mkdir()
    lay_out(context, image, settings.project.docker, settings.cache, (), Recorder())
    found = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
    packages = ["packages/compiler/clang-19_1%3a19_amd64.deb"]
    packages += [f"packages/sysroots/{arch.triple}/libc6_2.31_{arch.row.debian}.deb" for arch in Arch]
    assert [name for name in found if not name.startswith("builder/")] == sorted(
        ["builder.Dockerfile", *packages, "platforms.json"]
    )
    assert {"builder/floor.py", "builder/floor/streams.cc"} <= set(found)
    assert not any("pycache" in name for name in found)


def test_a_package_with_other_bytes_never_reaches_the_image(settings: Settings, tmp_path: Path) -> None:
    place = make_package(settings.cache.root, "clang-19_19_amd64.deb")
    kept = settings.cache.root / "downloads" / place.sha256 / file_name(place)
    kept.write_bytes(b"something else")
    image, context = make_image(settings.project.docker, "tester", {}, packages={"packages": [place]}), tmp_path / "c"
    context.mkdir()
    with pytest.raises(CoralforgeError) as caught:
        lay_out(context, image, settings.project.docker, settings.cache, (), Recorder())
    assert (caught.value.reason, caught.value.code) == ("source-digest", ExitCode.SOURCE)
    assert not kept.exists()
    assert not list(context.glob("packages/**/*.deb"))


def test_packages_come_from_a_mirror_folder(settings: Settings, tmp_path: Path) -> None:
    place = make_package(tmp_path / "elsewhere", "clang-19_19_amd64.deb")
    mirror = tmp_path / "elsewhere" / "downloads" / place.sha256
    context = tmp_path / "context"
    context.mkdir()
    image = make_image(settings.project.docker, "tester", {}, packages={"packages": [place]})
    lay_out(context, image, settings.project.docker, settings.cache, (str(mirror),), Recorder())
    assert (context / "packages" / file_name(place)).read_bytes() == b"clang-19_19_amd64.deb"


class TestKeys:
    """What changes the image, and what of it changes what is built."""

    def test_a_pin_of_the_compiler_changes_all(self, settings: Settings) -> None:
        changed = with_compiler(settings)
        assert builder(changed).key != builder(settings).key
        assert compiler_key(changed) != compiler_key(settings)
        assert target_key(changed) != target_key(settings)

    def test_a_floor_changes_its_own_target_only(self, settings: Settings) -> None:
        other = with_floor(settings, "armv7", "2.28")
        assert builder(other).key != builder(settings).key
        assert target_key(other) == target_key(settings)
        assert compiler_key(other) == compiler_key(settings)
        assert target_key(with_floor(settings, "aarch64", "2.28")) != target_key(settings)

    def test_a_program_of_the_recipe_changes_the_target(self, settings: Settings) -> None:
        before = target_key(settings)
        (settings.project.docker / "builder/floor/streams.cc").write_text("// nothing\n")
        assert target_key(settings) != before

    def test_the_sanitizers_change_the_testers_image_only(self, settings: Settings) -> None:
        package = make_package(settings.cache.root, "libclang-rt-20-dev_20_amd64.deb")
        pins = settings.toolchain.model_copy(update={"sanitizers": [package]})
        changed = replace(settings, toolchain=pins)
        assert toolchain.tester(changed).key != toolchain.tester(settings).key
        assert builder(changed) == builder(settings)
        assert target_key(changed) == target_key(settings)


def with_compiler(settings: Settings) -> Settings:
    package = make_package(settings.cache.root, "clang-20_20_amd64.deb")
    compiler = [package, *settings.toolchain.compiler[1:]]
    return replace(settings, toolchain=settings.toolchain.model_copy(update={"compiler": compiler}))


def with_floor(settings: Settings, arch: str, glibc: str) -> Settings:
    platforms = dict(settings.pipeline.platforms)
    platforms[arch] = platforms[arch].model_copy(update={"glibc": glibc})
    pipeline = settings.pipeline.model_copy(update={"platforms": platforms})
    return replace(settings, pipeline=pipeline, platform=platforms[settings.arch.value])
