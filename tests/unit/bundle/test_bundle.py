"""What a bundle is put together from, and that it is the same bytes every time."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from coralforge.bundle import pack as pack_module
from coralforge.bundle.assemble import assemble
from coralforge.bundle.describe import BundleInputs
from coralforge.bundle.manifest import read_manifest, verify
from coralforge.bundle.pack import pack
from coralforge.bundle.prefix import assemble_prefix
from coralforge.config.arch import OLD_BOARDS, Arch
from coralforge.config.base import Variant
from coralforge.elf import gate, policy_for
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.sources.unpack import unpack
from coralforge.templates import PROGRAMS, File
from coralforge.util.fingerprint import of_file
from tests.support.bundle_maker import make_inputs, make_model
from tests.support.elf_maker import COMMIT, write

NAME = "coralforge-2.14.1-aarch64-linux-gnu"


@pytest.fixture
def inputs(tmp_path: Path) -> BundleInputs:
    return make_inputs(tmp_path / "inputs")


def assembled(inputs: BundleInputs, parent: Path) -> Path:
    folder = parent / NAME
    folder.mkdir(parents=True)
    assemble(inputs, folder)
    return folder


def refused(inputs: BundleInputs, tmp_path: Path) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        assembled(inputs, tmp_path / "refused")
    return caught.value


def test_a_bundle_has_its_parts_in_their_places(inputs: BundleInputs, tmp_path: Path) -> None:
    folder = assembled(inputs, tmp_path)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    assert files == {
        "MANIFEST.json",
        "smoke.sh",
        *(f"bin/{name}" for name in PROGRAMS),
        "include/edgetpu_c.h",
        "include/tensorflow/lite/interpreter.h",
        "lib/cmake/Coral/CoralConfig.cmake",
        "lib/direct/libedgetpu.so",
        "lib/direct/libedgetpu.so.1",
        "lib/direct/libedgetpu.so.1.0",
        "lib/libedgetpu.so",
        "lib/libedgetpu.so.1",
        "lib/libflatbuffers.a",
        "lib/libtensorflowlite.so",
        "lib/libtensorflowlite_c.so",
        "lib/libusb-1.0.so",
        "lib/libusb-1.0.so.0",
        "lib/simulated/libedgetpu.so",
        "lib/simulated/libedgetpu.so.1",
        "lib/simulated/libedgetpu.so.1.0",
        "share/licenses/coralforge/LICENSE",
        "share/licenses/libedgetpu/LICENSE",
        "share/licenses/ruy/usr/share/doc/lib-dev/copyright",
        "share/licenses/tensorflow/LICENSE",
        "share/models/expected.json",
        "share/models/image.bmp",
        "share/models/labels.txt",
        "share/models/model.tflite",
        "share/models/model_edgetpu-sim.tflite",
    }


def test_the_gate_and_the_manifest_accept_it(inputs: BundleInputs, tmp_path: Path) -> None:
    folder = assembled(inputs, tmp_path)
    gate(folder, policy_for(Arch.AARCH64, OLD_BOARDS, COMMIT, [str(tmp_path)]))
    assert verify(folder) == []


@pytest.mark.parametrize("default", [Variant.DIRECT, Variant.SIMULATED])
def test_the_first_variant_is_what_programs_load(inputs: BundleInputs, tmp_path: Path, default: Variant) -> None:
    others = tuple(variant for variant in inputs.variants if variant is not default)
    folder = assembled(replace(inputs, variants=(default, *others)), tmp_path)
    assert (folder / "lib/libedgetpu.so").resolve() == folder / f"lib/{default.value}/libedgetpu.so.1.0"
    manifest = read_manifest(folder)
    assert manifest.default_variant is default
    assert manifest.simulated is (default is Variant.SIMULATED)


def test_the_manifest_says_what_is_not_as_it_should_be(inputs: BundleInputs, tmp_path: Path) -> None:
    manifest = read_manifest(assembled(inputs, tmp_path))
    assert (manifest.unpinned, manifest.prebuilt) == (["libedgetpu"], ["ruy"])
    text = "\n".join(manifest.not_verified)
    for fact in ("real Edge TPU", "SIMULATED", "libedgetpu is a local checkout", "ruy came compiled"):
        assert fact in text


def test_modes_tell_what_files_are_not_how_they_were_stored(inputs: BundleInputs, tmp_path: Path) -> None:
    files = read_manifest(assembled(inputs, tmp_path)).model_dump()["files"]
    executable = {name for name, entry in files.items() if entry.get("mode") == "0755"}
    assert executable == {"smoke.sh", *(f"bin/{name}" for name in PROGRAMS)}


def test_a_model_has_a_folder_of_its_own_beside_the_sample(inputs: BundleInputs, tmp_path: Path) -> None:
    folder = assembled(replace(inputs, models=(make_model(tmp_path / "net", "net"),)), tmp_path)
    assert (folder / "share/models/labels.txt").read_text() == "labels.txt of stripes\n"
    assert (folder / "share/models/net/labels.txt").read_text() == "labels.txt of net\n"
    manifest = read_manifest(folder)
    assert manifest.sample.name == "stripes"
    assert [model.name for model in manifest.models] == ["net"]


def test_a_model_that_is_named_like_a_file_of_the_sample_is_refused(inputs: BundleInputs, tmp_path: Path) -> None:
    named = replace(inputs, models=(make_model(tmp_path / "net", "labels.txt"),))
    assert refused(named, tmp_path).reason == "bundle-conflict"


def test_a_missing_licence_is_named(inputs: BundleInputs, tmp_path: Path) -> None:
    (inputs.trees[0].path / "LICENSE").unlink()
    error = refused(inputs, tmp_path)
    assert (error.reason, error.code) == ("licence-missing", ExitCode.SOURCE)
    assert "LICENSE of tensorflow" in error.brief


@pytest.mark.parametrize(
    "lost, text",
    [
        ("sdk/include", "include is missing"),
        ("sdk/lib/direct/libedgetpu.so.1", "lib/direct/libedgetpu.so.1"),
        ("sdk/toolchain.json", "toolchain.json"),
        ("programs/bin", "bin is missing"),
    ],
)
def test_a_missing_part_is_named(inputs: BundleInputs, tmp_path: Path, lost: str, text: str) -> None:
    path = tmp_path / "inputs" / lost
    path.rename(tmp_path / "away")
    error = refused(inputs, tmp_path)
    assert (error.reason, error.code) == ("bundle-incomplete", ExitCode.BUILD)
    assert text in error.details


@pytest.mark.parametrize("name", ["bin/lstpu", "lib/libusb-1.0.so", "../out", "/etc/x"])
def test_a_template_replaces_nothing_and_stays_inside(inputs: BundleInputs, tmp_path: Path, name: str) -> None:
    templates = {**inputs.templates, PurePosixPath(name): File(b"x")}
    assert refused(replace(inputs, templates=templates), tmp_path).reason == "bundle-conflict"
    assert not (tmp_path / "refused/out").exists()


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_the_same_inputs_give_the_same_archive_anywhere(
    inputs: BundleInputs, tmp_path: Path, usual_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack(assembled(inputs, tmp_path / "a"), tmp_path / "one.tar.gz")
    os.umask(0o077)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    monkeypatch.chdir(tmp_path)
    other = assembled(make_inputs(tmp_path / "elsewhere"), Path("deeper/folder"))
    paths = [path for path in other.rglob("*") if not path.is_symlink()]
    random.Random(1).shuffle(paths)
    for number, path in enumerate(paths):
        os.utime(path, (number, number))
    assert pack(other, tmp_path / "two.tar.gz") == first


def test_a_container_can_read_the_prefix_whatever_the_umask(
    inputs: BundleInputs, tmp_path: Path, usual_umask: None
) -> None:
    os.umask(0o077)
    write(inputs.sdk / "share/schema.fbs", b"")
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    assemble_prefix(inputs.sdk, {}, inputs.variants, prefix)
    modes = {path.stat().st_mode & 0o777 for path in [prefix, *prefix.rglob("*")] if not path.is_symlink()}
    assert modes == {0o755, 0o644}
    assert (prefix / "host/flatc").stat().st_mode & 0o777 == 0o755


def test_an_archive_says_nothing_of_who_packed_it(inputs: BundleInputs, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar.gz"
    pack(assembled(inputs, tmp_path), archive)
    assert archive.read_bytes()[:10] == b"\x1f\x8b\x08\x00" + b"\0" * 5 + b"\xff"
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert members[0].name == NAME
    names = [os.fsencode(member.name) for member in members]
    assert names == sorted(names)
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "root", "root", pack_module.MTIME)}
    assert {m.mode for m in members if m.isreg()} == {0o644, 0o755}
    assert {m.mode for m in members if m.isdir()} == {0o755}
    assert not any(m.pax_headers for m in members)


def test_sha256sum_checks_the_archive(inputs: BundleInputs, tmp_path: Path) -> None:
    archive = tmp_path / "dist/b.tar.gz"
    digest = pack(assembled(inputs, tmp_path), archive)
    assert digest == of_file(archive)
    done = subprocess.run(
        ["sha256sum", "-c", "b.tar.gz.sha256"], cwd=archive.parent, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_what_was_packed_is_what_is_unpacked(inputs: BundleInputs, tmp_path: Path) -> None:
    pack(assembled(inputs, tmp_path), tmp_path / "b.tar.gz")
    unpack(tmp_path / "b.tar.gz", tmp_path / "again", 1)
    assert verify(tmp_path / "again") == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_pack_leaves_what_was_there(
    inputs: BundleInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    folder, archive = assembled(inputs, tmp_path), tmp_path / "dist/b.tar.gz"
    digest = pack(folder, archive)

    def interrupted(self: tarfile.TarFile, *_: object) -> None:
        raise interruption

    monkeypatch.setattr(tarfile.TarFile, "addfile", interrupted)
    with pytest.raises(interruption):
        pack(folder, archive)
    assert sorted(path.name for path in archive.parent.iterdir()) == ["b.tar.gz", "b.tar.gz.sha256"]
    assert of_file(archive) == digest


def test_no_space_is_an_error_with_a_remedy(
    inputs: BundleInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: gzip.GzipFile, *_: object) -> int:
        raise OSError(28, "No space left on device")

    folder = assembled(inputs, tmp_path)
    monkeypatch.setattr(gzip.GzipFile, "write", full)
    with pytest.raises(CoralforgeError, match="No space left") as caught:
        pack(folder, tmp_path / "dist/b.tar.gz")
    assert (caught.value.reason, caught.value.code) == ("bundle-write", ExitCode.MISSING)
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_path_too_long_for_ustar_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "b" / ("d" * 100) / ("e" * 100) / ("f" * 101), b"")
    with pytest.raises(CoralforgeError) as caught:
        pack(tmp_path / "b", tmp_path / "b.tar.gz")
    assert caught.value.reason == "bundle-name"
    assert not (tmp_path / "b.tar.gz").exists()
