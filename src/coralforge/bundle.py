"""Puts a bundle together from an SDK, programs, rendered templates and a sample, and packs it into one archive."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from coralforge import store
from coralforge.config.base import Variant
from coralforge.consumer import Files
from coralforge.contents import BundleInputs, SampleFiles, describe, incomplete
from coralforge.errors import build_error, source_error
from coralforge.manifest import ModelUsed, write_manifest
from coralforge.modelmaker import RECORD
from coralforge.sources.model import Tree

_EXECUTABLE, _PLAIN = 0o755, 0o644


def assemble(inputs: BundleInputs, destination: Path) -> None:
    """Fill the empty folder ``destination`` (a temporary one: after an error it is half full).

    Raises:
        CoralforgeError: ``bundle-incomplete`` or ``bundle-conflict``, exit code 5; ``licence-missing``, exit code 4.
    """
    _copy_tree(inputs.programs / "bin", destination / "bin", set())
    _library_part(inputs.sdk, inputs.templates, inputs.variants, destination)
    _copy_sample(inputs.sample, destination / "share/models")
    models = [_copy_model(folder, destination / "share/models") for folder in inputs.models]
    _copy_licences(inputs, destination / "share/licenses")
    _open_folders(destination)
    write_manifest(destination, describe(inputs, models, destination))


def assemble_prefix(sdk: Path, templates: Files, variants: tuple[Variant, ...], destination: Path) -> None:
    """Fill ``destination`` with what a CMake project is built against: the libraries as in a bundle, and host tools.

    ``templates`` are the rendered files below lib/. Raises as :func:`assemble`.
    """
    _library_part(sdk, templates, variants, destination)
    _copy(sdk / "host/flatc", destination / "host/flatc", _EXECUTABLE)
    for name in ("share/schema.fbs", "toolchain.json"):
        _copy(sdk / name, destination / name, _PLAIN)
    _open_folders(destination)


def _open_folders(root: Path) -> None:
    """Folders that a container's user can enter, whatever the umask is."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(_EXECUTABLE)


def _library_part(sdk: Path, templates: Files, variants: tuple[Variant, ...], destination: Path) -> None:
    """What prefix and bundle share: lib/ with the chosen variants, include/, the rendered files."""
    left_out = {variant.value for variant in Variant} - {variant.value for variant in variants}
    _copy_tree(sdk / "lib", destination / "lib", left_out)
    _copy_tree(sdk / "include", destination / "include", set())
    for name, file in templates.items():
        target = _new(destination / name, destination)
        target.write_bytes(file.content)
        target.chmod(_EXECUTABLE if file.executable else _PLAIN)
    _choose_default(variants, destination / "lib")


def _copy_tree(source: Path, target: Path, left_out: set[str]) -> None:
    if not source.is_dir() or not any(source.iterdir()):
        raise incomplete(f"{source} is missing or empty")
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        if entry.name in left_out:
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(entry.readlink())
        elif entry.is_dir():
            _copy_tree(entry, target / entry.name, set())
        else:
            # The mode tells what a file is: Bazel makes every output executable, a store every file read-only.
            _copy(entry, target / entry.name, _EXECUTABLE if target.name == "bin" else _PLAIN)


def _copy(source: Path, target: Path, mode: int) -> None:
    if not source.is_file():
        raise incomplete(f"{source} is missing, or no file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    target.chmod(mode)


def _new(path: Path, root: Path) -> Path:
    """``path``, whose folders are made; it must not exist yet and must be below ``root``."""
    if path.exists() or path.is_symlink() or ".." in path.parts or not path.is_relative_to(root):
        raise build_error(
            f"two parts of the bundle want to be {path.name}, or it is outside the bundle",
            reason="bundle-conflict",
            details=str(path),
            remedy="rename the template; what an SDK holds is listed in docs/bundle.md",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _choose_default(variants: tuple[Variant, ...], lib: Path) -> None:
    """Two links make the first variant the one that programs load; the others are chosen by LD_LIBRARY_PATH."""
    for variant in variants:
        if not (lib / variant.value / "libedgetpu.so.1").exists():
            raise incomplete(f"the SDK has no lib/{variant.value}/libedgetpu.so.1")
    _new(lib / "libedgetpu.so.1", lib).symlink_to(f"{variants[0].value}/libedgetpu.so.1")
    _new(lib / "libedgetpu.so", lib).symlink_to("libedgetpu.so.1")


def _copy_sample(sample: SampleFiles, folder: Path) -> None:
    for source, name in ((sample.model, "model.tflite"), (sample.labels, "labels.txt"), (sample.image, "image.bmp")):
        _copy(source, folder / name, _PLAIN)
    if sample.simulated is not None:
        compiled = folder / "model_edgetpu-sim.tflite"
        compiled.write_bytes(sample.simulated)
        compiled.chmod(_PLAIN)
    labels = sample.labels.read_text(encoding="utf-8", errors="replace").splitlines()
    if sample.expected >= len(labels):
        raise incomplete(f"the sample expects class {sample.expected}, but its labels have {len(labels)} lines")
    expected = {"top1_index": sample.expected, "top1_label": labels[sample.expected].strip()}
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")


def _copy_model(made: Path, folder: Path) -> ModelUsed:
    """Copy one model's files into a folder of its own; returns what its record says."""
    used = ModelUsed.model_validate_json((made / RECORD).read_bytes())
    for source in sorted(made.iterdir()):
        if source.name not in (RECORD, store.RECORD):
            _copy(source, folder / used.name / source.name, _PLAIN)
    return used


def _copy_licences(inputs: BundleInputs, folder: Path) -> None:
    _copy(inputs.licence, folder / "coralforge" / inputs.licence.name, _PLAIN)
    for tree in inputs.trees:
        for path in _licence_files(tree):
            _copy(path, folder / tree.name / path.relative_to(tree.path), _PLAIN)


def _licence_files(tree: Tree) -> Iterator[Path]:
    if tree.prebuilt:
        # A Debian binary package has its licences there, by policy, and not where the source has them.
        found = sorted(tree.path.glob("usr/share/doc/*/copyright"))
        yield from found
        if found:
            return
    for name in tree.source.licence_files:
        path = tree.path / name
        if not path.is_file():
            raise source_error(
                f"the licence text {name} of {tree.name} is not in its source",
                reason="licence-missing",
                details=f"looked at {path}; the source is {tree.address}",
                remedy=f"correct sources.{tree.name}.licence_files in the release file: a bundle must carry it",
            )
        yield path
