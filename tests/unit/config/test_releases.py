"""The pins that are shipped: releases/*.yaml and pipeline.yaml say what they must, whatever is edited in them."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.config.load import load_pipeline, load_release
from coralforge.config.release import Release
from coralforge.sources.places import file_name
from tests.conftest import ROOT

NAMES = [
    *("tensorflow", "flatbuffers", "abseil", "ruy", "gemmlowp", "farmhash", "neon2sse", "fft2d", "eigen", "cpuinfo"),
    *("pthreadpool", "fxdiv", "fp16", "xnnpack", "libusb", "libedgetpu"),
]
TENSORFLOW = "99d80a9e254c9df7940b2902b14d15914dbbbcd9"
LIBEDGETPU = "e35aed18fea2e2d25d98352e5a5bd357c170bd4d"


@pytest.fixture(scope="module")
def release() -> Release:
    return load_release(ROOT / "releases", "2.14.1")


def test_every_release_file_loads_under_its_own_name() -> None:
    names = [path.stem for path in (ROOT / "releases").glob("*.yaml")]
    assert "2.14.1" in names
    assert [load_release(ROOT / "releases", name).release for name in names] == names


def test_every_release_has_its_bazel_overlay_of_tensorflow() -> None:
    for path in (ROOT / "releases").glob("*.yaml"):
        series = load_release(ROOT / "releases", path.stem).release.rpartition(".")[0]
        assert (ROOT / "toolchains/bazel/overlays" / f"tensorflow-{series}" / "tensorflow/lite/BUILD.bazel").is_file()


def test_every_release_with_xnnpack_has_its_overlay_of_the_delegate() -> None:
    found = [load_release(ROOT / "releases", path.stem) for path in (ROOT / "releases").glob("*.yaml")]
    for release in (one for one in found if "xnnpack" in one.sources):
        overlay = ROOT / "toolchains/xnnpack/overlays" / f"tensorflow-{release.release.rpartition('.')[0]}"
        assert (overlay / "tensorflow/lite/delegates/xnnpack/BUILD.bazel").is_file()
        assert "fp16" in release.sources


def test_all_sources_are_there(release: Release) -> None:
    assert sorted(release.sources) == sorted(NAMES)


def test_what_only_tests_need_stands_apart(release: Release) -> None:
    assert list(release.test_sources) == ["googletest"]
    first, *others = release.test_sources["googletest"].places
    assert urlsplit(first.url or "").scheme == "https"
    assert [place.debian is not None for place in others] == [True]
    assert all(place.size for place in [first, *others])


def test_the_versions_are_the_matched_set(release: Release) -> None:
    assert release.tensorflow_commit == release.sources["tensorflow"].commit == TENSORFLOW
    assert release.sources["libedgetpu"].commit == LIBEDGETPU
    # The schema header that TensorFlow 2.14 generated refuses any other flatbuffers.
    assert release.sources["flatbuffers"].version == "23.5.26"
    assert release.sources["libusb"].version == "1.0.28"


@pytest.mark.parametrize("name", NAMES)
def test_upstream_comes_first_over_https(release: Release, name: str) -> None:
    first = release.sources[name].places[0]
    assert first.url is not None
    assert urlsplit(first.url).scheme == "https"
    assert not first.prebuilt


@pytest.mark.parametrize("arch", list(Arch))
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("libedgetpu", "xnnpack")])
def test_debians_archive_is_enough_for_each_architecture(release: Release, name: str, arch: Arch) -> None:
    here = [place for place in release.sources[name].places if place.debian and place.arch in (None, arch)]
    assert len(here) == 1
    assert here[0].size is not None


def test_only_ruy_may_come_prebuilt_and_says_so(release: Release) -> None:
    prebuilt = {name: place for name, source in release.sources.items() for place in source.places if place.prebuilt}
    assert list(prebuilt) == ["ruy"]
    for place in release.sources["ruy"].places:
        assert place.prebuilt == (place.arch is not None) == bool(place.note)


def test_one_digest_means_one_file(release: Release) -> None:
    sizes: dict[str, set[int | None]] = {}
    for source in release.sources.values():
        for place in source.places:
            sizes.setdefault(place.sha256, set()).add(place.size)
    assert all(len(found) == 1 for found in sizes.values())


def test_no_two_files_share_a_name_in_a_mirror_folder(release: Release) -> None:
    sources = [*release.sources.values(), *release.test_sources.values()]
    places = [place for source in sources for place in source.places]
    digests: dict[str, set[str]] = {}
    for place in places:
        digests.setdefault(file_name(place), set()).add(place.sha256)
    assert {name: found for name, found in digests.items() if len(found) > 1} == {}


def test_the_shipped_pipeline_builds_both_real_variants_for_both_architectures() -> None:
    pipeline = load_pipeline(ROOT / "pipeline.yaml")
    assert sorted(pipeline.platforms) == [arch.value for arch in sorted(Arch)]
    assert pipeline.variants == [Variant.THROTTLED, Variant.DIRECT]
    assert (ROOT / "releases" / f"{pipeline.release}.yaml").is_file()


def test_the_samples_digests_are_those_of_its_files() -> None:
    sample = load_pipeline(ROOT / "pipeline.yaml").sample
    for file in (sample.model, sample.compiled, sample.labels, sample.image):
        assert file is not None and file.path is not None
        assert hashlib.sha256((ROOT / file.path).read_bytes()).hexdigest() == file.sha256


def test_the_expected_label_is_a_cat() -> None:
    pipeline = load_pipeline(ROOT / "pipeline.yaml")
    assert pipeline.sample.labels.path is not None
    labels = (ROOT / pipeline.sample.labels.path).read_text().splitlines()
    assert labels[pipeline.sample.expected] == "tiger cat"


def test_every_source_is_compiled_by_the_bazel_workspace(release: Release) -> None:
    """A pin that nothing is compiled from would be downloaded for nothing, and stand in the manifest as used."""
    workspace = (ROOT / "toolchains/bazel/sources.bzl").read_text()
    workspace += (ROOT / "toolchains/xnnpack/xnnpack.bzl").read_text()
    pinned = {**release.sources, **release.test_sources}
    assert [name for name in pinned if f'("{name}", ' not in workspace] == []
