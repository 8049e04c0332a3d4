"""Samples from a folder of images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coralforge.errors import CoralforgeError, first_line
from coralforge.quantize.worker import samples
from coralforge.quantize.worker.preprocess import Preprocess, unsaid
from coralforge.quantize.worker.samples import Feed, Input, Samples

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Named, so that no decoder is reached that runs another program (EPS) or that nobody has samples for.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 64 << 20  # of one image; a phone has 50 million
MAX_BYTES = 256 << 20  # of one file
MAX_FILES = 2_000_000
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Pictures:
    """Images below a folder, in the order of their paths."""

    folder: Path
    files: tuple[Path, ...]
    most: int
    kind: str = "images"
    leave_out: frozenset[int] = frozenset()
    """Positions of those that are not to be chosen."""

    def bind(self, inputs: Sequence[Input], preprocess: Preprocess | None) -> Samples:
        """See :class:`samples.SampleSource`."""
        size = _picture_size(inputs)
        if preprocess is None:
            raise unsaid()
        samples.check_channels(preprocess, size[2])
        positions = samples.choose(len(self.files), self.most, self.leave_out)
        chosen = [self.files[i] for i in positions]

        def load(index: int) -> Feed:
            pixels = read_picture(chosen[index], *size)
            return samples.checked(inputs, {inputs[0].name: preprocess.apply(pixels)}, str(chosen[index]))

        return Samples(len(chosen), len(self.files), load, tuple(positions))


def find_pictures(folder: Path, most: int) -> Pictures:
    """The images in a folder and its subfolders; hidden files and other files are left alone.

    Raises:
        CoralforgeError: reason ``samples-missing`` or ``samples-too-large``.
    """
    found: list[Path] = []
    try:
        for path in folder.rglob("*"):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                found.append(path)
                if len(found) > MAX_FILES:
                    raise samples.too_large(f"{folder} has more than {MAX_FILES} images")
    except OSError as error:
        raise samples.missing(f"{folder} cannot be read: {error.strerror}") from error
    if not found:
        raise samples.missing(
            f"there are no images in {folder}", remedy=f"images are files that end in {', '.join(SUFFIXES)}"
        )
    return Pictures(folder, tuple(sorted(found)), most)


def read_picture(path: Path, height: int, width: int, channels: int) -> Any:
    """One image as uint8, height x width x channels: upright, stretched to the size (bilinear), transparency dropped.

    Raises:
        CoralforgeError: reason ``samples-invalid`` or ``samples-too-large``.
    """
    import numpy as np
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata; sizes are checked here
        try:
            if path.stat().st_size > MAX_BYTES:
                raise samples.too_large(f"{path} is larger than {MAX_BYTES >> 20} MiB")
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise samples.too_large(f"{path} has {image.width} x {image.height} pixels")
                if image.mode[:1] in "IF":
                    raise samples.invalid(
                        f"{path} has more than 8 bits per channel ({image.mode})", remedy="save it with 8 bits"
                    )
                upright = ImageOps.exif_transpose(image)
                wanted = upright.convert(_MODES[channels]).resize((width, height), Image.Resampling.BILINEAR)
        except CoralforgeError:
            raise
        except Image.DecompressionBombError as error:
            raise samples.too_large(f"{path} has too many pixels ({error})") from error
        except Exception as error:  # decoders raise anything: struct.error, SyntaxError, IndexError, ...
            raise samples.invalid(
                f"{path} is not an image that can be read", details=first_line(error), remedy="replace or remove it"
            ) from error
    return np.asarray(wanted, dtype=np.uint8).reshape(height, width, channels)


def _picture_size(inputs: Sequence[Input]) -> tuple[int, int, int]:
    """Height, width and channels of the only input."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[3] not in _MODES:
        takes = "; ".join(f"{one.name}: {samples.shown(one.shape[1:])}" for one in inputs)
        raise samples.mismatch(
            "images are for models with one input of height x width x channels (1, 3 or 4); this one takes " + takes,
            remedy="give the samples as .npz or by a function, see docs/quantize.md",
        )
    height, width, channels = inputs[0].shape[1:]
    return height, width, channels
