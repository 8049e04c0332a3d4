"""The image with Google's compiler, made from Google's own package."""

from __future__ import annotations

import os
from collections.abc import Mapping

from coralforge.compile.container import ContainerProgram
from coralforge.events import Sink, Step
from coralforge.settings import Settings

ARCHIVE = "CORALFORGE_COMPILER_ARCHIVE"


def image_program(settings: Settings, sink: Sink, environ: Mapping[str, str] = os.environ) -> ContainerProgram:
    """The compiler in its container; the image is made if it is not there.

    Raises:
        CoralforgeError: as ``ImageMaker.ensure`` and ``containers.docker.connect``.
    """
    from coralforge.containers.docker import DockerRunner
    from coralforge.containers.image import edgetpu_compiler
    from coralforge.containers.image_maker import ImageMaker, exists

    runner = DockerRunner()
    archive = environ.get(ARCHIVE)
    image = edgetpu_compiler(settings.project.docker, {"ARCHIVE": archive} if archive else {})
    if not exists(runner.client, image):
        sink.emit(Step("edgetpu-compiler image"))
        ImageMaker.of(settings, runner.client, sink).ensure(image)
    return ContainerProgram(runner, image.tag)
