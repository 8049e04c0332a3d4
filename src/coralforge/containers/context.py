"""The context that Docker builds an image from: the recipe, its programs, and packages whose digests were checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from coralforge.config.arch import BUILD_MACHINE
from coralforge.config.base import Place
from coralforge.config.release import Source
from coralforge.containers.folders import readable_copy
from coralforge.containers.image import Image, recipe_files
from coralforge.events import Sink
from coralforge.settings import Cache
from coralforge.sources.fetch import fetch_all, verified
from coralforge.sources.places import file_name
from coralforge.sources.records import Wanted


def packages_of(image: Image) -> list[Wanted]:
    """The packages of an image, as the fetcher wants them."""
    return [_wanted(place) for _, places in image.packages for place in places]


def _wanted(place: Place) -> Wanted:
    # NAME_VERSION_ARCH.deb; the same name is there once for each architecture.
    name, _, rest = PurePosixPath(place.filename).stem.partition("_")
    version, _, architecture = rest.rpartition("_")
    source = Source(version=version, licence="NOASSERTION", places=[place])
    return Wanted(f"{name} ({architecture})", source, BUILD_MACHINE, replaceable=False)


def lay_out(context: Path, image: Image, recipes: Path, cache: Cache, mirrors: Sequence[str], sink: Sink) -> None:
    """Fill the empty folder ``context`` with what the image is built from, and nothing else.

    Raises:
        CoralforgeError: as ``fetch_all`` and ``verified``.
    """
    for path in recipe_files(recipes, image.name):
        if path.is_dir():
            readable_copy(path, context / path.name)
        else:
            shutil.copyfile(path, context / path.name)
    for name, text in image.files:
        (context / name).write_text(text, encoding="utf-8")
    fetched = fetch_all(packages_of(image), cache.root, mirrors, sink)
    for folder, places in image.packages:
        (context / folder).mkdir(parents=True)
        for place in places:
            target = context / folder / file_name(place)
            shutil.copyfile(verified(fetched[_wanted(place).name]), target)
            target.chmod(0o644)
            os.utime(target, (0, 0))
