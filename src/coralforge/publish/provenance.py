"""Where a bundle comes from, as an in-toto Statement v1 with SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance).

It claims SLSA Build L1 and no more: whoever has the signing key can have written it. What GitHub's own attestation
adds is beside it, not in it. Equal inputs on the same builder give equal bytes: it has no time in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationError

from coralforge.bundle.manifest import Manifest, RemoteUsed
from coralforge.config.arch import Arch
from coralforge.config.base import Model, Sha256, Variant
from coralforge.config.toolchain import Toolchain
from coralforge.publish.origin import Origin

MAX_BYTES = 1 << 20


class Digest(Model):
    """Digests of one artifact; those that are known."""

    sha256: Sha256 | None = None
    gitCommit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    gitTree: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")


class Resource(Model):
    """in-toto's ResourceDescriptor."""

    name: str
    uri: str | None = None
    digest: Digest
    annotations: dict[str, str] | None = None


class Parameters(Model):
    """The user's choices: what ``invoke bundle`` was told."""

    arch: Arch
    release: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    variants: list[Variant] = Field(min_length=1)


class Internal(Model):
    """The builder's own choices."""

    coralforge: str
    toolchain: str
    """Digest of compiler and sysroots, from the builder image."""
    remote: RemoteUsed | None = None
    """Machines beside the builder's own that had a part in it."""


class Definition(Model):
    """SLSA's buildDefinition."""

    buildType: Literal["urn:coralforge:bundle:1"]
    externalParameters: Parameters
    internalParameters: Internal
    resolvedDependencies: list[Resource]


class Builder(Model):
    """The program that ran the build, by its URI."""

    id: str


class RunDetails(Model):
    """SLSA's runDetails."""

    builder: Builder


class Predicate(Model):
    """SLSA Provenance v1."""

    buildDefinition: Definition
    runDetails: RunDetails


class Statement(Model):
    """The whole file."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Resource] = Field(min_length=1)
    predicateType: Literal["https://slsa.dev/provenance/v1"]
    predicate: Predicate

    @property
    def parameters(self) -> Parameters:
        """The choices that the bundle was built with."""
        return self.predicate.buildDefinition.externalParameters

    @property
    def commit(self) -> str | None:
        """The commit of coralforge."""
        own = (d for d in self.predicate.buildDefinition.resolvedDependencies if d.name == "coralforge")
        return next((d.digest.gitCommit for d in own), None)


def write_provenance(subjects: Mapping[str, str], manifest: Manifest, toolchain: Toolchain, origin: Origin) -> bytes:
    """The statement on the files of a part, the bundle and its packages: by name, their SHA-256."""
    definition = Definition(
        buildType="urn:coralforge:bundle:1",
        externalParameters=Parameters(arch=manifest.arch, release=manifest.release, variants=manifest.variants),
        internalParameters=Internal(
            coralforge=manifest.coralforge,
            toolchain=str(manifest.toolchain.get("digest", "")),
            remote=manifest.remote,
        ),
        resolvedDependencies=[_project(origin), *_sources(manifest), *_packages(manifest, toolchain)],
    )
    statement = Statement(
        _type="https://in-toto.io/Statement/v1",
        subject=[Resource(name=name, digest=Digest(sha256=digest)) for name, digest in subjects.items()],
        predicateType="https://slsa.dev/provenance/v1",
        predicate=Predicate(buildDefinition=definition, runDetails=RunDetails(builder=Builder(id=origin.builder))),
    )
    data = statement.model_dump(mode="json", by_alias=True, exclude_none=True)
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_provenance(text: bytes) -> Statement:
    """Read a statement of ours. Raises ValueError with one sentence."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        return Statement.model_validate_json(text)
    except ValidationError as error:
        item = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(str(part) for part in item['loc']) or 'the file'}: {item['msg']}") from error


def _project(origin: Origin) -> Resource:
    note = {"changed": "files differed from the commit"} if origin.changed else None
    return Resource(name="coralforge", digest=Digest(gitCommit=origin.commit or None), annotations=note)


def _sources(manifest: Manifest) -> list[Resource]:
    found = []
    for source in manifest.sources:
        kind, _, value = source.digest.partition(":")
        digest = Digest(sha256=value) if kind == "sha256" else Digest(gitTree=value)
        note = None if source.pinned else {"pinned": "no: a local checkout that is not what the release pins"}
        found.append(Resource(name=source.name, uri=source.address, digest=digest, annotations=note))
    return found


def _packages(manifest: Manifest, toolchain: Toolchain) -> list[Resource]:
    places = [*toolchain.compiler, *toolchain.sysroots[manifest.arch.value].packages]
    return [
        Resource(name=place.address.rpartition("/")[2], uri=place.address, digest=Digest(sha256=place.sha256))
        for place in places
    ]
