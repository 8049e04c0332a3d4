"""A model in a zip archive, as Teachable Machine and other tools hand it out. It stays packed on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coralforge.errors import user_error
from coralforge.tflite.foreign_kinds import shown
from coralforge.tflite.zips import BadZip, member, opened

_LABELS = 4 << 20  # bytes
_NAMES = ("labels.txt", "label.txt", "labelmap.txt", "dict.txt", "classes.txt")


@dataclass(frozen=True)
class Given:
    """The bytes of a model, its name in the archive that it came in, and labels that lay beside it there."""

    data: bytes = field(repr=False)
    member: str = ""
    labels: bytes = field(default=b"", repr=False)


def taken_out(path: Path, name: str, limit: int) -> Given:
    """The model called ``name`` in the archive at ``path``.

    Raises:
        CoralforgeError: exit code 2, reason ``model-invalid``: the archive is damaged, or the model is larger than
            ``limit`` bytes.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as stream, opened(stream) as archive:
            data = member(archive, name, limit)
            beside = _beside(name, archive.namelist())
            return Given(data, shown(name), member(archive, beside, _LABELS) if beside else b"")
    except BadZip as error:
        raise user_error(
            f"{path} cannot be unpacked: {error}", reason="model-invalid", remedy="get the file again, or unpack it"
        ) from error


def _beside(model: str, names: Sequence[str]) -> str:
    """The file of labels in the model's folder; empty if there is none, or more than one and none of a usual name."""
    folder = model.rpartition("/")[0]
    texts = [name for name in names if name.rpartition("/")[0] == folder and name.lower().endswith(".txt")]
    usual = [name for name in texts if name.rpartition("/")[2].lower() in _NAMES]
    found = usual or [name for name in texts if "label" in name.lower()]
    return found[0] if len(found) == 1 else ""
