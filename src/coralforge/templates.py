"""Renders templates/: the consumer project that a user starts from, and the files of the bundle."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coralforge import __version__
from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.errors import CoralforgeError, ExitCode, user_error
from coralforge.settings import Settings

SUFFIX = ".j2"
PROGRAMS = ("lstpu", "model", "detect", "benchmark")
"""The programs of the consumer project, and so of a bundle."""
_CHECK = PurePosixPath("check-board.sh")


@dataclass(frozen=True)
class File:
    """A rendered file: its bytes and whether it is executable."""

    content: bytes
    executable: bool = False


Files = Mapping[PurePosixPath, File]


def variables(settings: Settings, project: str = "coral-app") -> dict[str, object]:
    """The variables of templates; an unknown name in a template is an error."""
    return {
        "project": project,
        "programs": PROGRAMS,
        "release": settings.release.release,
        "arch": settings.arch.value,
        "triple": settings.arch.triple,
        "processors": settings.arch.row.processors,
        "emulator": settings.arch.row.emulator,
        "tensorflow_commit": settings.release.tensorflow_commit,
        "cxx_standard": 17,
        "coralforge_version": __version__,
        "variants": [variant.value for variant in settings.variants],
        "default_variant": settings.variants[0].value,
        "simulated": settings.variants[0] is Variant.SIMULATED,
        "xnnpack": settings.xnnpack,
        "glibc": settings.floor.glibc,
        "glibcxx": settings.floor.glibcxx,
        "kernels": settings.arch.row.kernels,
        "instructions": settings.arch.row.instructions,
        "loader": settings.arch.row.loader,
        "triples": {arch.value: arch.triple for arch in Arch},
        "bundle_name": settings.bundle_name,
        "packaged": False,
    }


def render_consumer(settings: Settings, project: str = "coral-app") -> dict[PurePosixPath, File]:
    """The consumer project, by relative path; with the toolchain files, and the bundle's check of a board."""
    files = _render_folder(settings.project.templates / "consumer", variables(settings, project))
    files[_CHECK] = render_bundle(settings)[_CHECK]
    for name, file in render_toolchains(settings).items():
        files[PurePosixPath("toolchains") / name] = file
    return files


def render_toolchains(settings: Settings) -> dict[PurePosixPath, File]:
    """The CMake toolchain files of all architectures, by name: ``TRIPLE.cmake``."""
    files = {}
    for arch in Arch:
        row = arch.row
        # Debian's cross compilers are named by the triple, without its underscore.
        values = {"triple": row.triple, "debian_triple": row.triple.replace("_", "-"), "processor": row.processors[0]}
        rendered = _render_folder(settings.project.cmake, {**values, "flags": row.flags})
        files[PurePosixPath(f"{row.triple}.cmake")] = rendered[PurePosixPath("toolchain.cmake")]
    return files


def render_bundle(settings: Settings) -> dict[PurePosixPath, File]:
    """The files of the bundle that come from templates, by relative path."""
    return _render_folder(settings.project.templates / "bundle", variables(settings))


def render_debug(settings: Settings) -> dict[PurePosixPath, File]:
    """The files beside a bundle's debug symbols, by relative path."""
    return _render_folder(settings.project.templates / "debug", variables(settings))


def render_packaged(settings: Settings, **values: object) -> dict[PurePosixPath, File]:
    """Files for Debian packages: those of lib/ as they are in Debian's folders, and templates/debian.

    ``values`` are variables of the latter.
    """
    known = {**variables(settings), "packaged": True}
    files = _render_folder(settings.project.templates / "debian", {**known, **values})
    package = _render_folder(settings.project.templates / "bundle", known)
    return files | {name: file for name, file in package.items() if name.parts[0] == "lib"}


def _render_folder(folder: Path, values: Mapping[str, object]) -> dict[PurePosixPath, File]:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - C++, CMake and shell, not HTML; values are quoted by the filters below
    )
    environment.filters["sh"] = lambda value: shlex.quote(str(value))
    files: dict[PurePosixPath, File] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes()
        if name.endswith(SUFFIX):
            try:
                content = environment.get_template(name).render(values).encode()
            except jinja2.TemplateError as error:
                line = getattr(error, "lineno", None)
                raise CoralforgeError(
                    f"{path}{f':{line}' if line else ''}: {error}",
                    reason="template",
                    code=ExitCode.USER,
                    remedy="variables are listed in docs/consumer.md",
                ) from error
            name = name.removesuffix(SUFFIX)
        files[PurePosixPath(name)] = File(content, bool(path.stat().st_mode & 0o100))
    return files


def write_files(files: Files, destination: Path) -> None:
    """Write rendered files below ``destination`` with modes that do not depend on the umask."""
    for name, file in files.items():
        path = destination / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)
    for folder, _, _ in os.walk(destination):
        Path(folder).chmod(0o755)


def write_project(files: Files, destination: Path, force: bool = False) -> None:
    """Write the consumer project for a user; files of theirs are not overwritten without ``force``.

    Raises:
        CoralforgeError: ``template-exists`` or ``template-folder``, exit code 2; nothing was written then.
    """
    if destination.exists() and not destination.is_dir():
        raise user_error(f"{destination} is not a folder", reason="template-folder", remedy="choose another --dest")
    changed = [str(n) for n, f in files.items() if _differs(destination / n, f)]
    if changed and not force:
        raise user_error(
            f"{destination} already has files that differ from the templates",
            reason="template-exists",
            details="\n".join(changed[:10]),
            remedy="choose another --dest, or overwrite them with --force",
        )
    try:
        for name, file in files.items():
            path = destination / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            if file.executable:
                path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        raise user_error(
            f"{destination} cannot be written: {error.strerror}",
            reason="template-folder",
            remedy="choose a folder of yours with --dest",
        ) from error


def _differs(path: Path, file: File) -> bool:
    if not (path.exists() or path.is_symlink()):
        return False
    return not path.is_file() or path.read_bytes() != file.content
