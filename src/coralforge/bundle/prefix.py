"""The libraries with the CMake package around them: what bundles and builds of programs share."""

from __future__ import annotations

from pathlib import Path

from coralforge.bundle.files import EXECUTABLE, PLAIN, copy_file, copy_tree, incomplete, new_path, open_folders
from coralforge.config.base import Variant
from coralforge.templates import Files


def assemble_prefix(sdk: Path, templates: Files, variants: tuple[Variant, ...], destination: Path) -> None:
    """Fill ``destination`` with what a CMake project is built against: the libraries as in a bundle, and host tools.

    ``templates`` are the rendered files below lib/. Raises as ``assemble``.
    """
    library_part(sdk, templates, variants, destination)
    copy_file(sdk / "host/flatc", destination / "host/flatc", EXECUTABLE)
    for name in ("share/schema.fbs", "toolchain.json"):
        copy_file(sdk / name, destination / name, PLAIN)
    open_folders(destination)


def library_part(sdk: Path, templates: Files, variants: tuple[Variant, ...], destination: Path) -> None:
    """Copy lib/ with the chosen variants and include/, and write the rendered files. Raises as ``assemble``."""
    left_out = {variant.value for variant in Variant} - {variant.value for variant in variants}
    copy_tree(sdk / "lib", destination / "lib", left_out)
    copy_tree(sdk / "include", destination / "include", set())
    for name, file in templates.items():
        target = new_path(destination / name, destination)
        target.write_bytes(file.content)
        target.chmod(EXECUTABLE if file.executable else PLAIN)
    _choose_default(variants, destination / "lib")


def _choose_default(variants: tuple[Variant, ...], lib: Path) -> None:
    """Two links make the first variant the one that programs load; the others are chosen by LD_LIBRARY_PATH."""
    for variant in variants:
        if not (lib / variant.value / "libedgetpu.so.1").exists():
            raise incomplete(f"the SDK has no lib/{variant.value}/libedgetpu.so.1")
    new_path(lib / "libedgetpu.so.1", lib).symlink_to(f"{variants[0].value}/libedgetpu.so.1")
    new_path(lib / "libedgetpu.so", lib).symlink_to("libedgetpu.so.1")
