"""Makes the parts of a release, one for each platform, and what stands for all of them together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge import __version__
from coralforge.bundle.manifest import Manifest
from coralforge.bundle.peek import packed_manifest
from coralforge.errors import CoralforgeError, gate_error, user_error
from coralforge.events import Note, Sink
from coralforge.pipeline.executor import run_plan
from coralforge.plan import Stage
from coralforge.publish.changelog import section
from coralforge.publish.difference import differing, same
from coralforge.publish.names import (
    ARCHIVE,
    DEBUG,
    INSTALLER,
    LATEST,
    NOTES,
    PROVENANCE,
    SBOM,
    SIGNATURE,
    SUMS,
    PartName,
    beside,
)
from coralforge.publish.origin import Origin
from coralforge.publish.provenance import write_provenance
from coralforge.publish.sbom import write_sbom
from coralforge.publish.sign import sign
from coralforge.publish.verify import papers, read_statement
from coralforge.settings import Cache, Settings, without_remote
from coralforge.util import atomic
from coralforge.util.fingerprint import of_file
from coralforge.util.scratch import scratch


@dataclass(frozen=True)
class Part:
    """One platform's bundle in the folder of a release."""

    archive: Path
    digest: str
    manifest: Manifest
    debug: Path
    """The archive of its debug symbols."""
    packages: tuple[Path, ...]
    """The Debian packages of the bundle."""


@dataclass(frozen=True)
class Products:
    """The files that a build makes for a release: the bundle, its debug symbols, and the Debian packages of it."""

    archive: Path
    debug: Path
    packages: tuple[Path, ...]

    @property
    def others(self) -> tuple[Path, ...]:
        """All but the bundle."""
        return (self.debug, *self.packages)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file but the bundle, by its name."""
        return {path.name: of_file(path) for path in self.others}


def make_part(settings: Settings, origin: Origin, folder: Path, sink: Sink, twice: bool = False) -> Part:
    """Build one platform's bundle and what belongs to it, and put them into ``folder`` with SBOM and provenance.

    Bundle and debug symbols get a release's name; packages have theirs.

    Args:
        twice: build all again, with an empty cache, and refuse it unless both have the same bytes.

    Raises:
        CoralforgeError: as ``run_plan``; with ``twice`` ``release-differs``, exit code 6.
    """
    built = build_products(settings, sink)
    digest = of_file(built.archive)
    manifest = _manifest(built.archive)
    if twice:
        _build_again(settings, built, sink)
    archive = folder / f"{PartName.of(manifest)}{ARCHIVE}"
    debug = beside(archive, DEBUG)
    places = [archive, debug, *(folder / path.name for path in built.packages)]
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(*places) as copies:
        for source, copy in zip((built.archive, *built.others), copies, strict=True):
            shutil.copyfile(source, copy)
    subjects = {archive.name: digest} | {path.name: of_file(path) for path in places[1:]}
    atomic.write_all(
        {
            beside(archive, SBOM): write_sbom(manifest, digest, origin),
            beside(archive, PROVENANCE): write_provenance(subjects, manifest, settings.toolchain, origin),
        }
    )
    return Part(archive, digest, manifest, debug, tuple(places[2:]))


def finish(folder: Path, project: Path, origin: Origin, key: Path | None) -> tuple[Part, ...]:
    """Complete a release's folder: notes, installer, latest.json, SHA256SUMS, and with ``key`` its signature.

    Every bundle in it must have been made by this version from this commit, and have its SBOM and provenance; and
    there must be nothing else, since all of it will be signed and published.

    Raises:
        CoralforgeError: ``release-parts``, ``release-changelog``, ``sign-key``, exit code 2.
    """
    parts = tuple(_parts(folder, origin))
    if not parts:
        raise user_error(
            f"{folder} has no bundle of version {__version__}",
            reason="release-parts",
            remedy="run invoke release, or invoke release --arch ARCH for each part",
        )
    _require_no_others(folder, parts)
    (folder / SIGNATURE).unlink(missing_ok=True)  # that of other digests
    atomic.write_all(
        {
            folder / NOTES: section(project / "CHANGELOG.md", __version__).encode(),
            folder / INSTALLER: (project / "scripts" / INSTALLER).read_bytes(),
            folder / LATEST: _latest(parts, origin),
        }
    )
    (folder / INSTALLER).chmod(0o755)
    listed = sorted(p for p in folder.iterdir() if p.is_file() and p.name not in (SUMS, SIGNATURE))
    atomic.write(folder / SUMS, "".join(f"{of_file(path)}  {path.name}\n" for path in listed).encode())
    if key is not None:
        sign(folder / SUMS, key)
    return parts


def _parts(folder: Path, origin: Origin) -> Iterator[Part]:
    for archive in sorted(path for path in folder.glob(f"*{ARCHIVE}") if not path.name.endswith(DEBUG)):
        manifest = packed_manifest(archive)
        wanted = f"{PartName.of(manifest)}{ARCHIVE}" if manifest else "the name of a bundle"
        lacking = [place.name for end in (SBOM, PROVENANCE) if not (place := beside(archive, end)).is_file()]
        digest = of_file(archive)
        if lacking:
            raise _no_part(archive, f"missing: {', '.join(lacking)}")
        if manifest is None or archive.name != wanted or manifest.coralforge != __version__:
            raise _no_part(archive, f"by its content it is {wanted}")
        if wrong := _wrong_papers(archive, digest, manifest, origin):
            raise _no_part(archive, wrong)
        others, wrong = _others(archive, digest)
        if wrong:
            raise _no_part(archive, wrong)
        debug = beside(archive, DEBUG)
        yield Part(archive, digest, manifest, debug, tuple(path for path in others if path != debug))


def _others(archive: Path, digest: str) -> tuple[tuple[Path, ...], str]:
    """The files of a part beside its bundle, by its provenance; and the fault of one, empty where there is none."""
    subjects = (one for one in read_statement(archive).subject if one.digest.sha256 != digest)
    said = {one.name or "": one.digest.sha256 for one in subjects}
    wrong = [name for name, wanted in said.items() if not _is_there(archive.parent, name, wanted)]
    if wrong:
        return (), f"missing, or not as its provenance says: {', '.join(wrong)}"
    if beside(archive, DEBUG).name not in said:
        return (), "its provenance names no debug symbols"
    return tuple(archive.with_name(name) for name in said), ""


def _is_there(folder: Path, name: str, digest: str | None) -> bool:
    return Path(name).name == name.strip() != "" and (folder / name).is_file() and of_file(folder / name) == digest


def _no_part(archive: Path, details: str) -> CoralforgeError:
    return user_error(
        f"{archive} is no part of release {__version__}",
        reason="release-parts",
        details=details,
        remedy="remove it, or make it again with `invoke release`",
    )


def _wrong_papers(archive: Path, digest: str, manifest: Manifest, origin: Origin) -> str:
    """The fault of a part's SBOM or provenance, which may be those of an earlier build; empty where there is none."""
    if wrong := [str(check) for check in papers(archive, manifest, digest) if not check.good]:
        return "\n".join(wrong)
    commit = read_statement(archive).commit or ""
    if commit != origin.commit:
        return f"it was built from commit {commit or 'unknown'}, this checkout is at {origin.commit or 'none'}"
    return ""


