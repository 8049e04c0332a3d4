"""Gives each sysroot its floor: programs that are linked against it need no newer symbol version.

    floor.py PLATFORMS SOURCES ROOTS

PLATFORMS is what coralforge says of each target (triple, compiler flags, floor); SOURCES are the functions that stand
in for some that are too new. Below ROOTS/<triple>: all shared libraries lose the versions above the floor,
libcoralfloor.a joins libc and libstdc++, the C++ headers stop using what is gone; ``floor.json`` says what was done.
A function that is too new is then an error of the linker, which names it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from symbol_floor import MAGIC, Rank, lower

ARCHIVE = "libcoralfloor.a"
# Functions whose older versions differ in nothing but how they report errors, or not at all.
SAME = frozenset(
    ("exp", "exp2", "log", "log2", "pow", "expf", "exp2f", "logf", "log2f", "powf", "fcntl"),
)
# What libstdc++'s headers use where its configuration says so, and the glibc that brought it.
HEADER_FEATURES = {
    "_GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT": (2, 30),
    "_GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK": (2, 30),
    "_GLIBCXX_USE_PTHREAD_RWLOCK_CLOCKLOCK": (2, 30),
}
COMPILE = ["-O2", "-fPIC", "-ffunction-sections", "-fstack-protector-strong", "-Wall", "-Wextra", "-Werror"]


class Floor:
    """The newest allowed version of each family of versions (GLIBC, GLIBCXX, CXXABI)."""

    def __init__(self, floors: dict[str, str], named: dict[str, str]) -> None:
        self.floors = {family: numbers(text) for family, text in floors.items()}
        self.named = named

    def number(self, version: str) -> tuple[int, ...] | None:
        """The number in a version's name; None where it has none, as in GLIBC_PRIVATE."""
        text = self.named.get(version, version.partition("_")[2])
        return numbers(text) if re.fullmatch(r"\d+(\.\d+)*", text) else None

    def rank(self, version: str) -> tuple[int, ...] | None:
        """The place of an allowed version among others; None for one that is not allowed."""
        floor = self.floors.get(version.partition("_")[0])
        if floor is None:
            return ()
        number = self.number(version)
        return number if number is not None and number <= floor else None


def numbers(text: str) -> tuple[int, ...]:
    """``2.27`` as numbers."""
    return tuple(int(part) for part in text.split("."))


def lower_libraries(root: Path, rank: Rank) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Lower every shared library below ``root``: symbols gone, symbols with an older version, and all versions.

    Raises:
        ValueError: there is none, or one of them cannot be read.
    """
    gone: dict[str, str] = {}
    older: dict[str, str] = {}
    versions: set[str] = set()
    for path in sorted(root.rglob("*.so*")):
        if path.is_symlink() or not path.is_file() or path.read_bytes()[:4] != MAGIC:
            continue
        try:
            result = lower(path.read_bytes(), rank, SAME)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        path.write_bytes(result.data)
        gone.update(result.gone)
        older.update(result.older)
        versions |= result.versions
    if not versions:
        raise ValueError(f"there is no shared library with symbol versions below {root}")
    return gone, older, versions


def newest(versions: set[str], floor: Floor) -> dict[str, tuple[int, ...]]:
    """The newest version of each family in ``versions``."""
    return {
        family: max((floor.number(v) or () for v in versions if v.partition("_")[0] == family), default=())
        for family in floor.floors
    }


def lower_headers(root: Path, glibc: tuple[int, ...]) -> None:
    """libstdc++'s headers were configured for the sysroot's glibc; some of their ways need one above the floor.

    Raises:
        ValueError: the configuration is not where it was, or uses such a way in words that are not known.
    """
    for config in found(root, "usr/include/*/c++/*/bits/c++config.h"):
        text = config.read_text(encoding="utf-8")
        for name, since in HEADER_FEATURES.items():
            if glibc < since:
                text = text.replace(f"#define {name} 1\n", f"/* {name}: glibc {'.'.join(map(str, since))} */\n")
                if re.search(rf"^\s*#\s*define\s+{name}\b", text, re.MULTILINE):
                    raise ValueError(f"{config} still defines {name}")
        config.write_text(text, encoding="utf-8")


def found(root: Path, pattern: str) -> list[Path]:
    """The files below ``root`` that are named by ``pattern``. Raises ValueError when there is none."""
    paths = sorted(root.glob(pattern))
    if not paths:
        raise ValueError(f"there is no {pattern} in {root}")
    return paths


def make_archive(platform: dict[str, Any], sources: Path, root: Path) -> Path:
    """libcoralfloor.a: one object a function, none of which is seen outside of what it is linked into.

    Raises:
        ValueError: there are no sources.
        CalledProcessError: a program of the toolchain fails.
    """
    objects = []
    target = [f"--target={platform['triple']}", f"--sysroot={root}", *platform["flags"]]
    for source in found(sources, "*.c*"):
        made = Path("/tmp") / f"{source.stem}.o"
        program = ["clang++", "-std=c++17"] if source.suffix == ".cc" else ["clang", "-std=gnu11"]
        run([*program, *target, *COMPILE, f"-ffile-prefix-map={sources}=coralfloor", "-c", source, "-o", made])
        hide(made)
        objects.append(made)
    archive = root / "usr/lib" / platform["triple"] / ARCHIVE
    archive.unlink(missing_ok=True)
    run(["llvm-ar", "rcsD", archive, *objects])
    return archive


def hide(path: Path) -> None:
    """Make everything that an object file defines hidden: libstdc++'s headers say that it is not."""
    listed = run(["llvm-nm", "--defined-only", "--extern-only", "--format=just-symbols", path]).split()
    names = path.with_suffix(".names")
    names.write_text("\n".join(listed), encoding="ascii")
    run(["llvm-objcopy", f"--set-symbols-visibility={names}=hidden", path])


