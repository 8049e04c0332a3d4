"""The software bill of materials of a bundle, in CycloneDX 1.6 (JSON), made by cyclonedx-python-lib.

Sources that are compiled in are libraries; compiler and sysroots are marked as tools of the build; every file of the
bundle is there with its digest. Equal inputs give equal bytes: the time is that of the commit.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pydantic import JsonValue

from coralforge.bundle.manifest import File, Manifest
from coralforge.publish.origin import Origin

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's for URLs
ROLE = "coralforge:role"
"""Name of the property that says why a component is listed: source, toolchain or file."""


def write_sbom(manifest: Manifest, digest: str, origin: Origin) -> bytes:
    """The SBOM of the bundle with that manifest.

    Args:
        digest: SHA-256 of the bundle's archive, hexadecimal.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    bom = Bom()
    bom.serial_number = uuid.uuid5(_NAMESPACE, f"sha256:{digest}")
    bom.metadata.timestamp = datetime.fromtimestamp(origin.seconds, timezone.utc)
    bom.metadata.component = Component(
        type=ComponentType.FRAMEWORK,
        name="coralforge-bundle",
        version=f"{manifest.coralforge}+tflite.{manifest.release}",
        bom_ref="bundle",
        description=f"{manifest.triple}, {', '.join(v.value for v in manifest.variants)}",
        hashes=[_sha256(digest)],
    )
    for component in (*_sources(manifest), *_tools(manifest), *_files(manifest)):
        bom.components.add(component)
    bom.register_dependency(bom.metadata.component, [c for c in bom.components if _role(c) == "source"])
    text = json.loads(JsonV1Dot6(bom).output_as_string())
    return (json.dumps(text, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def file_digests(sbom: JsonValue) -> dict[str, str]:
    """Digest of each file of the bundle, by relative path, as an SBOM says. Raises KeyError and TypeError."""
    return {name: digest for role, name, digest in _listed(sbom) if role == "file"}


def source_digests(sbom: JsonValue) -> dict[str, str]:
    """Digest of each source, by name, as an SBOM says. Raises as :func:`file_digests`."""
    return {name: digest for role, name, digest in _listed(sbom) if role == "source"}


def bundle_digest(sbom: JsonValue) -> str:
    """Digest of the archive that an SBOM describes. Raises as :func:`file_digests`."""
    return str(sbom["metadata"]["component"]["hashes"][0]["content"])  # type: ignore[index,call-overload]


def _listed(sbom: JsonValue) -> Iterator[tuple[str, str, str]]:
    components: list[dict[str, object]] = sbom["components"]  # type: ignore[index,call-overload,assignment]
    for component in components:
        said = {p["name"]: p["value"] for p in component.get("properties", ())}  # type: ignore[attr-defined]
        hashes: list[dict[str, str]] = component.get("hashes", [])  # type: ignore[assignment]
        digest = hashes[0]["content"] if hashes else str(said.get("coralforge:digest", ""))
        yield str(said.get(ROLE, "")), str(component["name"]), digest


def _sources(manifest: Manifest) -> Iterator[Component]:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    for source in manifest.sources:
        kind, _, value = source.digest.partition(":")
        properties = [Property(name=ROLE, value="source"), Property(name="coralforge:digest", value=source.digest)]
        properties += [Property(name="coralforge:pinned", value=str(source.pinned).lower())]
        yield Component(
            type=ComponentType.LIBRARY,
            name=source.name,
            version=source.version,
            bom_ref=f"source:{source.name}",
            description=source.note or None,
            licenses=[LicenseFactory().make_from_string(source.licence)],
            hashes=[_sha256(value)] if kind == "sha256" else [],
            purl=PackageURL("generic", name=source.name, version=source.commit or source.version),
            external_references=[
                ExternalReference(type=ExternalReferenceType.SOURCE_DISTRIBUTION, url=XsUri(source.address))
            ],
            properties=properties,
        )


def _tools(manifest: Manifest) -> Iterator[Component]:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    for name, version, where in _packages(manifest):
        yield Component(
            type=ComponentType.APPLICATION if where == "compiler" else ComponentType.LIBRARY,
            name=name,
            version=version,
            scope=ComponentScope.EXCLUDED,
            bom_ref=f"toolchain:{where}:{name}",
            purl=PackageURL("deb", namespace="debian", name=name, version=version),
            properties=[Property(name=ROLE, value="toolchain"), Property(name="coralforge:part", value=where)],
        )


def _packages(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Name, version and part of each package of the builder image; of the sysroots only the bundle's own."""
    sysroots = manifest.toolchain.get("sysroots")
    own = sysroots.get(manifest.triple) if isinstance(sysroots, dict) else None
    parts = {
        "compiler": manifest.toolchain.get("compiler"),
        "sysroot": own.get("packages") if isinstance(own, dict) else None,
        "unpinned": manifest.toolchain.get("unpinned"),
    }
    for part, packages in parts.items():
        if isinstance(packages, dict):
            yield from ((name, str(version), part) for name, version in packages.items())


def _files(manifest: Manifest) -> Iterator[Component]:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    for name, entry in manifest.files.items():
        if isinstance(entry, File):
            yield Component(
                type=ComponentType.FILE,
                name=name,
                bom_ref=f"file:{name}",
                hashes=[_sha256(entry.sha256)],
                properties=[Property(name=ROLE, value="file")],
            )


def _role(component: Component) -> str | None:
    return next((p.value for p in component.properties if p.name == ROLE), None)


def _sha256(digest: str) -> HashType:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
