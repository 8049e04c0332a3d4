"""Prints toolchain.json: what compiles in this image, with digests, and what was not pinned.

    describe.py LLVM ROOTS COMPILER_PACKAGES TOOL...

The compiler and the sysroots are no inputs of Bazel's actions, so the digests of their files stand in for them.
Everything that is not in a digest (TOOL..., of this machine's suite) must not change what is built; it is listed with
its version.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# What compiler and linker load of the base image.
LOADED = ("libc6", "libgcc-s1", "liblzma5", "libstdc++6", "libtinfo6", "libzstd1", "zlib1g")


def tree_digest(root: Path, part: str = "") -> str:
    """SHA-256 over names, contents, links, executable bits below ``root``; with ``part``, of paths that have it.

    Raises:
        ValueError: there is nothing to digest: a digest of nothing would never change.
    """
    digest = hashlib.sha256()
    empty = digest.digest()
    for folder, folders, files in sorted(os.walk(root)):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(folders + files)):
            if part not in f"/{path.relative_to(root)}":
                continue
            if path.is_symlink():
                what = f"-> {path.readlink()}"
            elif path.is_file():
                mode = "x" if path.stat().st_mode & 0o100 else "-"
                what = f"{mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            else:
                continue
            digest.update(f"{path.relative_to(root)}\0{what}\n".encode())
    if digest.digest() == empty:
        raise ValueError(f"there is nothing in {root}{part}")
    return digest.hexdigest()


def packages(lines: str) -> dict[str, str]:
    """Versions by name, from lines of NAME=VERSION."""
    pairs = (line.partition("=") for line in lines.splitlines())
    return {name: version for name, _, version in sorted(pairs)}


def sysroot(root: Path, compiler: str) -> dict[str, Any]:
    """One sysroot, with the digests of what is compiled and linked against it with that compiler."""
    floor = json.loads((root / "floor.json").read_text(encoding="ascii"))
    return {
        "digest": hashlib.sha256(f"{compiler} {tree_digest(root)}".encode()).hexdigest(),
        "headers": hashlib.sha256(f"{compiler} {tree_digest(root, '/include/')}".encode()).hexdigest(),
        "packages": packages((root / "packages").read_text(encoding="ascii")),
        "suite": floor["suite"],
        "glibc": floor["glibc"],
        "floor": floor["floors"],
    }


def describe(llvm: Path, roots: Path, compiler: dict[str, str], unpinned: dict[str, str]) -> dict[str, Any]:
    """The content of toolchain.json.

    Raises:
        OSError: a sysroot has no ``floor.json`` or no ``packages``, or there are no sysroots.
        ValueError: compiler, sysroots, or their headers are missing.
    """
    of_compiler = tree_digest(llvm)
    sysroots = {root.name: sysroot(root, of_compiler) for root in sorted(roots.iterdir())}
    if not sysroots:
        raise ValueError(f"there is no sysroot in {roots}")
    together = "".join(f"{triple} {one['digest']}\n" for triple, one in sysroots.items())
    return {
        "digest": hashlib.sha256(together.encode()).hexdigest(),
        "compiler": compiler,
        "sysroots": sysroots,
        "unpinned": unpinned,
    }


def output(*command: str) -> str:
    """The output of a program; its errors go to stderr. Raises CalledProcessError."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def of_image(llvm: Path, roots: Path, compiler: dict[str, str], tools: list[str]) -> dict[str, Any]:
    """toolchain.json of the image that this runs in. Raises OSError, ValueError, CalledProcessError."""
    unpinned = packages(output("dpkg-query", "-W", "-f", "${Package}=${Version}\n", *tools, *LOADED))
    linkers = [version for name, version in compiler.items() if name.startswith("lld-")]
    if len(linkers) != 1 or "bazel-bootstrap" not in unpinned:
        raise ValueError(f"no lld among {sorted(compiler)}, or no bazel-bootstrap among {sorted(unpinned)}")
    versions = {"clang": output("clang", "-dumpversion").strip(), "lld": linkers[0]}
    return describe(llvm, roots, compiler, unpinned) | versions | {"bazel": unpinned["bazel-bootstrap"]}


def main() -> None:
    """See the module."""
    llvm, roots, listed, *tools = sys.argv[1:]
    try:
        compiler = packages(Path(listed).read_text(encoding="ascii"))
        described = of_image(Path(llvm), Path(roots), compiler, tools)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"describe.py: {error}")
    print(json.dumps(described, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
