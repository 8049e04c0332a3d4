"""MANIFEST.json: that every change to an unpacked bundle is noticed, and that bad manifests are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.manifest import MAX_BYTES, NAME, read_manifest, verify, write_manifest
from coralforge.errors import CoralforgeError, ExitCode
from tests.support.bundle_maker import make_inputs


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    assemble(make_inputs(tmp_path / "inputs"), folder)
    return folder


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed byte": (lambda b: (b / "bin/lstpu").write_bytes(b"x"), "bin/lstpu has changed"),
    "missing file": (lambda b: (b / "smoke.sh").unlink(), "smoke.sh is missing"),
    "extra file": (lambda b: (b / "lib/extra").write_bytes(b""), "lib/extra is not in MANIFEST.json"),
    "extra link": (lambda b: (b / "lib/extra").symlink_to("cmake"), "lib/extra is not in MANIFEST.json"),
    "other mode": (lambda b: (b / "smoke.sh").chmod(0o644), "smoke.sh should have mode 0755"),
    "other target": (
        lambda b: relink(b / "lib/libedgetpu.so.1", "direct/libedgetpu.so.1"),
        "lib/libedgetpu.so.1 should be a link to simulated/libedgetpu.so.1",
    ),
    "file became link": (lambda b: relink(b / "smoke.sh", "bin/lstpu"), "smoke.sh should be a file, not a link"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed(bundle: Path, name: str) -> None:
    change, text = CHANGES[name]
    change(bundle)
    (problem,) = verify(bundle)
    assert text in problem


def test_a_umask_is_no_change(bundle: Path) -> None:
    for path in bundle.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    assert verify(bundle) == []


def test_written_and_read_is_the_same_bytes(bundle: Path) -> None:
    before = (bundle / NAME).read_bytes()
    write_manifest(bundle, read_manifest(bundle))
    assert (bundle / NAME).read_bytes() == before


def test_it_tells_nothing_of_this_machine(bundle: Path, tmp_path: Path) -> None:
    text = (bundle / NAME).read_text()
    assert str(tmp_path) not in text
    assert list(json.loads(text)) == sorted(json.loads(text))


@pytest.mark.parametrize(
    "change, where",
    [
        ({"format": 1}, "format"),
        ({"arch": "riscv64"}, "arch"),
        ({"unknown": 1}, "unknown"),
        ({"simulated": "no"}, "simulated"),
        ({"files": {"a": {"sha256": "x", "size": 1, "mode": "0644"}}}, "files.a"),
        ({"files": {"a": {"sha256": "0" * 64, "size": -1, "mode": "4755"}}}, "files.a"),
    ],
)
def test_another_format_is_refused_by_name(bundle: Path, change: dict[str, object], where: str) -> None:
    data = json.loads((bundle / NAME).read_text()) | change
    (bundle / NAME).write_text(json.dumps(data))
    with pytest.raises(CoralforgeError) as caught:
        read_manifest(bundle)
    assert (caught.value.reason, caught.value.code) == ("bundle-manifest", ExitCode.USER)
    assert f"{NAME}: {where}" in caught.value.details


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1', b"[" * 100_000, b" " * (MAX_BYTES + 1)]
)
def test_damaged_bytes_are_refused(bundle: Path, data: bytes) -> None:
    (bundle / NAME).write_bytes(data)
    with pytest.raises(CoralforgeError, match="not a bundle"):
        verify(bundle)


def test_a_link_is_no_manifest(bundle: Path, tmp_path: Path) -> None:
    (bundle / NAME).rename(tmp_path / "m")
    (bundle / NAME).symlink_to(tmp_path / "m")
    with pytest.raises(CoralforgeError, match="not a bundle"):
        read_manifest(bundle)
