"""Which addresses are tried, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Place
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.sources.debian import archive_uri, parse_targets
from coralforge.sources.places import candidates, file_name, local_path
from coralforge.sources.records import Wanted

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)
UPSTREAM = Place(url="https://host.example/o/repo/archive/v1.2.tar.gz", sha256=ONE)
DEBIAN = Place(debian="pool/main/r/repo/repo_1.2+dfsg~1.orig.tar.xz", sha256=TWO)


def want(*places: Place, arch: Arch = Arch.AARCH64) -> Wanted:
    return Wanted("repo", Source(version="1.2", licence="MIT", places=list(places)), arch)


def addresses(wanted: Wanted, mirrors: list[str], archive: str | None = None) -> list[str]:
    return [candidate.address for candidate in candidates(wanted, mirrors, lambda: archive)]


def test_places_come_in_the_order_of_the_release() -> None:
    assert addresses(want(UPSTREAM, DEBIAN), [], "http://deb.example/debian/") == [
        "https://host.example/o/repo/archive/v1.2.tar.gz",
        "http://deb.example/debian/pool/main/r/repo/repo_1.2+dfsg~1.orig.tar.xz",
    ]


def test_a_place_for_another_architecture_is_left_out() -> None:
    arm = Place(debian="pool/a_arm64.deb", sha256=ONE, arch=Arch.AARCH64)
    intel = Place(debian="pool/a_amd64.deb", sha256=TWO, arch=Arch.X86_64)
    assert addresses(want(arm, intel, arch=Arch.X86_64), [], "http://d") == ["http://d/pool/a_amd64.deb"]


def test_without_a_debian_archive_the_place_is_still_named() -> None:
    assert addresses(want(DEBIAN), []) == ["debian:pool/main/r/repo/repo_1.2+dfsg~1.orig.tar.xz"]


def test_a_snapshot_archive_is_asked_last_and_for_what_has_a_date_only() -> None:
    dated = DEBIAN.model_copy(update={"snapshot": "20261128T000000Z"})
    found = candidates(want(UPSTREAM, dated), [], lambda: "http://deb.example/debian", "http://old.example")
    assert [candidate.address for candidate in found] == [
        "https://host.example/o/repo/archive/v1.2.tar.gz",
        "http://deb.example/debian/pool/main/r/repo/repo_1.2+dfsg~1.orig.tar.xz",
        "http://old.example/20261128T000000Z/pool/main/r/repo/repo_1.2+dfsg~1.orig.tar.xz",
    ]
    undated = candidates(want(UPSTREAM, DEBIAN), [], lambda: None, "http://old.example")
    assert not any("old.example" in candidate.address for candidate in undated)


def test_nobody_asks_for_the_archive_before_the_mirrors_were_tried(tmp_path: Path) -> None:
    def archive() -> str | None:
        raise AssertionError

    found = candidates(want(DEBIAN), [str(tmp_path)], archive)
    assert [next(found).address for _ in range(2)] == [
        str(tmp_path / "repo_1.2+dfsg~1.orig.tar.xz"),
        str(tmp_path / TWO),
    ]
    with pytest.raises(AssertionError):
        next(found)


def test_mirrors_are_asked_first_for_every_place_by_three_names(tmp_path: Path) -> None:
    assert addresses(want(UPSTREAM, DEBIAN), [str(tmp_path), "https://m.example/x/"]) == [
        f"{tmp_path}/repo-1.2.tar.gz",
        f"{tmp_path}/v1.2.tar.gz",
        f"{tmp_path}/{ONE}",
        f"{tmp_path}/repo_1.2+dfsg~1.orig.tar.xz",
        f"{tmp_path}/{TWO}",
        "https://m.example/x/repo-1.2.tar.gz",
        "https://m.example/x/v1.2.tar.gz",
        f"https://m.example/x/{ONE}",
        "https://m.example/x/repo_1.2+dfsg~1.orig.tar.xz",
        f"https://m.example/x/{TWO}",
        "https://host.example/o/repo/archive/v1.2.tar.gz",
        "debian:pool/main/r/repo/repo_1.2+dfsg~1.orig.tar.xz",
    ]


def test_the_same_address_is_tried_once_only(tmp_path: Path) -> None:
    twin = Place(debian="pool/main/v1.2.tar.gz", sha256=ONE)
    found = addresses(want(UPSTREAM, twin), [str(tmp_path)], "http://d")
    assert len(found) == len(set(found)) == 5


def test_a_mirror_folder_may_be_relative_or_a_file_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my mirror").mkdir()
    monkeypatch.chdir(tmp_path)
    expected = f"{tmp_path}/my mirror/repo-1.2.tar.gz"
    assert addresses(want(UPSTREAM), ["my mirror"])[0] == expected
    assert addresses(want(UPSTREAM), [f"file://{tmp_path}/my%20mirror"])[0] == expected


@pytest.mark.parametrize(
    ("mirror", "reason"), [("/nonexistent/mirror", "mirror-missing"), ("ftp://m.example/", "mirror-invalid")]
)
def test_a_mirror_that_cannot_be_is_a_user_error(mirror: str, reason: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        candidates(want(UPSTREAM), [mirror], lambda: None)
    assert (caught.value.reason, caught.value.code) == (reason, ExitCode.USER)
    assert mirror in caught.value.brief


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/o/repo/archive/0123abc.tar.gz", "repo-0123abc.tar.gz"),
        ("https://github.com/o/repo/archive/refs/tags/v1.0.tar.gz", "repo-1.0.tar.gz"),
        ("https://gitlab.com/o/repo/-/archive/3.4/repo-3.4.tar.bz2", "repo-3.4.tar.bz2"),
        ("https://github.com/o/repo/releases/download/v1/repo-1.tar.bz2", "repo-1.tar.bz2"),
        ("https://host.example/plain.txt?raw=1", "plain.txt"),
        ("https://host.example/folder/", ONE),
        ("https://host.example/folder/..", ONE),
    ],
)
def test_file_names_in_mirrors_are_never_paths(address: str, name: str) -> None:
    assert file_name(Place(url=address, sha256=ONE)) == name


def test_local_addresses_have_paths() -> None:
    assert local_path("/a b") == Path("/a b")
    assert local_path("file:///a%20b") == Path("/a b")
    assert local_path("https://host/a") is None
    assert local_path("debian:pool/a") is None


# The fields are Origin|Label|Release|Component|Repo-URI.
@pytest.mark.parametrize(
    ("targets", "archive"),
    [
        ("Debian|Debian|bookworm|main|http://deb.example/debian/", "http://deb.example/debian"),
        ("Debian|Debian|bookworm-updates|main|https://m.example/d/", "https://m.example/d"),
        ("Debian|Debian-Security|bookworm-security|main|http://deb.example/debian-security/", None),
        ("||trixie|main|http://never-updated.example/debian/", "http://never-updated.example/debian"),
        ("||trixie-security|main|http://never-updated.example/debian-security/", None),
        ("||noble|main|http://other.example/ubuntu/", None),
        ("Ubuntu|Ubuntu|noble|main|http://other.example/ubuntu/", None),
        ("Docker|Docker CE|bookworm|main|https://third.example/", None),
        ("Debian|Debian|sid|contrib|http://deb.example/debian/", None),
        ("Debian|Debian|sid|main|file:/srv/debian/", "file:///srv/debian"),
        ("Debian|Debian|sid|main|cdrom://disc/", None),
        ("garbage\n\nDebian|Debian|sid|main|http://deb.example/debian/", "http://deb.example/debian"),
        ("", None),
    ],
)
def test_debians_own_archive_is_found_among_apts_repositories(targets: str, archive: str | None) -> None:
    assert parse_targets(targets) == archive


def test_apt_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'Debian|Debian|bookworm|main|http://asked.example/debian/'\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert archive_uri() == "http://asked.example/debian"


def test_the_environment_comes_before_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORALFORGE_DEBIAN_ARCHIVE", "http://mine.example/debian/")
    assert archive_uri() == "http://mine.example/debian"


def test_a_machine_without_apt_has_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert archive_uri() is None


def test_an_apt_that_fails_has_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho E: broken >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert archive_uri() is None
