"""Makes one root file system to compile against from the Debian packages of each target.

    sysroots.py PACKAGES ROOTS

PACKAGES/<triple>/*.deb go into ROOTS/<triple>, and their names and versions into ROOTS/<triple>/packages. No
maintainer script runs, so nothing is emulated.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

KEPT = {"lib", "lib64", "usr"}
KEPT_IN_USR = {"lib", "lib64", "include"}
# What a linker script or the compiler itself asks for. Any other static library would be linked where its shared one
# is not found, and nobody would hear of it.
ARCHIVES = {"libc_nonshared.a", "libgcc.a", "libgcc_eh.a"}


def make(packages: list[Path], root: Path) -> None:
    """Unpack ``packages`` into the new folder ``root`` and keep what a compiler or linker reads.

    Raises:
        ValueError: there are no packages.
        CalledProcessError: one of them cannot be unpacked.
    """
    if not packages:
        raise ValueError("there are no packages for it")
    root.mkdir(parents=True)
    names = []
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        show = ["dpkg-deb", "-W", "--showformat", "${Package}=${Version}", package]
        names.append(subprocess.run(show, check=True, capture_output=True, text=True).stdout)
    for folder, kept in ((root, KEPT), (root / "usr", KEPT_IN_USR)):
        for entry in folder.iterdir():
            if entry.name not in kept:
                shutil.rmtree(entry)
    for folder, _, files in os.walk(root):
        for path in (Path(folder, name) for name in files):
            if path.suffix == ".a" and path.name not in ARCHIVES:
                path.unlink()
    make_links_relative(root)
    (root / "packages").write_text("".join(f"{name}\n" for name in sorted(names)), encoding="ascii")


def make_links_relative(root: Path) -> None:
    """An absolute link (libm.so -> /lib/...) leads out of the root: a linker then finds another file, or none."""
    for folder, folders, files in os.walk(root):
        for path in (Path(folder, name) for name in folders + files):
            target = str(path.readlink()) if path.is_symlink() else ""
            if target.startswith("/"):
                path.unlink()
                path.symlink_to(os.path.relpath(root / target.lstrip("/"), folder))


def main() -> None:
    """See the module."""
    sources, roots = Path(sys.argv[1]), Path(sys.argv[2])
    for folder in sorted(sources.iterdir()):
        try:
            make(sorted(folder.glob("*.deb")), roots / folder.name)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            sys.exit(f"sysroots.py: {folder.name}: {error}")


if __name__ == "__main__":
    main()
