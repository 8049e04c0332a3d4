"""The one source of the configuration's defaults, checks and documentation (pydantic 2).

``coralforge.config.json_schema`` writes the JSON schemas in docs/schema from these models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from coralforge.config.base import Arch, GitId, Model, Name, Place, Variant
from coralforge.config.models import BundledModel


class Source(Model):
    """One part of a release: what it is (version, commit, tree) and where it can be had."""

    version: str = Field(min_length=1)
    """Upstream's version."""
    commit: GitId | None = None
    """Upstream's commit, where known."""
    tree: GitId | None = None
    """Git tree id of the whole source; a local checkout with this tree counts as pinned."""
    licence: str = Field(min_length=1)
    """SPDX expression."""
    licence_files: list[str] = Field(default_factory=lambda: ["LICENSE"])
    """Files below the unpacked tree that are copied into the bundle."""
    homepage: str = ""
    """Where the project lives."""
    places: list[Place] = Field(min_length=1)
    """Places in order of preference."""


class Release(Model):
    """A matched set of pins: releases/VERSION.yaml."""

    format: Literal[1]
    """Version of this file's format."""
    release: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    """TensorFlow Lite's version; the release's name."""
    tensorflow_commit: GitId
    """The commit that TFLite and libedgetpu are both built against and stamped with."""
    edgetpu_runtime: int = Field(default=14, ge=10, le=99)
    """The highest runtime version of compiled models that libedgetpu takes: kCurrent in its api/runtime_version.h."""
    sources: dict[Name, Source]
    """Everything that is compiled, by name."""
    test_sources: dict[Name, Source] = Field(default_factory=dict)
    """What only this project's own C++ tests are compiled from, by name; never part of a bundle."""

    @model_validator(mode="after")
    def _apart(self) -> Release:
        for name in self.sources.keys() & self.test_sources.keys():
            raise ValueError(f"{name!r} is in both sources and test_sources")
        return self

    @model_validator(mode="after")
    def _matched(self) -> Release:
        tensorflow = self.sources.get("tensorflow")
        if tensorflow is None or tensorflow.commit != self.tensorflow_commit:
            found = tensorflow.commit if tensorflow else "no such source"
            raise ValueError(
                f"sources.tensorflow.commit ({found}) is not tensorflow_commit ({self.tensorflow_commit}): "
                "TensorFlow Lite and libedgetpu from different commits crash at run time"
            )
        return self


class Platform(Model):
    """A target: the Debian suite whose C and C++ libraries set the floor."""

    suite: Literal["bookworm"] = "bookworm"
    """Debian suite of the sysroot: bookworm has glibc 2.36 and libstdc++ 12."""
    glibc: str = Field(default="2.36", pattern=r"^\d+\.\d+$")
    """No symbol may need a newer GLIBC than this."""
    glibcxx: str = Field(default="3.4.30", pattern=r"^\d+\.\d+\.\d+$")
    """No symbol may need a newer GLIBCXX than this."""
    cxxabi: str = Field(default="1.3.13", pattern=r"^\d+\.\d+\.\d+$")
    """No symbol may need a newer CXXABI than this."""


class SampleFile(Model):
    """One pinned file of the sample."""

    places: list[Place] = Field(min_length=1)
    """Places in order of preference."""


class Sample(Model):
    """The model, labels and image that a bundle proves itself with on the board."""

    name: Name
    """The model's name, shown in reports."""
    licence: str = "Apache-2.0"
    """SPDX expression of the three files."""
    model: SampleFile
    """A fully quantized classification model (.tflite)."""
    labels: SampleFile
    """One label a line."""
    image: SampleFile
    """A BMP image."""
    expected: int = Field(ge=0)
    """Index of the top-1 class of the image."""


class Limits(Model):
    """What one build container may use."""

    cpus: int | None = Field(default=None, gt=0)
    """Processors; all of the machine's when not given."""
    memory_mb: int | None = Field(default=None, ge=2048)
    """Memory in MiB; the machine's less 1 GiB when not given."""
    pids: int = Field(default=4096, ge=64)
    """Processes and threads."""


class Remote(Model):
    """Bazel's way out to other machines."""

    cache: str | None = Field(default=None, pattern=r"^(https?|grpcs?)://")
    """--remote_cache address."""
    executor: str | None = Field(default=None, pattern=r"^grpcs?://")
    """--remote_executor address."""


class Pipeline(Model):
    """What a user edits: pipeline.yaml."""

    format: Literal[1]
    """Version of this file's format."""
    release: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    """The release to build: the name of a file in releases/."""
    platforms: dict[str, Platform] = Field(min_length=1)
    """Targets by architecture (aarch64, x86_64)."""
    variants: list[Annotated[Variant, Field(strict=False)]] = Field(min_length=1)
    """Variants of libedgetpu to build; the first one is the bundle's default."""
    sample: Sample
    """What the bundle's smoke test runs."""
    models: dict[Name, BundledModel] = Field(default_factory=dict)
    """Models of yours that go into the bundle, by name."""
    output: str = "dist"
    """Folder for bundles and reports, relative to pipeline.yaml."""
    cache: str | None = None
    """Folder for downloads, sources and artifacts (default: CORALFORGE_CACHE, or ~/.cache/coralforge)."""
    mirrors: list[str] = Field(default_factory=list)
    """Folders or http(s) addresses that are asked first; --mirror and CORALFORGE_MIRROR come before them."""
    limits: Limits = Limits()
    """What a build container may use."""
    remote: Remote = Remote()
    """Remote cache and execution."""

    @field_validator("variants", mode="after")
    @classmethod
    def _unique(cls, value: list[Variant]) -> list[Variant]:
        if len(set(value)) != len(value):
            raise ValueError("a variant is listed twice")
        return value

    @field_validator("platforms", mode="after")
    @classmethod
    def _known(cls, value: dict[str, Platform]) -> dict[str, Platform]:
        for name in value:
            if name not in {a.value for a in Arch}:
                raise ValueError(f"unknown architecture {name!r}; known: {', '.join(a.value for a in Arch)}")
        return value
