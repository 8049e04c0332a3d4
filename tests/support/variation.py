"""Twelve ways in which the machine, the user and the moment of a build may differ and change nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coralforge.containers.docker import DockerRunner
from coralforge.containers.folders import writable_folder
from coralforge.containers.spec import ContainerSpec, Mount

SHIM = Path(__file__).with_name("elsewhere.c")
_OTHER_USER = 4321
_NOISE = {
    "CC": "/bin/false",
    "CXX": "/bin/false",
    "CFLAGS": "-O0 -g3 -DNOISE",
    "CXXFLAGS": "-O0 -g3 -DNOISE",
    "LDFLAGS": "-Wl,--build-id=uuid",
    "CMAKE_GENERATOR": "Unix Makefiles",
    "CMAKE_BUILD_TYPE": "Debug",
    "MAKEFLAGS": "-j1 -k",
    "SOURCE_DATE_EPOCH": "1",
    "ZERO_AR_DATE": "0",
    "TAR_OPTIONS": "--mtime=now",
    "GZIP": "-1",
    "XZ_DEFAULTS": "-9e",
    "DPKG_DEB_COMPRESSOR_TYPE": "gzip",
    "DEB_BUILD_OPTIONS": "noopt nostrip",
    "GIT_DIR": "/nonexistent",
    "BAZEL_OPTS": "--nonsense",
    "PYTHONHASHSEED": "77",
    "PYTHONOPTIMIZE": "1",
    "USER": "nobody-of-that-name",
    "LOGNAME": "nobody-of-that-name",
    "COLUMNS": "20",
    "TERM": "xterm-256color",
    "no_proxy": "*",
    **{f"NOISE_{number}": "x" * number for number in range(200)},
}


@dataclass(frozen=True)
class Variation:
    """One way, or several at once."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    shim: tuple[str, ...] = ()
    """Options of elsewhere.c: on this machine, and in the containers."""
    umask: int = -1
    user: int | None = None
    folder: str = "chain"
    """Name of the folder that all is in."""
    warm: bool = False
    """Whether earlier stages are there already."""

    @property
    def compiles(self) -> bool:
        """Whether it reaches into the containers, so that the programs have to be compiled anew."""
        return bool(self.shim)

    @property
    def possible(self) -> bool:
        """Whether this user can make it."""
        return self.user is None or (os.getuid() == 0 and shutil.which("setpriv") is not None)

    def command(self) -> tuple[str, ...]:
        """The words before a command: another user, who may nevertheless touch the files of this one."""
        if self.user is None:
            return ()
        caps = "+dac_override,+fowner"
        ids = (f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")
        return ("setpriv", *ids, f"--inh-caps={caps}", f"--ambient-caps={caps}", "--")


SINGLE = (
    Variation("path", folder="a b/\N{LATIN SMALL LETTER E WITH ACUTE}/" + "long " * 12 + "c"),
    Variation("home", {"HOME": "/nonexistent/home", "XDG_CACHE_HOME": "/nonexistent/cache"}),
    Variation("user id", user=_OTHER_USER),
    Variation("umask", umask=0o077),
    Variation("time zone", {"TZ": "Asia/Kathmandu"}),
    Variation("locale", {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "LANGUAGE": "tr"}),
    Variation("hostname", shim=("HOST",)),
    Variation("clock + 400 days", shim=("CLOCK",)),
    Variation("processors", shim=("CPUS",)),
    Variation("directory order", shim=("ORDER",)),
    Variation("environment noise", _NOISE),
    Variation("warm cache", warm=True),
)


def together() -> Variation:
    """All that this user can make, at once."""
    chosen = [one for one in SINGLE if one.possible]
    environment: dict[str, str] = {}
    for one in chosen:
        environment |= one.environment
    return Variation(
        "all at once",
        environment,
        tuple(flag for one in chosen for flag in one.shim),
        next(one.umask for one in chosen if one.umask >= 0),
        next((one.user for one in chosen if one.user is not None), None),
        next(one.folder for one in chosen if one.name == "path"),
    )


def build_shim(runner: DockerRunner, image: str, flags: tuple[str, ...], folder: Path) -> Path:
    """Compile elsewhere.c by the builder image's compiler, for this machine and containers; returns the library."""
    source = folder / "source"
    source.mkdir(mode=0o755, parents=True)
    shutil.copyfile(SHIM, source / SHIM.name)
    out = writable_folder(folder / "shim", runner)
    folder.chmod(0o755)
    command = (
        *(
            "/opt/llvm/bin/clang",
            "--target=x86_64-linux-gnu",
            "--sysroot=/opt/sysroots/x86_64-linux-gnu",
            "-fuse-ld=lld",
        ),
        *("-fuse-ld=lld", "-O1", "-shared", "-fPIC", *(f"-D{flag}" for flag in flags), f"/source/{SHIM.name}"),
        *("-o", "/out/elsewhere.so", "-ldl", "-lpthread"),
    )
    said: list[str] = []
    spec = ContainerSpec("shim", image, command, (Mount(source, "/source"), Mount(out, "/out", writable=True)))
    finished = runner.run(spec, said.append)
    assert finished.status == 0, "\n".join(said)
    (folder / "preload").write_text("/elsewhere.so\n", encoding="ascii")
    return out / "elsewhere.so"


def preload(library: Path, call: str, body: bytes) -> bytes:
    """The body of a call to Docker, so that all in the container has the library; for ``DockerProxy.edit``."""
    if call != "POST /containers/create":
        return body
    asked: dict[str, Any] = json.loads(body)
    for source, target in ((library, "/elsewhere.so"), (library.parent.parent / "preload", "/etc/ld.so.preload")):
        mount = {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": True}
        asked["HostConfig"].setdefault("Mounts", []).append(mount)
    return json.dumps(asked).encode()
