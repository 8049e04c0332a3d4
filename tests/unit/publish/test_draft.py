"""Nothing is published that a commit with the version's tag does not describe."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from coralforge.errors import CoralforgeError
from coralforge.publish import draft
from coralforge.publish.origin import find
from tests.unit.publish.conftest import Release

WHO = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *WHO, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "file").write_text("1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def lacking(folder: Path) -> str:
    try:
        draft.require_ready(folder, find(folder, {}))
    except CoralforgeError as error:
        assert error.reason == "release-origin"
        return error.details
    return ""


def test_a_clean_commit_with_the_versions_tag_is_ready(checkout: Path) -> None:
    git(checkout, "tag", draft.TAG)
    assert lacking(checkout) == ""


def test_without_the_tag_it_is_not(checkout: Path) -> None:
    git(checkout, "tag", "v0.0.0")
    assert lacking(checkout) == f"the commit has no tag {draft.TAG}"


@pytest.mark.parametrize("name", ["file", "another"])
def test_with_changed_or_new_files_it_is_not(checkout: Path, name: str) -> None:
    git(checkout, "tag", draft.TAG)
    (checkout / name).write_text("2\n")
    assert "files differ" in lacking(checkout)


def test_a_folder_within_another_checkout_has_no_commit_of_its_own(checkout: Path) -> None:
    inside = checkout / "inside"
    inside.mkdir()
    assert find(inside, {}).commit == ""
    assert lacking(inside) == "the project's folder is no git checkout"


def test_the_builder_is_github_only_where_its_runner_says_so(checkout: Path) -> None:
    assert find(checkout, {}).builder == "urn:coralforge:builder:local"
    said = {"GITHUB_ACTIONS": "true", "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/release.yml@refs/tags/v1"}
    assert find(checkout, said).builder == "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1"


def test_the_command_makes_a_draft_of_every_file(release: Release) -> None:
    command = draft.command(release.folder)
    assert command[:5] == ["gh", "release", "create", draft.TAG, "--draft"]
    named = {Path(one).name for one in command if one.startswith(str(release.folder))}
    assert named == {path.name for path in release.folder.iterdir()}


def test_what_git_adds_to_its_log_and_hides_from_its_status_does_not_matter(checkout: Path) -> None:
    """`git log` says "No signature" before the commit, where it is told to show signatures."""
    before = find(checkout, {})
    git(checkout, "config", "log.showSignature", "true")
    git(checkout, "config", "status.showUntrackedFiles", "no")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", checkout.parent / "key"], check=True)
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={checkout.parent / 'key'}")
    git(checkout, *signing, "commit", "--amend", "--no-edit", "-q", "-S")
    signed = find(checkout, {})
    assert (len(signed.commit), signed.clean) == (40, True)
    assert signed.commit != before.commit
    (checkout / "another").touch()
    assert find(checkout, {}).changed
