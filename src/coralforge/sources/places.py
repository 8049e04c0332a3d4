"""Which addresses to try for a source, in order. Pure, but for a look whether a mirror folder exists."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from coralforge.config.base import Place
from coralforge.errors import user_error
from coralforge.sources.records import Candidate, Wanted
from coralforge.util.paths import typed

_SAFE = "/~+"


def applicable(wanted: Wanted) -> list[Place]:
    """The places of the source that fit the architecture, in order of preference."""
    return [place for place in wanted.source.places if place.arch in (None, wanted.arch)]


def file_name(place: Place) -> str:
    """The file's name in the download cache and in mirrors; never empty and never a path."""
    name = PurePosixPath(place.filename).name
    return name if name not in ("", ".", "..") else place.sha256


def candidates(
    wanted: Wanted, mirrors: Sequence[str], archive: Callable[[], str | None], snapshots: str | None = None
) -> Iterator[Candidate]:
    """Every address worth trying: all mirrors first, as the user asked for them, then the places themselves.

    A place in the Debian archive has the address ``debian:pool/...`` where ``archive`` knows none; it is asked only
    when the mirrors are tried. Last come the places in ``snapshots``, an archive of Debian's archive as it was.

    Raises:
        CoralforgeError: at once, ``mirror-missing`` (no such folder) or ``mirror-invalid``; exit code 2.
    """
    places = applicable(wanted)
    mirrored = [
        Candidate(place, address) for mirror in mirrors for place in places for address in _in_mirror(mirror, place)
    ]

    def themselves() -> Iterator[Candidate]:
        for place in places:
            yield Candidate(place, _origin(place, archive))
        for place in places:
            if place.snapshot and snapshots is not None:
                yield Candidate(place, _below(f"{snapshots}/{place.snapshot}", place))

    return _once_each(itertools.chain(mirrored, themselves()))


def _once_each(found: Iterable[Candidate]) -> Iterator[Candidate]:
    seen = set()
    for candidate in found:
        key = (candidate.address, candidate.place.sha256)
        if key not in seen:
            seen.add(key)
            yield candidate


def local_path(address: str) -> Path | None:
    """The path behind a ``file://`` address or an absolute path; None for http(s) and ``debian:`` addresses."""
    if address.startswith("/"):
        return Path(address)
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _origin(place: Place, archive: Callable[[], str | None]) -> str:
    if place.url is not None:
        return place.url
    base = archive()
    return place.address if base is None else _below(base.rstrip("/"), place)


def _below(archive: str, place: Place) -> str:
    return f"{archive}/{quote(place.debian or '', safe=_SAFE)}"


def _in_mirror(mirror: str, place: Place) -> list[str]:
    """The file's addresses in one mirror: its offered name, the last component of its address, its digest."""
    last = unquote(PurePosixPath(urlsplit(place.url).path if place.url else place.debian or "").name)
    names = dict.fromkeys(name for name in (file_name(place), last, place.sha256) if name not in ("", ".", ".."))
    if urlsplit(mirror).scheme in ("http", "https"):
        return [f"{mirror.rstrip('/')}/{quote(name, safe=_SAFE)}" for name in names]
    folder = _folder(mirror)
    return [str(folder / name) for name in names]


def _folder(mirror: str) -> Path:
    if "://" in mirror and not mirror.startswith("file://"):
        raise user_error(
            f"the mirror {mirror!r} is neither a folder nor an http(s) address",
            reason="mirror-invalid",
            remedy="give --mirror a folder, or an address that file names can be appended to",
        )
    folder = (local_path(mirror) or typed(mirror)).absolute()
    if not folder.is_dir():
        raise user_error(
            f"the mirror folder {folder} does not exist",
            reason="mirror-missing",
            remedy="create it, or correct --mirror, CORALFORGE_MIRROR or 'mirrors' in pipeline.yaml",
        )
    return folder
