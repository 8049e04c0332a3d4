"""The file that users edit (pydantic 2): pipeline.yaml, but for its models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from coralforge.config.arch import Arch, Floor
from coralforge.config.base import Model, Name, Text, Variant
from coralforge.config.models import BundledModel, DataFile
from coralforge.config.remote import Remote


class Platform(Model):
    """A target, and its floor: how old the C and C++ libraries of its boards may be."""

    glibc: str | None = Field(default=None, pattern=r"^\d+\.\d+$")
    """No symbol may need a newer GLIBC than this; the architecture's own where it is not given."""
    glibcxx: str | None = Field(default=None, pattern=r"^\d+\.\d+\.\d+$")
    """No symbol may need a newer GLIBCXX than this; as above."""
    cxxabi: str | None = Field(default=None, pattern=r"^\d+\.\d+\.\d+$")
    """No symbol may need a newer CXXABI than this; as above."""

    def floor(self, arch: Arch) -> Floor:
        """The floor of the platform for ``arch``, with the architecture's own where nothing is said."""
        default = arch.row.floor
        return Floor(self.glibc or default.glibc, self.glibcxx or default.glibcxx, self.cxxabi or default.cxxabi)


class Sample(Model):
    """The model, labels and image that a bundle proves itself with on the board."""

    name: Name
    """The model's name, shown in reports."""
    licence: Text = "Apache-2.0"
    """SPDX expression of the files."""
    model: DataFile
    """A fully quantized classification model (.tflite)."""
    compiled: DataFile | None = None
    """The file that Google's compiler made of it: the smoke test runs it where there is an Edge TPU."""
    labels: DataFile
    """One label a line."""
    image: DataFile
    """A BMP image."""
    expected: int = Field(ge=0)
    """Index of the top-1 class of the image."""


class Limits(Model):
    """Limits of one build container."""

    cpus: int | None = Field(default=None, gt=0)
    """Processors; all of the machine's when not given."""
    memory_mb: int | None = Field(default=None, ge=2048)
    """Memory in MiB; the machine's less 1 GiB when not given."""
    pids: int = Field(default=4096, ge=64)
    """Processes and threads."""
    disk_cache_mb: int | None = Field(default=None, ge=16, le=1 << 30)
    """MiB of results of earlier builds that Bazel keeps beside the last one's, its disk cache; else none."""


class Cpu(Model):
    """TensorFlow Lite on the CPU: its kernels, and its operators."""

    xnnpack: Literal["off", "auto", "on"] = "off"
    """on: TensorFlow Lite's XNNPACK delegate is built too, as a library of its own; auto: where its source is."""
    ops: Literal["all", "selected"] = "all"
    """selected: TensorFlow Lite has only the operators that the bundle's models use."""

    @field_validator("xnnpack", mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        """YAML reads a plain ``on`` and ``off`` as a truth value."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class Pipeline(Model):
    """The file that users edit: pipeline.yaml."""

    format: Literal[1]
    """Version of this file's format."""
    release: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    """The release to build: the name of a file in releases/."""
    platforms: dict[str, Platform] = Field(min_length=1)
    """Targets, by architecture."""
    variants: list[Annotated[Variant, Field(strict=False)]] = Field(min_length=1)
    """Variants of libedgetpu to build; the first one is the bundle's default."""
    sample: Sample
    """The model that the bundle's smoke test runs."""
    models: dict[Name, BundledModel] = Field(default_factory=dict)
    """Models of yours that go into the bundle, by name."""
    output: Text = "dist"
    """Folder for bundles and reports, relative to pipeline.yaml."""
    cache: Text | None = None
    """Folder of the cache, empty or new (default: CORALFORGE_CACHE, or ~/.cache/coralforge)."""
    mirrors: list[Text] = Field(default_factory=list)
    """Folders or http(s) addresses that are asked first; --mirror and CORALFORGE_MIRROR come before them."""
    limits: Limits = Limits()
    """Limits of a build container."""
    cpu: Cpu = Cpu()
    """TensorFlow Lite on the CPU."""
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
            if name not in (known := [arch.value for arch in Arch]):
                raise ValueError(f"unknown architecture {name!r}; known: {', '.join(known)}")
        return value
