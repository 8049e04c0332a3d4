"""git_tree_id says of a folder what git says of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.sources.git_tree import git_tree_id

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def write(folder: Path, name: str, data: bytes, mode: int = 0o644) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Everything that makes a tree id hard: order, modes, links, bytes, ignored and empty things."""
    folder = tmp_path / "checkout"
    # git sorts the folder "a" as "a/", so behind "a-b" and "a.b" but before "a0".
    for name in ("a/inner", "a-b", "a.b", "a0", "A", "deep/er/still/file", ".hidden", "ünï", "sp ace"):
        write(folder, name, name.encode() * 3)
    write(folder, "empty", b"")
    write(folder, "big", os.urandom(3 << 20))
    write(folder, "crlf", b"one\r\ntwo\r\n")
    write(folder, "run.sh", b"#!/bin/sh\n", 0o755)
    write(folder, "odd-mode", b"x", 0o600)
    write(folder, "group-only", b"x", 0o654)
    (folder / "link").symlink_to("a/inner")
    (folder / "dangling").symlink_to("nowhere/é")
    (folder / "folder-link").symlink_to("deep")
    return folder


def git(folder: Path, *words: str) -> str:
    settings = (
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "core.autocrlf=false",
        "-c",
        "init.defaultBranch=m",
    )
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", *settings, *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_id_is_what_git_says(checkout: Path) -> None:
    git(checkout, "init", "-q")
    git(checkout, "add", "--all", "--force")
    git(checkout, "commit", "-q", "-m", "all")
    assert git_tree_id(checkout) == git(checkout, "rev-parse", "HEAD^{tree}")


def test_git_folders_empty_folders_and_special_files_do_not_count(checkout: Path) -> None:
    before = git_tree_id(checkout)
    write(checkout, ".git/HEAD", b"ref: refs/heads/m\n")
    (checkout / "void/of/files").mkdir(parents=True)
    os.mkfifo(checkout / "pipe")
    assert git_tree_id(checkout) == before


def test_an_empty_folder_has_gits_empty_tree(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert git_tree_id(tmp_path / "one") == EMPTY_TREE


@pytest.mark.parametrize("change", ["byte", "mode", "name", "link", "new file"])
def test_every_change_changes_the_id(checkout: Path, change: str) -> None:
    before = git_tree_id(checkout)
    if change == "byte":
        write(checkout, "a/inner", b"other")
    elif change == "mode":
        (checkout / "a-b").chmod(0o755)
    elif change == "name":
        (checkout / "a-b").rename(checkout / "a-c")
    elif change == "link":
        (checkout / "link").unlink()
        (checkout / "link").symlink_to("a0")
    else:
        write(checkout, "deep/er/new", b"")
    assert git_tree_id(checkout) != before


@pytest.mark.parametrize("what", ["missing", "file"])
def test_what_is_no_folder_is_a_user_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "it"
    if what == "file":
        path.write_text("")
    with pytest.raises(CoralforgeError) as caught:
        git_tree_id(path)
    assert (caught.value.reason, caught.value.code) == ("source-folder", ExitCode.USER)
    assert str(path) in caught.value.brief
