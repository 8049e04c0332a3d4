"""The table of architectures: everything that depends on one stands in its row, and nowhere else.

To add one: a row here, the packages of its sysroot in toolchains/toolchain.yaml, and what CONTRIBUTING.md says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True)
class Floor:
    """The newest symbol versions that a program may need: the oldest C and C++ libraries that it runs with."""

    glibc: str
    glibcxx: str
    cxxabi: str

    def versions(self) -> dict[str, str]:
        """By the prefix that symbol versions have: ``{"GLIBC": "2.27", ...}``."""
        return {"GLIBC": self.glibc, "GLIBCXX": self.glibcxx, "CXXABI": self.cxxabi}


# Versions whose names end in no number of their family, with the release that brought them. Others without one, such
# as GLIBC_PRIVATE, fit one build of the library only.
NAMED_VERSIONS = {
    "GLIBC_ABI_DT_RELR": "2.36",
    "GLIBC_ABI_DT_X86_64_PLT": "2.42",
    "GLIBC_ABI_GNU2_TLS": "2.42",
    "GLIBC_ABI_GNU_TLS": "2.42",
    "CXXABI_ARM_1.3.3": "1.3.3",
    "CXXABI_TM_1": "1.3.5",
    "CXXABI_FLOAT128": "1.3.9",
}

# Ubuntu 18.04 and JetPack 4 have glibc 2.27 and GCC 8's libstdc++; all that boards with a Coral came with is newer.
OLD_BOARDS = Floor("2.27", "3.4.25", "1.3.11")
# What the pinned packages of Debian bullseye have. docker/builder/floor.py refuses an image where that is not so.
BULLSEYE = Floor("2.31", "3.4.28", "1.3.12")


@dataclass(frozen=True)
class VirtualMachine:
    """A whole machine of an architecture: what QEMU's system emulator is told, and Debian's packages for it."""

    program: str
    package: str
    """The package with the program."""
    machine: str
    """QEMU's name of the board."""
    processor: str
    """QEMU's name of the processor, where instructions are translated."""
    console: str
    """Linux' name of the serial port."""
    kernel: str
    """The package with Debian's kernel; those for clouds have no USB."""


@dataclass(frozen=True)
class Row:
    """One architecture."""

    name: str
    """Its name on the command line and in pipeline.yaml."""
    triple: str
    """The GNU triple; it names sysroots, bundles and toolchain files.

    As in Debian: the target's folder below /usr/lib, and below /usr/lib/gcc. Where the two have different names
    (i386), libstdc++ gets no stand-ins (docker/builder/floor.py).
    """
    debian: str
    """Debian's name of it."""
    docker: str
    """Docker's name of the platform."""
    processors: tuple[str, ...]
    """Its names in ``uname -m`` and CMake; the first one stands for it in CMake toolchain files."""
    kernels: tuple[str, ...]
    """Patterns, as of a shell, for ``uname -m`` on the machines that run its programs, of other systems too."""
    machine: str
    """The ELF header's machine, by its name in elf.h."""
    bits: int
    """Word size, and so the ELF class."""
    loader: str
    """The dynamic loader that programs ask for."""
    constraint: str
    """Bazel's constraint value below ``@platforms//cpu``."""
    cpu: str
    """The value of Bazel's --cpu, on which abseil, ruy, cpuinfo and libedgetpu choose their sources."""
    emulator: str
    """Its program of qemu-user."""
    lowest: Floor
    """The lowest floor at which everything is known to link."""
    virtual: VirtualMachine | None = None
    """For the whole emulated board; None: there is none."""
    flags: tuple[str, ...] = ()
    """Compiler flags beside the triple."""
    floor: Floor = field(default=OLD_BOARDS)
    """The floor where pipeline.yaml says nothing."""
    highest: Floor = field(default=BULLSEYE)
    """The newest versions that the sysroot has."""


class Arch(str, Enum):
    """A target architecture; each is one row of the table."""

    AARCH64 = Row(
        name="aarch64",
        triple="aarch64-linux-gnu",
        debian="arm64",
        docker="linux/arm64",
        processors=("aarch64", "arm64", "ARM64"),
        kernels=("aarch64", "arm64"),
        machine="EM_AARCH64",
        bits=64,
        loader="/lib/ld-linux-aarch64.so.1",
        constraint="aarch64",
        cpu="aarch64",
        emulator="qemu-aarch64",
        lowest=Floor("2.17", "3.4.22", "1.3.9"),
        virtual=VirtualMachine(
            program="qemu-system-aarch64",
            package="qemu-system-arm",
            machine="virt",
            processor="cortex-a72",
            console="ttyAMA0",
            kernel="linux-image-arm64",
        ),
    )
    X86_64 = Row(
        name="x86_64",
        triple="x86_64-linux-gnu",
        debian="amd64",
        docker="linux/amd64",
        processors=("x86_64", "AMD64", "amd64"),
        kernels=("x86_64", "amd64"),
        machine="EM_X86_64",
        bits=64,
        loader="/lib64/ld-linux-x86-64.so.2",
        constraint="x86_64",
        cpu="k8",
        emulator="qemu-x86_64",
        lowest=Floor("2.17", "3.4.22", "1.3.9"),
    )
    # Raspberry Pi 2 and newer with a 32-bit system, BeagleBone, ...: ARMv7-A with NEON; not the ARMv6 of a Pi 1 or
    # Zero. NEON as Cortex-A8 and A9 have it (BeagleBone): with VFPv3, without the fused multiply-add of VFPv4, which
    # is an illegal instruction there. Without 64-bit file offsets readdir() fails on file systems with large inode
    # numbers, and no device is found.
    ARMV7 = Row(
        name="armv7",
        triple="arm-linux-gnueabihf",
        debian="armhf",
        docker="linux/arm/v7",
        processors=("armv7l", "armv7", "armv8l", "arm"),
        kernels=("armv7*", "armv8*", "aarch64", "arm64"),
        machine="EM_ARM",
        bits=32,
        loader="/lib/ld-linux-armhf.so.3",
        constraint="armv7",
        cpu="armv7a",
        emulator="qemu-arm",
        lowest=Floor("2.17", "3.4.22", "1.3.9"),
        flags=("-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard", "-D_FILE_OFFSET_BITS=64"),
    )

    row: Row

    def __new__(cls, row: Row | str) -> Arch:
        assert isinstance(row, Row)  # Arch("aarch64") finds the member by its name, and never comes here
        member = str.__new__(cls, row.name)
        member._value_ = row.name
        member.row = row
        return member

    @property
    def triple(self) -> str:
        """The GNU triple that names sysroots, bundles and toolchain files."""
        return self.row.triple


EMULATED = next(arch for arch in Arch if arch.row.virtual is not None)
"""The architecture of the whole emulated board."""

BUILD_MACHINE = Arch.X86_64
"""Where compilers and emulators run: the bundles of all others are cross-compiled and emulated."""
