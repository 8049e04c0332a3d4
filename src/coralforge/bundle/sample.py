"""The sample that a bundle proves itself with, as a model like any other."""

from __future__ import annotations

from dataclasses import dataclass

from coralforge.config.models import BundledModel, Target
from coralforge.settings import Settings

SAMPLE = "the sample"  # with a space, which no name in pipeline.yaml has


@dataclass(frozen=True)
class ModelEntry:
    """One model that goes into the bundle, as pipeline.yaml describes it."""

    label: str
    """Names it in plans."""
    name: str
    """Its name in the manifest."""
    where: str
    """Its place in pipeline.yaml, for messages: ``models.NAME`` or ``sample``."""
    entry: BundledModel


def sample_of(settings: Settings) -> ModelEntry:
    """The sample of pipeline.yaml. For hardware it comes compiled: that needs no compiler that a machine may lack."""
    sample = settings.pipeline.sample
    hardware = settings.variants[0].real
    target = Target.SIMULATOR if not hardware else Target.EDGETPU if sample.compiled else Target.CPU
    entry = BundledModel(
        model=sample.model,
        compiled=sample.compiled if hardware else None,
        target=target,
        min_mapped=0,
        labels=sample.labels,
        image=sample.image,
        expected=sample.expected,
        licence=sample.licence,
    )
    return ModelEntry(SAMPLE, sample.name, "sample", entry)
