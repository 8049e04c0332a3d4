"""Builds the images that Docker does not have."""

from __future__ import annotations

import re
import tarfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from coralforge.containers.base import base_tag, ensure_base, labels_of
from coralforge.containers.context import lay_out
from coralforge.containers.engine import lost, timeout, watched
from coralforge.containers.image import Image
from coralforge.containers.owner import LABEL
from coralforge.errors import CoralforgeError, build_error, missing_error
from coralforge.events import Output, Progress, Sink
from coralforge.settings import Cache, Settings
from coralforge.util.scratch import scratch

KEY_LABEL = "coralforge.key"
_RECENT = 20
_SILENCES = 15
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder paints what went to stderr red


def exists(client: Any, image: Image) -> bool:
    """Whether Docker has the image: one that was made with its key, whatever else its tag was given to.

    Raises:
        CoralforgeError: ``docker-lost``, exit code 5.
    """
    labels = labels_of(client, image.tag)
    return labels is not None and labels.get(KEY_LABEL) == image.key


@dataclass(frozen=True)
class ImageMaker:
    """Makes the images that Docker does not have. Packages are fetched into ``cache``, from ``mirrors`` first."""

    client: Any
    recipes: Path
    cache: Cache
    sink: Sink
    mirrors: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, client: Any, sink: Sink) -> ImageMaker:
        """The one for a run with these settings."""
        return cls(client, settings.project.docker, settings.cache, sink, settings.mirrors)

    def ensure(self, image: Image) -> str:
        """Build the image unless Docker has it; returns its tag.

        Raises:
            CoralforgeError: ``image-build``, ``docker-lost`` (exit code 5); ``base-image``, ``no-space`` (3); and as
                ``lay_out``.
        """
        if exists(self.client, image):
            return image.tag
        if image.base is None:
            ensure_base(self.client, self.cache.work, self.sink, image.suite)
        else:
            self.ensure(image.base)
        with scratch(self.cache.work, f"image-{image.name}") as folder:
            context = folder / "context"
            context.mkdir()
            lay_out(context, image, self.recipes, self.cache, self.mirrors, self.sink)
            self._build(image, context)
        return image.tag

    def _build(self, image: Image, context: Path) -> None:
        printed = Printed(image.name, self.sink)
        doing = f"the image {image.name} was built"
        for message in watched(self._messages(image, context), doing, _Patience(self.client, doing)):
            if "error" in message:
                raise _failed(image, str(message["error"]).strip(), printed.last())
            printed.take(str(message.get("stream", "")))
        if not exists(self.client, image):  # a cut stream ends without an error
            raise _failed(image, "Docker ended the build without an image", printed.last())

    def _messages(self, image: Image, context: Path) -> Iterator[dict[str, Any]]:
        """The words of the engine on a build, from the moment when the first is asked for."""
        with _packed(context) as stream:
            yield from self.client.api.build(
                fileobj=stream,
                custom_context=True,
                dockerfile=f"{image.name}.Dockerfile",
                tag=image.tag,
                buildargs={"BASE": image.base.tag if image.base else base_tag(image.suite), **dict(image.arguments)},
                labels={LABEL: "1", KEY_LABEL: image.key},
                rm=True,
                forcerm=True,
                decode=True,
                use_config_proxy=True,
            )


@contextmanager
def _packed(context: Path) -> Iterator[BinaryIO]:
    """The folder as a tar file beside it. docker-py would leave one in /tmp where this process is killed."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    archive = context.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        for path in sorted(context.iterdir()):
            tar.add(path, path.name, filter=anonymous)
    with archive.open("rb") as stream:
        yield stream


@dataclass
class _Patience:
    """Asked when a build has long said nothing: whether the engine still answers. No step takes for ever."""

    client: Any
    doing: str
    asked: int = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked > _SILENCES:
            raise lost(self.doing, f"it said nothing for {_SILENCES * timeout()} s")
        self.client.ping()


@dataclass
class Printed:
    """The output of an image build as lines. A program that prints letter by letter comes in as many messages."""

    name: str
    sink: Sink
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=_RECENT))
    rest: str = ""

    def take(self, text: str) -> None:
        """Tell the sink of all lines that are complete by now."""
        *lines, self.rest = (self.rest + _COLOUR.sub("", text)).split("\n")
        for line in lines:
            self._line(line.rstrip())

    def last(self) -> list[str]:
        """The last lines, the one that was cut off included."""
        self.take("\n")
        return list(self.recent)

    def _line(self, line: str) -> None:
        if not line:
            return
        self.sink.emit(Output(f"image {self.name}", line))
        self.recent.append(line)
        step = re.match(r"Step (\d+)/(\d+) : (.*)", line)
        if step:
            self.sink.emit(Progress(f"image {self.name}", int(step[1]) - 1, int(step[2]), "steps"))


def _failed(image: Image, problem: str, recent: Sequence[str]) -> CoralforgeError:
    details = "\n".join([*recent, problem])
    if "no space left" in details.lower():
        return missing_error(
            f"no space left for Docker while the image {image.name} was built",
            reason="no-space",
            remedy="free some space where Docker keeps its images (docker system df shows what uses it)",
        )
    return build_error(
        f"the image {image.name} could not be built from docker/{image.name}.Dockerfile",
        reason="image-build",
        details=details,
        remedy="if a package could not be downloaded, look at the network and at this machine's apt configuration",
    )
