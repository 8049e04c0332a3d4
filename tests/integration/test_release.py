"""A release is made and checked by the commands of a CI job and a stranger, from the bundle that all tests share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from coralforge import __version__
from coralforge.util.fingerprint import of_file
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.docker

NAME = f"coralforge-{__version__}-tflite-2.14.1-aarch64-linux-gnu-simulated"


@pytest.fixture(scope="module")
def release(bundle: Path, cli: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of one signed part, as the jobs of release.yml make it: a part, then what completes it."""
    folder = tmp_path_factory.mktemp("release")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    (folder / "signers").write_text(f"us@example.org {(folder / 'key.pub').read_text()}")
    made = folder / "made"
    part = cli.invoke("release", "--arch", "aarch64", "--variant", "simulated", "--dest", str(made))
    assert part.status == 0, part.stderr
    rest = cli.invoke("release", "--finish", "--dry-run", "--sign", str(folder / "key"), "--dest", str(made))
    assert rest.status == 0, rest.stderr
    assert "dry run, nothing was published" in rest.stdout
    assert "is SIMULATED: it drives no hardware" in rest.stderr
    return folder


def test_the_part_is_the_bundle_under_a_releases_name(release: Path, bundle: Path) -> None:
    assert of_file(release / "made" / f"{NAME}.tar.gz") == of_file(bundle)


def test_the_packages_of_the_bundle_are_in_it(release: Path, cli: Checkout) -> None:
    ran = cli.invoke("bundle", "--arch", "aarch64", "--variant", "simulated", "--format", "deb")
    assert ran.status == 0, ran.stderr
    made = {path.name: of_file(path) for path in (cli.root / "dist").glob("*_arm64.deb")}
    assert {path.name: of_file(path) for path in (release / "made").glob("*.deb")} == made != {}


def test_a_stranger_finds_it_right(release: Path, cli: Checkout) -> None:
    archive = release / "made" / f"{NAME}.tar.gz"
    ran = cli.invoke("verify", "--bundle", str(archive), "--signers", str(release / "signers"))
    assert ran.status == 0, ran.stderr
    assert [line.split(":")[1].strip() for line in ran.stdout.splitlines()[:5]] == ["ok"] * 5
    assert ran.stdout.splitlines()[-1].endswith("not checked: rebuild (--rebuild)")


def test_a_rebuild_needs_the_commit_that_it_was_built_from(release: Path, cli: Checkout) -> None:
    ran = cli.invoke("verify", "--bundle", str(release / "made" / f"{NAME}.tar.gz"), "--rebuild")
    assert ran.status == 2
    assert "[rebuild-commit, exit 2]" in ran.stderr


def test_one_that_was_tampered_with_is_refused(release: Path, cli: Checkout, tmp_path: Path) -> None:
    archive = tmp_path / f"{NAME}.tar.gz"
    data = bytearray((release / "made" / archive.name).read_bytes())
    data[-100] ^= 1
    archive.write_bytes(data)
    (tmp_path / "SHA256SUMS").write_bytes((release / "made" / "SHA256SUMS").read_bytes())
    ran = cli.invoke("verify", "--bundle", str(archive))
    assert ran.status == 6
    assert "[verify-failed, exit 6]" in ran.stderr


def test_publishing_needs_the_tag(release: Path, cli: Checkout) -> None:
    ran = cli.invoke("release", "--finish", "--publish", "--dest", str(release / "made"))
    assert ran.status == 2
    assert "[release-origin, exit 2]" in ran.stderr
