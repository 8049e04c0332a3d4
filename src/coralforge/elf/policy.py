"""The rules of the gate (Policy) and what breaks them (Violation)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coralforge.config.arch import Arch, Floor

# Where sources, caches and outputs are mounted in the build containers. A path below one of these means that a
# binary remembers the machine that made it: not reproducible, and it looks for files that the board does not have.
BUILD_PREFIXES = (
    "/sources/", "/workspace/", "/cache/", "/request/", "/project/", "/scripts/", "/sdk/", "/out/", "/opt/sysroots/",
)  # fmt: skip

GLIBC_PARTS = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")


@dataclass(frozen=True)
class Policy:
    """The requirements on every file of a tree.

    ``floors`` are (prefix, newest allowed version), as in ("GLIBC", "2.36"); ``commit`` is the TensorFlow commit that
    the libraries must be stamped with; ``forbidden`` are absolute path prefixes of the build machine, each ending in
    a slash; ``stamped`` are file name patterns of the libraries that carry the stamp; ``hidden`` are names of static
    libraries that show nothing of what they define.
    """

    arch: Arch
    floors: tuple[tuple[str, str], ...]
    commit: str
    forbidden: tuple[str, ...] = BUILD_PREFIXES
    stamped: tuple[str, ...] = ("libtensorflowlite*.so*", "libedgetpu.so*")
    hidden: tuple[str, ...] = ("libcoralfloor.a",)

    @property
    def machine(self) -> str:
        """The ELF header's machine, by its name in elf.h."""
        return self.arch.row.machine

    @property
    def bits(self) -> int:
        """Word size of programs and libraries."""
        return self.arch.row.bits

    @property
    def interpreter(self) -> str:
        """The dynamic loader that programs must ask for."""
        return self.arch.row.loader

    @property
    def system(self) -> frozenset[str]:
        """Libraries that every board with the platform's suite has; all others come with the bundle."""
        loader = self.interpreter.rsplit("/", 1)[-1]
        return frozenset((*GLIBC_PARTS, "libstdc++.so.6", "libgcc_s.so.1", loader))


@dataclass(frozen=True)
class Violation:
    """One reason not to ship a file. ``what`` is a stable kebab-case identifier; the rest is for people."""

    file: str
    what: str
    detail: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.detail} [{self.what}]: {self.remedy}"


def policy_for(arch: Arch, floor: Floor, commit: str, forbidden: Iterable[str] = ()) -> Policy:
    """The policy of one target; ``forbidden`` are folders of this host (cache, home)."""
    # "/" alone would forbid every path: a home folder of "/" is no clue about anything.
    own = tuple(folder.rstrip("/") + "/" for folder in forbidden if folder.strip("/"))
    return Policy(arch, tuple(floor.versions().items()), commit, (*BUILD_PREFIXES, *own))
