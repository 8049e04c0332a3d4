"""The inputs of a bundle, and the manifest that describes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from coralforge import __version__
from coralforge.bundle.files import incomplete
from coralforge.bundle.manifest import REMOTE, Manifest, ModelUsed, RemoteUsed, SourceUsed, files_of
from coralforge.config.arch import Arch, Floor
from coralforge.config.base import Variant
from coralforge.config.models import Target
from coralforge.sources.records import Tree
from coralforge.templates import Files

_NO_HARDWARE = "No program of this bundle was run on a real Edge TPU by the pipeline that made it."
_SIMULATED = (
    "The default libedgetpu is SIMULATED: it drives no hardware "
    "and refuses models that are compiled for a real Edge TPU."
)


@dataclass(frozen=True)
class BundleInputs:
    """Everything a bundle is made of.

    ``sdk`` is an output of scripts/build-sdk, ``programs`` one of scripts/build-programs (both may be read-only);
    ``templates`` are the rendered files of templates/bundle; the first of ``variants`` is the default; ``trees`` are
    all sources that were used; ``licence`` is coralforge's own licence text.
    """

    release: str
    tensorflow_commit: str
    arch: Arch
    floor: Floor
    variants: tuple[Variant, ...]
    sdk: Path
    programs: Path
    templates: Files
    trees: tuple[Tree, ...]
    sample: Path
    """The folder that ``model_maker.make`` filled with what the bundle proves itself with."""
    licence: Path
    models: tuple[Path, ...] = ()
    """The same of the models of pipeline.yaml, by name."""
    operators: tuple[str, ...] = ()
    """The only ones that TensorFlow Lite has; none for all."""


def describe(inputs: BundleInputs, sample: ModelUsed, models: list[ModelUsed], destination: Path) -> Manifest:
    """The manifest of a bundle whose files are all in ``destination``."""
    trees = sorted(inputs.trees, key=lambda tree: tree.name)
    remote = _remote_used(inputs.sdk)
    return Manifest(
        format=2,
        coralforge=__version__,
        release=inputs.release,
        tensorflow_commit=inputs.tensorflow_commit,
        arch=inputs.arch,
        triple=inputs.arch.triple,
        variants=list(inputs.variants),
        default_variant=inputs.variants[0],
        simulated=not inputs.variants[0].real,
        floors=inputs.floor.versions(),
        xnnpack=(inputs.sdk / "lib/libtensorflowlite_xnnpack.so").exists(),
        operators=list(inputs.operators),
        toolchain=_toolchain(inputs.sdk / "toolchain.json"),
        sources=[_source_used(tree) for tree in trees],
        unpinned=[tree.name for tree in trees if not tree.pinned],
        prebuilt=[tree.name for tree in trees if tree.prebuilt],
        not_verified=[
            *_not_verified(inputs),
            *believed(remote),
            *_not_verified_of([sample, *models], inputs.variants[0]),
        ],
        sample=sample,
        models=models,
        remote=remote,
        files=files_of(destination),
    )


def _source_used(tree: Tree) -> SourceUsed:
    source = tree.source
    return SourceUsed(
        name=tree.name,
        version=source.version,
        commit=source.commit,
        digest=tree.digest,
        address=tree.address,
        pinned=tree.pinned,
        prebuilt=tree.prebuilt,
        note=tree.note,
        licence=source.licence,
    )


def _not_verified(inputs: BundleInputs) -> Iterator[str]:
    yield _NO_HARDWARE
    if not inputs.variants[0].real:
        yield _SIMULATED
    for tree in sorted(inputs.trees, key=lambda tree: tree.name):
        if not tree.pinned:
            yield f"{tree.name} is a local checkout ({tree.digest}), not what the release pins."
        if tree.prebuilt:
            yield f"{tree.name} came compiled, not as source: {tree.note or tree.address}"


def _remote_used(sdk: Path) -> RemoteUsed | None:
    """The machines that helped, as the libraries in ``sdk`` say. Raises CoralforgeError: ``bundle-incomplete``."""
    path = sdk / REMOTE
    if not path.exists():
        return None
    try:
        return RemoteUsed.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise incomplete(f"{path} cannot be read: {error}") from error


def believed(remote: RemoteUsed | None) -> list[str]:
    """The sentence on machines that helped, if any did."""
    if remote is None:
        return []
    where = " and ".join(dict.fromkeys(one for one in (remote.cache, remote.executor) if one))
    return [
        f"The libraries were built with results of other machines ({where}), which were believed: "
        "`invoke verify --rebuild` builds them again on one machine and compares."
    ]


def _not_verified_of(models: list[ModelUsed], default: Variant) -> Iterator[str]:
    for model in models:
        if model.random_samples:
            yield f"The model {model.name} was quantized with RANDOM samples: its answers mean nothing."
        if model.target is Target.CPU:
            yield f"The model {model.name} is not compiled: it runs on the CPU."
        elif (model.target is Target.EDGETPU) != default.real:
            yield f"The model {model.name} is compiled for {model.target.value}, which the default libedgetpu is not."
        if not model.checked:
            yield f"The model {model.name} has no labels, image and expected class: nobody checks what it answers."


def _toolchain(path: Path) -> dict[str, JsonValue]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise incomplete(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise incomplete(f"{path} is not a JSON object")
    return cast(dict[str, JsonValue], data)
