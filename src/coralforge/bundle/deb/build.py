"""Lays a bundle out as the folders that dpkg-deb packs: one a package, each with its DEBIAN/.

Nothing in them depends on the time, the user or the machine: equal bundles give equal packages.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path, PurePosixPath

from coralforge import __released__, __version__
from coralforge.bundle.deb.contents import SMOKE, Content, Contents, Link, Texts, commands, contents
from coralforge.bundle.deb.control import PackageSet, changelog, control, installed_size
from coralforge.bundle.deb.copyright import copyright_text
from coralforge.bundle.deb.mapping import place
from coralforge.bundle.deb.packages import TFLITE, Package, packages_of, versions
from coralforge.bundle.files import EXECUTABLE, PLAIN, open_folders
from coralforge.bundle.manifest import Manifest, read_manifest
from coralforge.config.release import Source
from coralforge.elf.needs import Needs, measure
from coralforge.elf.read import is_elf
from coralforge.settings import Settings
from coralforge.templates import File, Files, render_packaged

EPOCH = int(datetime.fromisoformat(__released__).replace(tzinfo=timezone.utc).timestamp())
"""Seconds since 1970: the time of every file, and of the changelog's entry. Debian refuses those before 1984."""
NOT_IN_PACKAGES = frozenset({"libusb"})
"""Sources of which the packages have nothing: mapping.RULES leaves their files out."""


def lay_out(settings: Settings, bundle: Path, destination: Path) -> list[str]:
    """Fill ``destination`` with a folder for each package of the unpacked ``bundle``; returns their .deb's names.

    Raises:
        CoralforgeError: ``deb-unplaced`` (exit code 5), ``deb-needed`` (6), or as ``read_manifest``.
    """
    manifest = read_manifest(bundle)
    of = PackageSet(
        release=manifest.release,
        arch=manifest.arch,
        variants=tuple(manifest.variants),
        versions=versions(manifest.release, __version__),
        unpinned=tuple(manifest.unpinned),
    )
    packages = packages_of(of.variants)
    placed = place((*manifest.files, "MANIFEST.json"), manifest.triple, [package.name for package in packages])
    rendered = render_packaged(settings, commands=commands(), smoke=SMOKE, released=__released__)
    used = _used(settings, manifest)
    for package in packages:
        log = changelog(package, of, __version__, _date(), [f"{name} {used[name].version}" for name in sorted(used)])
        texts = Texts(rendered, copyright_text(used, bundle / "share/licenses"), log)
        found = contents(package, placed[package.name], bundle, manifest.triple, texts)
        _write(package, of, found, rendered, destination / package.name)
    destination.chmod(EXECUTABLE)  # a container's user enters it
    return [f"{package.name}_{of.version(package)}_{of.arch.row.debian}.deb" for package in packages]


def _used(settings: Settings, manifest: Manifest) -> dict[str, Source]:
    names = {source.name for source in manifest.sources} - NOT_IN_PACKAGES
    return {name: source for name, source in settings.release.sources.items() if name in names}


def _date() -> str:
    return format_datetime(datetime.fromtimestamp(EPOCH, timezone.utc))


def _write(package: Package, of: PackageSet, found: Contents, rendered: Files, folder: Path) -> None:
    for name, content in found.items():
        _write_one(content, folder / name)
    needs = measure(path for path in _files(folder) if is_elf(path))
    about = dict(_control_files(package, of, needs, rendered, folder))
    for name, file in about.items():
        _write_one(file, folder / "DEBIAN" / name)
    open_folders(folder)
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def _write_one(content: Content, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path) and content.is_symlink():
        content = Link(str(content.readlink()))
    if isinstance(content, Link):
        path.symlink_to(content.target)
        return
    if isinstance(content, Path):
        content = File(content.read_bytes(), executable=bool(content.stat().st_mode & 0o100))
    path.write_bytes(content.content)
    path.chmod(EXECUTABLE if content.executable else PLAIN)


def _control_files(
    package: Package, of: PackageSet, needs: Needs, rendered: Files, folder: Path
) -> Iterator[tuple[str, File]]:
    """The files of DEBIAN/, by name."""
    files = _files(folder)
    others = sum(1 for path in folder.rglob("*") if path.is_symlink() or path.is_dir())
    size = installed_size((path.stat().st_size for path in files), others)
    yield "control", File(control(package, of, needs, size).encode())
    sums = [f"{_md5(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    yield "md5sums", File("".join(sums).encode())
    if package.library or package.name == TFLITE:
        yield "triggers", File(b"activate-noawait ldconfig\n")
    if package.library:
        yield "shlibs", File(f"{package.library}\n".encode())
    if any(path.suffix == ".rules" for path in files):
        yield "postinst", File(rendered[PurePosixPath("postinst")].content, executable=True)


def _files(folder: Path) -> list[Path]:
    """Regular files, sorted by their paths' bytes."""
    return sorted((p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()), key=os.fsencode)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
