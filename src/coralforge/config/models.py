"""The one source of the configuration's defaults, checks and documentation (pydantic 2).

``coralforge.config.schema`` writes the JSON schemas in docs/schema from these models.
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FORMAT = 1
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, lower-case hex")]
GitId = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="Git object id (SHA-1), lower-case hex")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.+-]{0,63}$")]


class Model(BaseModel):
    """Base of all configuration models: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Arch(str, Enum):
    """A target architecture, named as in ``uname -m``."""

    AARCH64 = "aarch64"
    X86_64 = "x86_64"

    @property
    def triple(self) -> str:
        """The GNU triple that names sysroots, bundles and toolchain files."""
        return f"{self.value}-linux-gnu"

    @property
    def debian(self) -> str:
        """Debian's name of the architecture."""
        return {"aarch64": "arm64", "x86_64": "amd64"}[self.value]


class Variant(str, Enum):
    """Which libedgetpu: maximum clock, reduced clock, or the simulated one."""

    DIRECT = "direct"
    THROTTLED = "throttled"
    SIMULATED = "simulated"

    @property
    def real(self) -> bool:
        """Whether it is built from libedgetpu's source and drives hardware."""
        return self is not Variant.SIMULATED


class Place(Model):
    """One place a source can be had from. Exactly one of ``url`` and ``debian`` is given."""

    url: str | None = None
    """An https (or http, file) address of the archive."""
    debian: str | None = None
    """A path below the Debian archive that this machine's own apt is configured for (``pool/...``)."""
    sha256: Sha256
    """Digest of the file."""
    size: int | None = Field(default=None, gt=0, le=2**32)
    """Size of the file in bytes; a larger answer is refused at once."""
    strip: int = Field(default=1, ge=0, le=4)
    """Leading path components that are removed when the archive is unpacked."""
    arch: Arch | None = Field(default=None, strict=False)
    """Only for this target architecture (binary packages)."""
    prebuilt: bool = False
    """True when this place has compiled files, not source; the manifest says so."""
    note: str = ""
    """What is different about this place; shown in the manifest."""

    @model_validator(mode="after")
    def _one_address(self) -> Place:
        if (self.url is None) == (self.debian is None):
            raise ValueError("give exactly one of 'url' and 'debian'")
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme not in ("https", "http", "file") or not parts.path:
                raise ValueError(f"{self.url!r} is not an https, http or file address")
        if self.debian is not None:
            path = PurePosixPath(self.debian)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] != ("pool",):
                raise ValueError(f"{self.debian!r} is not a path below pool/")
        return self

    @property
    def address(self) -> str:
        """What names this place in messages."""
        return self.url if self.url is not None else f"debian:{self.debian}"

    @property
    def filename(self) -> str:
        """The file's name in a mirror folder: for a GitHub archive ``REPO-COMMIT.tar.gz``, as GitHub offers it."""
        path = urlsplit(self.url).path if self.url is not None else self.debian or ""
        parts = path.split("/")
        if len(parts) > 3 and "archive" in parts[2:] and not parts[-1].startswith(f"{parts[2]}-"):
            tag = re.sub(r"^v(?=\d)", "", parts[-1])
            return f"{parts[2]}-{tag}"
        return parts[-1]


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


class Target(str, Enum):
    """What a model is compiled for."""

    EDGETPU = "edgetpu"
    SIMULATOR = "simulator"
    CPU = "cpu"


class DataFile(Model):
    """A file of the user's, or one that is pinned and fetched. Exactly one of ``path`` and ``places`` is given."""

    path: str | None = Field(default=None, min_length=1)
    """A file (a SavedModel: a folder), relative to pipeline.yaml."""
    places: list[Place] = Field(default_factory=list)
    """Places in order of preference."""

    @model_validator(mode="after")
    def _one_origin(self) -> DataFile:
        if (self.path is None) == (not self.places):
            raise ValueError("give exactly one of 'path' and 'places'")
        return self

    @property
    def filename(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name if self.path is not None else self.places[0].filename


class Quantize(Model):
    """How a Keras model or SavedModel becomes a full-integer .tflite, as ``invoke quantize`` does it."""

    samples: str | None = Field(default=None, min_length=1)
    """Representative samples, relative to pipeline.yaml: image folder, .npz, .npy, or module:function."""
    random: int | None = Field(default=None, gt=0, le=10_000)
    """So many random samples instead, for trying out; report and manifest say so."""
    preprocess: str = Field(default="auto", min_length=1)
    """How pixels become the model's input (--preprocess of invoke quantize)."""
    io: Literal["uint8", "int8"] = "uint8"
    """Type of the model's inputs and outputs."""

    @model_validator(mode="after")
    def _one_kind(self) -> Quantize:
        if (self.samples is None) == (self.random is None):
            raise ValueError("give exactly one of 'samples' and 'random'")
        return self


class BundledModel(Model):
    """A model that goes into the bundle: quantized and compiled where that is stale, and run by the smoke test."""

    model: DataFile
    """A .tflite, .keras or .h5 file, or a SavedModel folder."""
    compiled: DataFile | None = None
    """What Google's compiler made of the .tflite beforehand; without it, the compiler is run."""
    quantize: Quantize | None = None
    """For everything but a .tflite, which has to be quantized already."""
    target: Annotated[Target, Field(strict=False)] = Target.EDGETPU
    """edgetpu: Google's compiler; simulator: for the simulated libedgetpu; cpu: not compiled."""
    min_mapped: float = Field(default=1.0, ge=0, le=1)
    """Smallest part of the operations that has to run on the Edge TPU; a model below it enters no bundle."""
    labels: DataFile | None = None
    """One label a line."""
    image: DataFile | None = None
    """A BMP or PPM image to classify."""
    expected: int | None = Field(default=None, ge=0)
    """Index of the top-1 class of the image."""
    licence: str = "NOASSERTION"
    """SPDX expression of the model."""

    @model_validator(mode="after")
    def _whole(self) -> BundledModel:
        given = [value is not None for value in (self.labels, self.image, self.expected)]
        if any(given) and not all(given):
            raise ValueError("'labels', 'image' and 'expected' belong together: give all three or none")
        if self.compiled is not None and (self.target is not Target.EDGETPU or self.quantize is not None):
            raise ValueError("'compiled' goes with 'target: edgetpu' and without 'quantize'")
        return self


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
