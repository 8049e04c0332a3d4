"""From the text of `--samples` to a source."""

from __future__ import annotations

from pathlib import Path

from coralforge.models.quantizer import samples
from coralforge.models.quantizer.arrays import read_heads
from coralforge.models.quantizer.functions import Function, looks_like_function
from coralforge.models.quantizer.pictures import find_pictures
from coralforge.models.quantizer.random_samples import Random
from coralforge.models.quantizer.request import Request
from coralforge.models.quantizer.samples import Source


def open_source(request: Request) -> Source:
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
    if looks_like_function(text):
        return Function(text, folder, request.max_samples)
    raise samples.missing(
        f"the samples {text} do not exist",
        remedy="give a folder of images, an .npz or .npy file, or MODULE:FUNCTION",
    )
