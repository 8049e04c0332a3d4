"""toolchain.json: its digest is that of what compiles and links, and of nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.builder_programs import load

describe = load("describe").describe
UNPINNED = {"bazel-bootstrap": "7.7.1", "xxd": "2:9.2"}


def make_tree(root: Path) -> tuple[Path, Path]:
    """A compiler and two sysroots, as small as they can be."""
    (root / "llvm/bin").mkdir(parents=True)
    (root / "llvm/bin/clang-19").write_bytes(b"compiler")
    (root / "llvm/bin/clang").symlink_to("clang-19")
    for triple in ("aarch64-linux-gnu", "x86_64-linux-gnu"):
        lib = root / "roots" / triple / "usr/lib"
        lib.mkdir(parents=True)
        (lib / "libc.so.6").write_bytes(triple.encode())
        (lib.parent / "include").mkdir()
        (lib.parent / "include/stdio.h").write_bytes(b"")
        (lib.parents[1] / "packages").write_text("libc6=2.31-13\nlibstdc++6=10.2.1-6\n")
        told = {"suite": "bullseye", "glibc": "2.31", "floors": {"GLIBC": "2.27"}}
        (lib.parents[1] / "floor.json").write_text(json.dumps(told))
    return root / "llvm", root / "roots"


def described(root: Path, unpinned: dict[str, str] | None = None) -> Any:
    return describe(root / "llvm", root / "roots", {"clang-19": "1:19.1.7"}, unpinned or UNPINNED)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    make_tree(tmp_path)
    return tmp_path


def test_a_newer_unpinned_package_does_not_reach_the_digest(tree: Path) -> None:
    before, after = described(tree), described(tree, {**UNPINNED, "xxd": "2:9.3"})
    assert after["unpinned"]["xxd"] == "2:9.3"
    assert {**after, "unpinned": UNPINNED} == before


@pytest.mark.parametrize("change", ["content", "mode", "link", "name"])
def test_each_change_of_the_compiler_changes_every_digest(tree: Path, change: str) -> None:
    before = described(tree)
    clang = tree / "llvm/bin/clang-19"
    if change == "content":
        clang.write_bytes(b"another")
    elif change == "mode":
        clang.chmod(0o755)
    elif change == "link":
        (tree / "llvm/bin/clang").unlink()
        (tree / "llvm/bin/clang").symlink_to("clang-20")
    else:
        (tree / "llvm/bin/lld").write_bytes(b"")
    after = described(tree)
    for triple in before["sysroots"]:
        assert after["sysroots"][triple]["digest"] != before["sysroots"][triple]["digest"]
    assert after["digest"] != before["digest"]


def test_a_sysroot_changes_its_own_digest_only(tree: Path) -> None:
    before = described(tree)["sysroots"]
    (tree / "roots/aarch64-linux-gnu/usr/lib/libc.so.6").write_bytes(b"another")
    after = described(tree)["sysroots"]
    assert after["aarch64-linux-gnu"]["digest"] != before["aarch64-linux-gnu"]["digest"]
    assert after["x86_64-linux-gnu"] == before["x86_64-linux-gnu"]


def test_a_library_leaves_the_digest_of_the_headers_and_a_header_changes_both(tree: Path) -> None:
    def digests() -> tuple[str, str]:
        one = described(tree)["sysroots"]["aarch64-linux-gnu"]
        return one["digest"], one["headers"]

    before = digests()
    (tree / "roots/aarch64-linux-gnu/usr/lib/libc.so.6").write_bytes(b"another")
    library = digests()
    assert library[0] != before[0]
    assert library[1] == before[1]
    header = tree / "roots/aarch64-linux-gnu/usr/lib/gcc/10/include/stddef.h"
    header.parent.mkdir(parents=True)
    header.write_bytes(b"")
    assert digests()[0] != library[0]
    assert digests()[1] != library[1]


def test_the_same_files_elsewhere_have_the_same_digest(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "another place"
    make_tree(other)
    assert described(other) == described(tree)


def test_it_says_what_a_sysroot_is(tree: Path) -> None:
    one = described(tree)["sysroots"]["aarch64-linux-gnu"]
    assert one["packages"] == {"libc6": "2.31-13", "libstdc++6": "10.2.1-6"}
    assert (one["suite"], one["glibc"], one["floor"]) == ("bullseye", "2.31", {"GLIBC": "2.27"})


@pytest.mark.parametrize("missing", ["llvm", "roots/aarch64-linux-gnu/usr/include", "roots"])
def test_what_is_not_there_has_no_digest(tree: Path, missing: str) -> None:
    """A digest of nothing would be the same for ever."""
    shutil.rmtree(tree / missing)
    (tree / missing).mkdir()
    with pytest.raises(ValueError, match=rf"there is no.* in .*{Path(missing).parts[0]}"):
        described(tree)
