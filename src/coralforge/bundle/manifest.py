"""MANIFEST.json: what a bundle is made of, and the digest of every file in it.

Nothing in it depends on the time, the user, a path of the host or the id of an image: equal inputs give equal bytes.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from coralforge.config.arch import Arch
from coralforge.config.base import GitId, Model, Sha256, Variant
from coralforge.config.models import Target
from coralforge.errors import user_error
from coralforge.util.fingerprint import of_file

NAME = "MANIFEST.json"
REMOTE = "remote.json"
"""Beside the libraries that other machines helped to build: a ``RemoteUsed``."""
MAX_BYTES = 8 << 20


class SourceUsed(Model):
    """One source that went into the bundle."""

    name: str
    """Its name in the release file."""
    version: str
    """Upstream's version."""
    commit: GitId | None
    """Upstream's commit, where known."""
    digest: str
    """sha256: of the archive, or git-tree: of a local checkout."""
    address: str
    """The place that the release file names; never the mirror that answered."""
    pinned: bool
    """False for a local checkout that is not the pinned tree."""
    prebuilt: bool
    """True when compiled files were taken, not source."""
    note: str
    """A remark on what is different about this place."""
    licence: str
    """SPDX expression."""


class ModelUsed(Model):
    """A model of pipeline.yaml: the sample, or one in share/models/NAME."""

    name: str
    """Its name in pipeline.yaml."""
    licence: str
    """SPDX expression, as pipeline.yaml says."""
    source: str
    """Name of the file it was made from."""
    quantized: bool
    """Whether coralforge quantized it; otherwise it came as a .tflite."""
    random_samples: bool
    """Whether it was quantized with random samples: its answers then mean nothing."""
    agreement: float | None
    """Part of the held-out samples for which it gives the float model's best class; none where that is not known."""
    target: Target
    """The target that it is compiled for."""
    compiler: str
    """Which compiler made the compiled file; empty for none."""
    operations: int = Field(ge=0)
    """Operations of the model before it was compiled."""
    mapped: int = Field(ge=0)
    """How many of them run on the Edge TPU (or its simulator)."""
    min_runtime: int | None
    """The oldest runtime of libedgetpu that takes the compiled model; none where it is not for hardware."""
    checked: bool
    """Whether the smoke test can check its answer: labels, image and expected class are there."""


class File(Model):
    """A regular file."""

    sha256: Sha256
    """Digest of its bytes."""
    size: int = Field(ge=0)
    """Bytes."""
    mode: Literal["0644", "0755"]
    """Permissions."""


class Link(Model):
    """A symbolic link."""

    link: str
    """Its target, relative to the link."""


class RemoteUsed(Model):
    """Machines of others that had a part in building the libraries: what came from there was believed."""

    cache: str | None
    """Address of the cache whose results were taken."""
    executor: str | None
    """Address of what ran compilers elsewhere."""
    instance: str
    """Name of the server's instance; empty where it has none."""


class Manifest(Model):
    """The description of a bundle."""

    format: Literal[2]
    """Version of this file's format."""
    coralforge: str
    """Version of coralforge."""
    release: str
    """TensorFlow Lite's version."""
    tensorflow_commit: GitId
    """The commit that TensorFlow Lite and libedgetpu are both built against."""
    arch: Arch
    """The board's architecture."""
    triple: str
    """GNU triple of the board."""
    variants: list[Variant] = Field(min_length=1)
    """Variants of libedgetpu in lib/."""
    default_variant: Variant
    """The one that lib/libedgetpu.so.1 is."""
    simulated: bool
    """Whether the default variant is the simulated one, which drives no hardware."""
    floors: dict[str, str]
    """Newest symbol version that any file may need, by prefix; GLIBC is the board's oldest glibc."""
    xnnpack: bool = False
    """Whether TensorFlow Lite's XNNPACK delegate is in lib/."""
    operators: list[str] = Field(default_factory=list)
    """The only operators that TensorFlow Lite has, those of the bundle's models; empty where it has all."""
    toolchain: dict[str, JsonValue]
    """Compiler, linker, Bazel and sysroots, as the builder image says."""
    sources: list[SourceUsed]
    """Everything that was compiled or taken, by name."""
    unpinned: list[str]
    """Names of sources that are not what the release pins."""
    prebuilt: list[str]
    """Names of sources that came compiled."""
    not_verified: list[str]
    """Sentences on everything that nobody checked."""
    sample: ModelUsed
    """The model that the bundle proves itself with, in share/models itself."""
    models: list[ModelUsed]
    """The models of pipeline.yaml, by name."""
    remote: RemoteUsed | None = None
    """Where the libraries were built with others' machines; none: by the builder image of `toolchain` alone."""
    files: dict[str, File | Link]
    """Every file and link except this one."""


def files_of(folder: Path) -> dict[str, File | Link]:
    """Every file and symbolic link below ``folder`` except MANIFEST.json, by relative path. Raises OSError."""
    return {name: _entry(folder / name) for name in _names(folder) if name != NAME}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write MANIFEST.json: sorted keys, two spaces, a final newline."""
    data = manifest.model_dump(mode="json")
    (folder / NAME).write_text(
        json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def read_manifest(folder: Path) -> Manifest:
    """Read MANIFEST.json of an unpacked bundle.

    Raises:
        CoralforgeError: reason ``bundle-manifest``, exit code 2: it is missing, damaged or of another format.
    """
    path = folder / NAME
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is a link, or larger than {MAX_BYTES} bytes")
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise user_error(
            f"{folder.name} is not a bundle that this coralforge can read",
            reason="bundle-manifest",
            details=f"{NAME}: {_first(error)}",
            remedy="make the bundle again with `invoke bundle`, or use the coralforge version that made it",
        ) from error


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        item = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in item['loc']) or 'the file'}: {item['msg']}"
    return str(error)


def verify(folder: Path) -> list[str]:
    """Differences between a folder and its MANIFEST.json: changed, missing and extra files, one sentence each.

    Of the mode only the executable bit counts: unpacking applies the user's umask. Raises as ``read_manifest``.
    """
    expected = read_manifest(folder).files
    found = files_of(folder)
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not in {NAME}" for name in found if name not in expected]
    for name, entry in expected.items():
        if name in found and found[name] != entry:
            problems.append(f"{name} {_difference(entry, found[name])}")
    return sorted(problems)


def _difference(expected: File | Link, found: File | Link) -> str:
    if isinstance(expected, Link):
        return f"should be a link to {expected.link}"
    if isinstance(found, Link):
        return f"should be a file, not a link to {found.link}"
    if (expected.sha256, expected.size) != (found.sha256, found.size):
        now, then = f"{found.size} bytes, {found.sha256[:12]}", f"{expected.size} bytes, {expected.sha256[:12]}"
        return f"has changed (now {now}; was {then})"
    return f"should have mode {expected.mode}"


def _names(folder: Path) -> Iterator[str]:
    """Relative paths of everything that is not a real folder, sorted by bytes."""
    names = []
    for top, folders, files in os.walk(folder):
        links = [name for name in folders if Path(top, name).is_symlink()]
        names += [Path(top, name).relative_to(folder).as_posix() for name in [*files, *links]]
    yield from sorted(names, key=os.fsencode)


def _entry(path: Path) -> File | Link:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Link(link=str(path.readlink()))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is neither a file nor a link")
    return File(sha256=of_file(path), size=status.st_size, mode="0755" if status.st_mode & 0o100 else "0644")
