"""The sample that a bundle proves itself with, as a model like any other: the pinned one, or a generated one.

Where the pinned files cannot be had (no route to their place), the project makes a small quantized model of
its own; bundle, manifest and report then say so. That nothing answered is remembered until ``invoke fetch``
or other mirrors, so that an up-to-date run does not wait for the network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from coralforge.bundle import stripes
from coralforge.config.models import BundledModel, DataFile, Target
from coralforge.settings import Settings
from coralforge.util import atomic, fingerprint

SAMPLE = "the sample"  # with a space, which no name in pipeline.yaml has
GENERATED = "coralforge-stripes"


@dataclass(frozen=True)
class ModelEntry:
    """One model that goes into the bundle, as pipeline.yaml or the project itself describes it."""

    label: str
    """Names it in plans."""
    name: str
    """Its name in the manifest."""
    where: str
    """Its place in pipeline.yaml, for messages: ``models.NAME`` or ``sample``."""
    entry: BundledModel
    generated: bool = False
    """Whether stage ``programs`` makes its files; then nothing is fetched for it."""


def pinned_sample(settings: Settings) -> ModelEntry:
    """The sample of pipeline.yaml."""
    sample = settings.pipeline.sample
    entry = _entry(settings, sample.model, sample.labels, sample.image, sample.expected, sample.licence)
    return ModelEntry(SAMPLE, sample.name, "sample", entry)


def generated_sample(settings: Settings) -> ModelEntry:
    """The sample that the project makes; its paths are below share/models of the programs."""
    model, labels, image = (DataFile(path=name) for name in ("model.tflite", "labels.txt", "image.bmp"))
    entry = _entry(settings, model, labels, image, stripes.EXPECTED, "Apache-2.0")
    return ModelEntry(SAMPLE, GENERATED, "sample", entry, generated=True)


def _entry(
    settings: Settings, model: DataFile, labels: DataFile, image: DataFile, expected: int, licence: str
) -> BundledModel:
    """Only for the simulated libedgetpu is a sample compiled: that needs no compiler that a machine may lack."""
    target = Target.CPU if settings.variants[0].real else Target.SIMULATOR
    return BundledModel(
        model=model, target=target, min_mapped=0, labels=labels, image=image, expected=expected, licence=licence
    )


def tried_in_vain(settings: Settings) -> Path:
    """A file that exists when the pinned sample could not be had from the places and mirrors of this run."""
    sample = settings.pipeline.sample
    files = {"model": sample.model, "labels": sample.labels, "image": sample.image}
    tried = {part: place.sha256 for part, file in files.items() for place in file.places[:1]}
    name = fingerprint.of_mapping({**tried, "mirrors": "\0".join(settings.mirrors)})[:16]
    return settings.cache.last / f"no-sample-{name}.json"


def remember_in_vain(settings: Settings, details: str) -> None:
    """From now on the generated sample is taken. Raises OSError."""
    path = tried_in_vain(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, json.dumps({"details": details}).encode())
