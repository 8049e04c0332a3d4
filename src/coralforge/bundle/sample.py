"""The model, labels and image that a bundle proves itself with: the pinned ones, or generated ones.

Where the pinned files cannot be had (no route to their place), the project makes a small quantized model of
its own; bundle, manifest and report then say so. That nothing answered is remembered until ``invoke fetch``
or other mirrors, so that an up-to-date run does not wait for the network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.pipeline import Sample, Source
from coralforge.errors import CoralforgeError
from coralforge.events import Note, Sink
from coralforge.settings import Settings
from coralforge.sources.archive import Wanted
from coralforge.sources.fetch import cached, fetch_all
from coralforge.util import fingerprint

PARTS = ("model", "labels", "image")


@dataclass(frozen=True)
class ChosenSample:
    """What the bundle will hold. ``files`` is None for the generated sample."""

    name: str
    digest: str
    files: dict[str, Path] | None
    expected: int | None
    licence: str


def survey_sample(settings: Settings) -> ChosenSample | None:
    """The sample as known on disk; None when the pinned one was not tried yet."""
    found = {part: cached(wanted, settings.cache.root) for part, wanted in _wanted(settings).items()}
    sample = settings.pipeline.sample
    files = {part: fetched.path for part, fetched in found.items() if fetched is not None}
    if len(files) == len(PARTS):
        digest = fingerprint.of_mapping({**_digests(sample), "expected": str(sample.expected)})
        return ChosenSample(sample.name, digest, files, sample.expected, sample.licence)
    if _marker(settings).exists():
        return ChosenSample("generated", "generated", None, None, "Apache-2.0")
    return None


def fetch_sample(settings: Settings, sink: Sink) -> None:
    """Try the pinned sample's places; when none answers, say so and settle for the generated one."""
    _marker(settings).unlink(missing_ok=True)
    try:
        fetch_all(list(_wanted(settings).values()), settings.cache.root, settings.mirrors, sink)
    except CoralforgeError as error:
        if error.reason != "source-unavailable":
            raise
        sink.emit(
            Note(
                f"the sample {settings.pipeline.sample.name} cannot be had from here; "
                "the bundle gets a small model that coralforge generates (--mirror DIR with the files helps)",
                "warning",
            )
        )
        _marker(settings).parent.mkdir(parents=True, exist_ok=True)
        _marker(settings).write_text(json.dumps({"details": error.details}), encoding="utf-8")


def _wanted(settings: Settings) -> dict[str, Wanted]:
    sample = settings.pipeline.sample
    return {
        part: Wanted(
            f"sample-{part}",
            Source(version=sample.name, licence=sample.licence, places=getattr(sample, part).places),
            settings.arch,
        )
        for part in PARTS
    }


def _digests(sample: Sample) -> dict[str, str]:
    return {part: getattr(sample, part).places[0].sha256 for part in PARTS}


def _marker(settings: Settings) -> Path:
    """Exists when the pinned sample was tried in vain from the places and mirrors of this run."""
    tried = {**_digests(settings.pipeline.sample), "mirrors": "\0".join(settings.mirrors)}
    return settings.cache.root / "last" / f"no-sample-{fingerprint.of_mapping(tried)[:16]}.json"
