"""scripts/install.sh takes the bundle for this machine from a release; or says why not, and leaves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from coralforge.publish.names import INSTALLER, SUMS
from coralforge.util.fingerprint import of_file
from tests.conftest import ROOT
from tests.support.small_bundle import make_bundle
from tests.unit.publish.conftest import Release, make_key

NEEDED = {"cat", "cp", "dd", "gzip", "mkdir", "mktemp", "mv"} | {"od", "rm", "sed", "sha256sum", "tar", "tr", "uname"}
BUNDLE = "coralforge-2.14.1-aarch64-linux-gnu"


def board(folder: Path, machine: str) -> dict[str, str]:
    """Test double of a board: `uname -m` says ``machine``, whatever this one is."""
    programs = folder / machine
    programs.mkdir()
    uname = programs / "uname"
    uname.write_text(f"#!/bin/sh\necho {machine}\n")
    uname.chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.fixture
def as_board(tmp_path: Path) -> dict[str, str]:
    """The environment of a board that the release's one bundle is for."""
    return board(tmp_path, "aarch64")


def install(release: Release, place: Path, environ: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    place.mkdir(exist_ok=True)
    command = ["sh", str(ROOT / "scripts" / INSTALLER), "--from", str(release.folder), "--to", str(place), *more]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_wrong_digest_nothing_stays(release: Release, tmp_path: Path, as_board: dict[str, str]) -> None:
    with release.archive.open("ab") as stream:
        stream.write(b"more")
    done = install(release, tmp_path / "to", as_board)
    assert done.returncode == 4
    assert "another digest" in done.stderr
    assert left(tmp_path / "to") == []


def test_a_stranger_signed_it(release: Release, tmp_path: Path, as_board: dict[str, str]) -> None:
    _, others = make_key(tmp_path, "stranger")
    done = install(release, tmp_path / "to", as_board, "--signers", str(others))
    assert done.returncode == 4
    assert f"nobody in {others} signed this release" in done.stderr
    assert left(tmp_path / "to") == []


def test_the_bundle_is_no_bundle_of_programs(release: Release, tmp_path: Path, as_board: dict[str, str]) -> None:
    """The tiny bundle of these tests has no check-board.sh; its signature and digest are right."""
    done = install(release, tmp_path / "to", as_board, "--signers", str(release.signers))
    assert "signed by owner@example.org" in done.stderr
    assert "digest right" in done.stderr
    assert done.returncode == 4
    assert "is not a bundle of coralforge" in done.stderr
    assert left(tmp_path / "to") == []


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder with a bundle that fits any machine, and its digest: what install.sh looks at."""
    folder = tmp_path / "good"
    folder.mkdir()
    archive = folder / f"coralforge-0-tflite-2.14.1-{BUNDLE.removeprefix('coralforge-2.14.1-')}.tar.gz"
    archive.write_bytes(make_bundle(tmp_path / "small").read_bytes())
    (folder / SUMS).write_text(f"{of_file(archive)}  {archive.name}\n")
    return folder


def run(arguments: list[str], folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "scripts" / INSTALLER), *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("to", ["to", "-to", "to o", ".", "--"])
def test_a_folder_may_have_any_name(good: Path, tmp_path: Path, as_board: dict[str, str], to: str) -> None:
    (tmp_path / to).mkdir(exist_ok=True)
    done = run(["--from", str(good), "--to", to, "--smoke"], tmp_path, as_board)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / to / BUNDLE / "smoke.sh").is_file()
    assert "fine" in done.stdout
    assert not list((tmp_path / to).glob(".coralforge*"))


@pytest.mark.parametrize("program", ["curl", "wget"])
def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, program: str) -> None:
    """TEST DOUBLE of both programs; only one is on PATH, and it has to have a limit."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in NEEDED:
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / program).write_text(f'#!/bin/sh\necho "$*" >"{tmp_path}/words"\nexit 1\n')
    (programs / program).chmod(0o755)
    done = run(["--from", "http://board.invalid/r"], tmp_path, {"PATH": str(programs)})
    assert (done.returncode, "could not be had" in done.stderr) == (4, True)
    words = (tmp_path / "words").read_text().split()
    assert {"curl": "--speed-time", "wget": "-T"}[program] in words


def test_a_link_that_leads_nowhere_is_there_already(good: Path, tmp_path: Path, as_board: dict[str, str]) -> None:
    (tmp_path / BUNDLE).symlink_to("nowhere")
    done = run(["--from", str(good), "--to", "."], tmp_path, as_board)
    assert (done.returncode, "is there already" in done.stderr) == (2, True)
    assert (tmp_path / BUNDLE).readlink() == Path("nowhere")


@pytest.mark.parametrize("missing", ["od", "mktemp", "sha256sum"])
def test_a_program_that_is_missing_is_named(good: Path, tmp_path: Path, missing: str) -> None:
    """Without od nobody knows what the machine's programs are, and no bundle was said to fit."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in NEEDED - {missing}:
        (programs / name).symlink_to(str(shutil.which(name)))
    done = run(["--from", str(good), "--to", "."], tmp_path, {"PATH": str(programs)})
    assert (done.returncode, f"{missing} is missing" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("x86_64", "this release has no bundle for x86_64-linux-gnu"),
        ("riscv64", "no bundle for this machine (riscv64)"),
    ],
)
def test_no_bundle_for_this_machine(release: Release, tmp_path: Path, machine: str, said: str) -> None:
    done = install(release, tmp_path / "to", board(tmp_path, machine))
    assert (done.returncode, said in done.stderr) == (5, True)
    assert left(tmp_path / "to") == []


def test_names_with_tricks_are_not_looked_at(release: Release, tmp_path: Path, as_board: dict[str, str]) -> None:
    digest = "0" * 64
    name = "coralforge-$(touch x)/../-aarch64-linux-gnu.tar.gz"
    (release.folder / SUMS).write_text(f"{digest}  {name}\n{digest}  ../coralforge-aarch64-linux-gnu.tar.gz\n")
    done = install(release, tmp_path / "to", as_board)
    assert done.returncode == 5
    assert left(tmp_path / "to") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--from is missing"),
        (["--from"], "--from needs a value"),
        (["--what"], "unknown argument --what"),
        (["--from", "/nowhere", "--to", "/nowhere"], "/nowhere is not a folder"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str) -> None:
    script = ROOT / "scripts" / INSTALLER
    done = subprocess.run(["sh", script, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_place_without_a_release(tmp_path: Path, as_board: dict[str, str]) -> None:
    command = ["sh", str(ROOT / "scripts" / INSTALLER), "--from", str(tmp_path / "none"), "--to", str(tmp_path)]
    done = subprocess.run(command, env=as_board, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "SHA256SUMS could not be had" in done.stderr
