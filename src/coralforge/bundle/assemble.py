"""Puts a bundle together from an SDK, programs, rendered templates and a sample, and packs it into one archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from coralforge import store
from coralforge.bundle.describe import BundleInputs, SampleFiles, describe
from coralforge.bundle.files import PLAIN, copy_file, copy_tree, incomplete, open_folders
from coralforge.bundle.manifest import ModelUsed, write_manifest
from coralforge.bundle.model_maker import RECORD
from coralforge.bundle.prefix import library_part
from coralforge.errors import source_error
from coralforge.sources.archive import Tree


def assemble(inputs: BundleInputs, destination: Path) -> None:
    """Fill the empty folder ``destination`` (a temporary one: after an error it is half full).

    Raises:
        CoralforgeError: ``bundle-incomplete`` or ``bundle-conflict``, exit code 5; ``licence-missing``, exit code 4.
    """
    copy_tree(inputs.programs / "bin", destination / "bin", set())
    library_part(inputs.sdk, inputs.templates, inputs.variants, destination)
    _copy_sample(inputs.sample, destination / "share/models")
    models = [_copy_model(folder, destination / "share/models") for folder in inputs.models]
    _copy_licences(inputs, destination / "share/licenses")
    open_folders(destination)
    write_manifest(destination, describe(inputs, models, destination))


def _copy_sample(sample: SampleFiles, folder: Path) -> None:
    for source, name in ((sample.model, "model.tflite"), (sample.labels, "labels.txt"), (sample.image, "image.bmp")):
        copy_file(source, folder / name, PLAIN)
    if sample.simulated is not None:
        compiled = folder / "model_edgetpu-sim.tflite"
        compiled.write_bytes(sample.simulated)
        compiled.chmod(PLAIN)
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
            copy_file(source, folder / used.name / source.name, PLAIN)
    return used


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