def _require_no_others(folder: Path, parts: Sequence[Part]) -> None:
    own = {SUMS, SIGNATURE, LATEST, NOTES, INSTALLER}
    own |= {beside(part.archive, end).name for part in parts for end in (ARCHIVE, DEBUG, SBOM, PROVENANCE)}
    own |= {path.name for part in parts for path in part.packages}
    if others := sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in own):
        raise user_error(
            f"{folder} has more in it than a release",
            reason="release-parts",
            details="\n".join(others[:10]),
            remedy="remove these files, or give a folder of its own with --dest: all in it would be published",
        )


def _latest(parts: Sequence[Part], origin: Origin) -> bytes:
    """For scripts that download: which bundle is for which board."""
    data = {
        "format": 1,
        "version": __version__,
        "commit": origin.commit or None,
        "bundles": [
            {
                "name": part.archive.name,
                "arch": part.manifest.arch.value,
                "triple": part.manifest.triple,
                "tflite": part.manifest.release,
                "glibc": part.manifest.floors.get("GLIBC"),
                "variants": [variant.value for variant in part.manifest.variants],
                "simulated": part.manifest.simulated,
                "sha256": part.digest,
                "size": part.archive.stat().st_size,
                "debug": _listed(part.debug),
                "packages": [_listed(path) for path in part.packages],
            }
            for part in parts
        ],
    }
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def _listed(path: Path) -> dict[str, object]:
    return {"name": path.name, "sha256": of_file(path), "size": path.stat().st_size}


def build_bundle(settings: Settings, sink: Sink) -> Path:
    """The archive of the bundle in the cache, built where it is not there. Raises as ``run_plan``."""
    place = run_plan(settings, Stage.BUNDLE, sink).places[Stage.BUNDLE]
    return place / f"{settings.bundle_name}{ARCHIVE}"


def build_products(settings: Settings, sink: Sink) -> Products:
    """All that a release has of one platform, in the cache, built where it is not there. Raises as ``run_plan``."""
    places = run_plan(settings, Stage.DEB, sink).places
    packages = tuple(sorted(places[Stage.DEB].glob("*.deb")))
    archive = places[Stage.BUNDLE] / f"{settings.bundle_name}{ARCHIVE}"
    return Products(archive, beside(archive, DEBUG), packages)


def _manifest(archive: Path) -> Manifest:
    manifest = packed_manifest(archive)
    if manifest is None:
        raise AssertionError(f"{archive} was just made and has no manifest")
    return manifest


def _build_again(settings: Settings, built: Products, sink: Sink) -> None:
    with fresh_cache(settings) as fresh:
        again = build_products(fresh, sink)
        different = [] if same(built.archive, again.archive) else differing(built.archive, again.archive)
        first, second = built.digests(), again.digests()
        different += [f"{name} differs" for name in first if first[name] != second.get(name)]
        if different:
            raise gate_error(
                f"{built.archive.name} or what belongs to it has other bytes when it is built a second time",
                reason="release-differs",
                details="\n".join(different[:20]),
                remedy="run invoke clean and try again; if it stays so, it is a bug in coralforge: please report it",
            )
    said = f"{built.archive.name}, its debug symbols and {len(built.packages)} Debian packages"
    sink.emit(Note(f"{said}: built twice, the second time with an empty cache: the same bytes"))


@contextmanager
def fresh_cache(settings: Settings) -> Iterator[Settings]:
    """The same settings with a cache that holds downloads and nothing else, and without ``remote:``.

    It is removed at the end. The builder image is not made again: its name is the digest of all that goes into it.
    """
    with scratch(settings.cache.work, "again") as folder:
        cache = Cache(folder / "cache")
        # Each is a file in a folder named by its digest. Without them a source might come from another place.
        shutil.copytree(settings.cache.downloads, cache.downloads, copy_function=os.link)
        yield replace(without_remote(settings), cache=cache)
