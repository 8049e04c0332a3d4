"""The image with Google's compiler, made from Google's own package; and room for a run in the cache."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from coralforge.compile.container import ContainerProgram
from coralforge.events import Sink, Step
from coralforge.settings import Cache, Settings
from coralforge.store import unwritable

ARCHIVE = "CORALFORGE_COMPILER_ARCHIVE"


def image_program(settings: Settings, sink: Sink, environ: Mapping[str, str] = os.environ) -> ContainerProgram:
    """The compiler in its container; the image is made if it is not there.

    Raises:
        CoralforgeError: as ``containers.image.ensure`` and ``containers.docker.connect``.
    """
    from coralforge.containers import image as images
    from coralforge.containers.docker import DockerRunner

    runner = DockerRunner()
    archive = environ.get(ARCHIVE)
    image = images.edgetpu_compiler(settings.project.docker, {"ARCHIVE": archive} if archive else {})
    if not images.exists(runner.client, image):
        sink.emit(Step("edgetpu-compiler image"))
        images.ensure(runner.client, image, settings.project.docker, settings.cache.tmp, sink)
    return ContainerProgram(runner, image.tag)


def scratch(cache: Cache, name: str) -> tuple[Path, Path]:
    """The folder for scratch and the log of compiling the model ``name``.

    Raises:
        CoralforgeError: reason ``cache-unwritable``, exit code 3.
    """
    try:
        for folder in (cache.tmp, cache.logs):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(cache, error) from error
    return cache.tmp, cache.logs / f"compile-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[:80]}.log"
