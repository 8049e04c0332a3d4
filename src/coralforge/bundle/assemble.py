"""Puts a bundle together from an SDK, programs, rendered templates and models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from coralforge import store
from coralforge.bundle.describe import BundleInputs, describe
from coralforge.bundle.files import PLAIN, copy_file, copy_tree, new_path, open_folders
from coralforge.bundle.manifest import ModelUsed, write_manifest
from coralforge.bundle.model_maker import RECORD
from coralforge.bundle.operators import require_selected
from coralforge.bundle.prefix import library_part
from coralforge.errors import source_error
from coralforge.sources.records import Tree


def assemble(inputs: BundleInputs, destination: Path) -> None:
    """Fill the empty folder ``destination`` (a temporary one: after an error it is half full).

    Raises:
        CoralforgeError: ``bundle-incomplete`` or ``bundle-conflict``, exit code 5; ``licence-missing``, exit code 4;
            ``ops-missing``, exit code 6.
    """
    copy_tree(inputs.programs / "bin", destination / "bin", set())
    library_part(inputs.sdk, inputs.templates, inputs.variants, destination)
    shared = destination / "share/models"
    _copy_model(inputs.sample, shared)
    models = [_used(folder) for folder in inputs.models]
    if inputs.operators:
        require_selected(
            [(one.name, folder) for one, folder in zip(models, inputs.models, strict=True)], inputs.operators
        )
    for used, folder in zip(models, inputs.models, strict=True):
        _copy_model(folder, new_path(shared / used.name, shared))
    _copy_licences(inputs, destination / "share/licenses")
    open_folders(destination)
    write_manifest(destination, describe(inputs, _used(inputs.sample), models, destination))


def _copy_model(made: Path, folder: Path) -> None:
    """Copy one model's files into ``folder``, all but the records."""
    for source in sorted(made.iterdir()):
        if source.name not in (RECORD, store.RECORD):
            copy_file(source, new_path(folder / source.name, folder), PLAIN)


def _used(made: Path) -> ModelUsed:
    return ModelUsed.model_validate_json((made / RECORD).read_bytes())


def _copy_licences(inputs: BundleInputs, folder: Path) -> None:
    copy_file(inputs.licence, folder / "coralforge" / inputs.licence.name, PLAIN)
    for tree in inputs.trees:
        for path in _licence_files(tree):
            copy_file(path, folder / tree.name / path.relative_to(tree.path), PLAIN)


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
