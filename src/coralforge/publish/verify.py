"""Holds a bundle against all that came with it: digests, signature, manifest, SBOM and provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coralforge.bundle.manifest import File, Manifest, read_manifest
from coralforge.bundle.manifest import verify as verify_files
from coralforge.errors import CoralforgeError
from coralforge.publish.names import PROVENANCE, SBOM, SIGNATURE, SUMS, beside
from coralforge.publish.provenance import MAX_BYTES, Statement, read_provenance
from coralforge.publish.sbom import bundle_digest, file_digests, source_digests
from coralforge.publish.sign import signer
from coralforge.sources.unpack import unpack
from coralforge.util.fingerprint import of_file
from coralforge.util.scratch import scratch

_MAX_SBOM = 16 << 20
_MAX_SUMS = 1 << 20
_LONGEST = 1000  # characters


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ``good`` is None where it could not be: nothing to compare with."""

    name: str
    good: bool | None
    said: str

    def __str__(self) -> str:
        word = {True: "ok", False: "WRONG", None: "not verified"}[self.good]
        said = "".join(c if c.isprintable() else "?" for c in self.said)  # the words of whoever made the files
        return f"{self.name}: {word}: {said[:_LONGEST]}"


def verify(archive: Path, work: Path, signers: Path | None) -> tuple[Check, ...]:
    """Check one bundle; what is not beside it is said to be not verified.

    Args:
        work: folder for what is unpacked; nothing stays there.
        signers: OpenSSH's file of allowed signers (ssh-keygen(1)); None: a signature is not checked.

    Raises:
        CoralforgeError: ``ssh-missing``, ``no-space`` (exit code 3).
    """
    digest = of_file(archive)
    checks = [_digest(archive, digest), _signature(archive, signers)]
    with scratch(work, "verify") as place:
        folder = place / "bundle"
        try:
            unpack(archive, folder, 1)
            manifest = read_manifest(folder)
            problems = verify_files(folder)
        except CoralforgeError as error:
            said = "; ".join(part for part in (error.brief, error.details) if part)
            return (*checks, Check("content", False, said))
    checks.append(_content(manifest, problems))
    return (*checks, *(_as_listed(archive, check) for check in papers(archive, manifest, digest)))


def papers(archive: Path, manifest: Manifest, digest: str) -> tuple[Check, ...]:
    """The checks of SBOM and provenance beside a bundle with that manifest and SHA-256."""
    return (*_sbom(beside(archive, SBOM), manifest, digest), *_provenance(archive, manifest, digest))


def read_statement(archive: Path) -> Statement:
    """The provenance beside a bundle. Raises OSError and ValueError."""
    return read_provenance(_bounded(beside(archive, PROVENANCE), MAX_BYTES))


def _digest(archive: Path, digest: str) -> Check:
    name = "digest"
    for place in (archive.with_name(SUMS), archive.with_name(f"{archive.name}.sha256")):
        if not place.is_file():
            continue
        try:
            said = _sums(place).get(archive.name)
        except (OSError, ValueError) as error:
            return Check(name, False, f"{place.name} cannot be read: {error}")
        if said is None:
            return Check(name, False, f"{place.name} does not name {archive.name}")
        return Check(name, said == digest, f"sha256 {digest[:16]}..., {place.name} says {said[:16]}...")
    return Check(name, None, f"neither {SUMS} nor {archive.name}.sha256 is beside it")


def _sums(place: Path) -> dict[str, str]:
    """Digests by file name, as sha256sum writes them. Raises OSError and ValueError."""
    lines = _bounded(place, _MAX_SUMS).decode("utf-8", "replace").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines)
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def _signature(archive: Path, signers: Path | None) -> Check:
    name = "signature"
    sums, signature = archive.with_name(SUMS), archive.with_name(SIGNATURE)
    if signers is None:
        return Check(name, None, "no --signers FILE was given")
    if not (sums.is_file() and signature.is_file()):
        return Check(name, False, f"{SUMS} and {SIGNATURE} are wanted beside the bundle")
    if sums.stat().st_size > _MAX_SUMS:
        return Check(name, False, f"{SUMS} is larger than {_MAX_SUMS} bytes")
    who = signer(sums, signature, signers)
    if who is None:
        return Check(name, False, f"nobody in {signers} signed {SUMS}")
    return Check(name, True, f"{who} signed {SUMS}")


def _content(manifest: Manifest, problems: list[str]) -> Check:
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        return Check("content", False, "; ".join(problems[:3]) + more)
    return Check("content", True, f"{len(manifest.files)} files are as its MANIFEST.json says")


def _as_listed(archive: Path, check: Check) -> Check:
    """A check of ``papers`` that went well, if the file is also the one of SHA256SUMS, which is what was signed."""
    place = beside(archive, {"SBOM": SBOM, "provenance": PROVENANCE}[check.name])
    sums = archive.with_name(SUMS)
    if not check.good or not sums.is_file():
        return check
    try:
        if _sums(sums).get(place.name) == of_file(place):
            return check
    except (OSError, ValueError):
        pass  # said by the check of the digest
    return Check(check.name, False, f"{place.name} is not the file that {SUMS} says")


def _sbom(place: Path, manifest: Manifest, digest: str) -> Iterator[Check]:
    if not place.is_file():
        yield Check("SBOM", None, f"{place.name} is not beside it")
        return
    try:
        data = json.loads(_bounded(place, _MAX_SBOM))
        of, files, sources = bundle_digest(data), file_digests(data), source_digests(data)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        yield Check("SBOM", False, f"{place.name} cannot be read: {type(error).__name__}")
        return
    facts = [] if of == digest else ["it describes another bundle"]
    has = {name: entry.sha256 for name, entry in manifest.files.items() if isinstance(entry, File)}
    facts += _unequal("file", has, files)
    facts += _unequal("source", {s.name: s.digest.removeprefix("sha256:") for s in manifest.sources}, sources)
    yield Check("SBOM", not facts, "; ".join(facts[:3]) or f"{len(files)} files and {len(sources)} sources agree")


def _unequal(what: str, has: dict[str, str], said: dict[str, str]) -> list[str]:
    names = sorted(name for name in has.keys() | said.keys() if has.get(name) != said.get(name))
    return [f"{what} {name} is not as it says" for name in names]


def _provenance(archive: Path, manifest: Manifest, digest: str) -> Iterator[Check]:
    name = "provenance"
    place = beside(archive, PROVENANCE)
    if not place.is_file():
        yield Check(name, None, f"{place.name} is not beside it")
        return
    try:
        statement = read_statement(archive)
    except (OSError, ValueError) as error:
        yield Check(name, False, f"{place.name} cannot be read: {error}")
        return
    facts = []
    if all(subject.digest.sha256 != digest for subject in statement.subject):
        facts.append("it is of another bundle")
    said = statement.parameters
    if (said.arch, said.release, said.variants) != (manifest.arch, manifest.release, manifest.variants):
        facts.append("it says other parameters than the manifest")
    builder = statement.predicate.runDetails.builder.id
    commit = statement.commit or "an unknown commit"
    yield Check(name, not facts, "; ".join(facts) or f"built by {builder} from {commit[:16]} (SLSA Build L1)")


def _bounded(place: Path, limit: int) -> bytes:
    if place.stat().st_size > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    return place.read_bytes()
