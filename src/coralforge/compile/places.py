"""Where compiled models, their logs and the JSON go; decided before the compiler runs for minutes."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.errors import CoralforgeError, user_error
from coralforge.util import atomic
from coralforge.util.paths import resolved, same_file, typed

_EXAMPLE = "for example --output my_edgetpu.tflite"


@dataclass(frozen=True)
class Places:
    """The files of one model: one for each segment, each with a .log beside it, and one JSON."""

    parts: tuple[Path, ...]
    document: Path

    @property
    def logs(self) -> tuple[Path, ...]:
        return tuple(part.with_suffix(".log") for part in self.parts)

    @property
    def all(self) -> tuple[Path, ...]:
        return (*self.parts, *self.logs, self.document)


def endings(segments: int) -> list[str]:
    """The endings that the compiler adds to the name ``X`` of an ``X.tflite``."""
    if segments == 1:
        return ["_edgetpu.tflite"]
    return [f"_segment_{number}_of_{segments}_edgetpu.tflite" for number in range(segments)]


def places_for(sources: Sequence[Path], segments: int, output: str | None, out_dir: str | None) -> tuple[Places, ...]:
    """The places for each source: ``--output``, or the compiler's names in ``--out-dir`` or beside the source.

    Raises:
        CoralforgeError: ``model-output``, ``model-write`` (exit code 2).
    """
    if output is not None:
        if out_dir is not None:
            raise _wrong("--output and --out-dir say different things", "give one of them")
        if len(sources) > 1 or segments > 1:
            raise _wrong("--output names one file, and there will be several", "give --out-dir")
        chosen = [_named(named(output))]
    else:
        folder = typed(out_dir) if out_dir is not None else None
        chosen = [_beside(source, folder or source.parent, segments) for source in sources]
    for places in chosen:
        require_folder(places.document.parent, create=out_dir is not None)
    require_apart(sources, [path for places in chosen for path in places.all])
    return tuple(chosen)


def named(output: str) -> Path:
    """The file that ``--output`` names.

    Raises:
        CoralforgeError: reason ``model-output``, exit code 2.
    """
    place = typed(output)
    if place.name in ("", ".."):
        raise _wrong(f"--output {output!r} is not the name of a file", _EXAMPLE)
    return place


def require_apart(sources: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Refuse to overwrite an input, one output with another, or what is no file.

    Raises:
        CoralforgeError: reason ``model-output`` or ``model-write``, exit code 2.
    """
    seen: set[Path] = set()
    for place in outputs:
        _require_free(place)
        if any(same_file(place, source) for source in sources):
            raise _wrong(f"the output {place} is the input", "choose another --output")
        if resolved(place) in seen:
            raise _wrong(
                f"two outputs would be {place}",
                "choose another --output, or compile the models into different folders",
            )
        seen.add(resolved(place))


def _require_free(place: Path) -> None:
    """Refuse a name that no file can have, or that a folder, a device or a pipe has, before the work."""
    try:
        if stat.S_ISDIR(place.lstat().st_mode):
            raise _wrong(f"the output {place} is a folder", _EXAMPLE)
        atomic.require_file(place)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unwritable(place, error) from error


def require_folder(folder: Path, create: bool) -> None:
    """Refuse a folder that cannot take files; with ``create``, make it if it is not there.

    Raises:
        CoralforgeError: reason ``model-write``, exit code 2.
    """
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(0, "it is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "it cannot be written to")
    except OSError as error:
        raise _unwritable(folder, error) from error


def _named(place: Path) -> Places:
    return Places((place,), place.with_suffix(".compile.json"))


def _beside(source: Path, folder: Path, segments: int) -> Places:
    parts = tuple(folder / f"{source.stem}{ending}" for ending in endings(segments))
    return Places(parts, folder / f"{source.stem}_edgetpu.compile.json")


def _unwritable(place: Path, error: OSError) -> CoralforgeError:
    return user_error(
        f"{place} cannot take the compiled model: {error.strerror}",
        reason="model-write",
        remedy="choose another --output or --out-dir",
    )


def _wrong(brief: str, remedy: str) -> CoralforgeError:
    return user_error(brief, reason="model-output", remedy=remedy)
