"""From the text of `--samples` to a source."""

from __future__ import annotations

from pathlib import Path

from coralforge.quantize.worker import samples
from coralforge.quantize.worker.arrays import read_heads
from coralforge.quantize.worker.functions import Function, looks_like_function
from coralforge.quantize.worker.pictures import find_pictures
from coralforge.quantize.worker.random_samples import Random
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.samples import SampleSource


def open_samples(request: Request) -> SampleSource:
    """Look at the samples as far as that goes without the model.

    Raises:
        CoralforgeError: exit code 2, reason ``samples-missing``, ``samples-invalid`` or ``samples-too-large``.
    """
    if request.random:
        return Random(request.random)
    text, folder = request.samples, Path(request.folder)
    path = folder / text
    if path.is_dir():
        return find_pictures(path, request.max_samples)
    if path.is_file():
        return read_heads(path, request.max_samples)
    require_samples(text, folder)
    return Function(text, folder, request.max_samples)


def require_samples(text: str, folder: Path) -> None:
    """Refuse what is neither a folder nor a file, and does not look like a function.

    Raises:
        CoralforgeError: exit code 2, reason ``samples-missing``.
    """
    path = folder / text
    if not (path.is_dir() or path.is_file() or looks_like_function(text)):
        raise samples.missing(
            f"the samples {text} {samples.absence(path)}",
            remedy="give a folder of images, an .npz or .npy file, or MODULE:FUNCTION",
        )