def check_archive(platform: dict[str, Any], archive: Path, root: Path) -> None:
    """All of it must link against the libraries at the floor, without itself. Raises CalledProcessError."""
    command = [f"--target={platform['triple']}", f"--sysroot={root}", *platform["flags"], "-fuse-ld=lld", "-shared"]
    command += ["-nostdlib", "-Wl,-z,defs", "-Wl,--whole-archive", archive, "-Wl,--no-whole-archive"]
    names = ("libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", Path(platform["loader"]).name)
    run(["clang++", *command, *(f"-l:{name}" for name in names), "-o", "/tmp/whole.so"])


def write_scripts(triple: str, root: Path) -> None:
    """Whoever links libstdc++ or libc gets the archive behind it, for what the library does not have at the floor.

    Raises:
        ValueError: what a linker reads for one of the two is not there, or not as it was.
    """
    lib = f"/usr/lib/{triple}"
    for name in found(root, f"usr/lib/gcc/{triple}/*/libstdc++.so"):
        name.unlink()
        name.write_text(f"GROUP ( {lib}/libstdc++.so.6 {lib}/{ARCHIVE} )\n", encoding="ascii")
    script = found(root, f"usr/lib/{triple}/libc.so")[0]
    text = script.read_text(encoding="ascii")
    with_archive = text.replace("libc_nonshared.a ", f"libc_nonshared.a {lib}/{ARCHIVE} ")
    if with_archive == text:
        raise ValueError(f"{script} is not as it was: {text}")
    script.write_text(with_archive, encoding="ascii")


def run(command: list[Any]) -> str:
    """Run a program of the toolchain; its errors go to stderr. Raises CalledProcessError."""
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def set_floor(platform: dict[str, Any], named: dict[str, str], sources: Path, roots: Path) -> None:
    """Give one platform's sysroot its floor.

    Raises:
        ValueError: it is not the one that coralforge knows.
        CalledProcessError: a program of the toolchain fails.
    """
    floor, root = Floor(platform["floors"], named), roots / platform["triple"]
    gone, older, versions = lower_libraries(root, floor.rank)
    offered = newest(versions, floor)
    expected = {family: numbers(text) for family, text in platform["sysroot"].items()}
    if offered != expected:
        raise ValueError(
            f"the packages of its sysroot have {offered}, and {expected} is what coralforge knows of them"
        )
    lower_headers(root, floor.floors["GLIBC"])
    check_archive(platform, make_archive(platform, sources, root), root)
    write_scripts(platform["triple"], root)
    # A linker names a C++ function as it is written in C++.
    spoken = run(["llvm-cxxfilt", *gone]).splitlines()
    gone.update(zip(spoken, list(gone.values()), strict=True))
    told = {"suite": platform["suite"], "floors": platform["floors"], "gone": gone, "older": older}
    told["glibc"] = ".".join(map(str, offered["GLIBC"]))
    (root / "floor.json").write_text(json.dumps(told, indent=1, sort_keys=True), encoding="ascii")
    print(f"{platform['name']}: {len(gone)} symbols gone, {len(older)} older, floor {platform['floors']}")


def main() -> None:
    """See the module."""
    request, sources, roots = (Path(word) for word in sys.argv[1:4])
    data = json.loads(request.read_text(encoding="utf-8"))
    for platform in data["platforms"]:
        try:
            set_floor(platform, data["named_versions"], sources, roots)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            sys.exit(f"floor.py: {platform['name']}: {error}")


if __name__ == "__main__":
    main()
