"""The images: a Debian base (pulled, or made from Debian packages where no registry answers) and what is
built on it from docker/*.Dockerfile."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coralforge.config.base import Arch
from coralforge.config.pipeline import Platform
from coralforge.containers.docker import LABEL
from coralforge.errors import CoralforgeError, build_error, missing_error
from coralforge.events import Note, Output, Progress, Sink
from coralforge.sources.debian import archive_uri
from coralforge.util import fingerprint

BASE_SUITE = "forky"  # the only one with Bazel 7 (bazel-bootstrap); no program of it ends up in a bundle
BASE = f"coralforge-base:{BASE_SUITE}"
PULLED = f"debian:{BASE_SUITE}-slim"
_RECENT = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder paints what went to stderr red


@dataclass(frozen=True)
class Image:
    """An image to build from ``docker/NAME.Dockerfile``; ``key`` is the digest of all that goes in."""

    name: str
    key: str
    arguments: tuple[tuple[str, str], ...]
    base: Image | None = None
    """The image that it adds to; None: the Debian base."""

    @property
    def tag(self) -> str:
        return f"coralforge-{self.name}:{self.key[:16]}"


def builder(folder: Path, platform: Platform) -> Image:
    """The image all C++ is built in."""
    return _image(folder, "builder", {"PLATFORM_SUITE": platform.suite})


def tester(folder: Path, platform: Platform) -> Image:
    """The builder and what the simulator's C++ tests need beside it."""
    base = builder(folder, platform)
    return replace(_image(folder, "tester", {"BASE": base.tag}), base=base)


def board(folder: Path, platform: Platform, arch: Arch) -> Image:
    """The emulated board: QEMU and the platform's root file system."""
    return _image(folder, "board", {"PLATFORM_SUITE": platform.suite, "PLATFORM_ARCH": arch.debian})


def emulated_board(folder: Path, platform: Platform) -> Image:
    """A whole aarch64 board: the board image, QEMU's system emulator, a kernel, and a root file system."""
    base = board(folder, platform, Arch.AARCH64)
    arguments = {"BASE": base.tag, "PLATFORM_SUITE": platform.suite}
    return replace(_image(folder, "emulated-board", arguments), base=base)


def edgetpu_compiler(folder: Path, arguments: Mapping[str, str]) -> Image:
    """Google's Edge TPU compiler; ``arguments`` replace those of the recipe (the archive, for example)."""
    return _image(folder, "edgetpu-compiler", arguments)


def _image(folder: Path, name: str, arguments: Mapping[str, str]) -> Image:
    recipe = [folder / f"{name}.Dockerfile", *(path for path in (folder / name,) if path.is_dir())]
    inputs = {"recipe": fingerprint.of_paths(*recipe), "base": BASE_SUITE, **arguments}
    return Image(name, fingerprint.of_mapping(inputs), tuple(sorted(arguments.items())))


def exists(client: Any, image: Image) -> bool:
    """Whether Docker has the image."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(image.tag)
    except ImageNotFound:
        return False
    return True


def ensure(client: Any, image: Image, folder: Path, tmp: Path, sink: Sink) -> str:
    """Build the image unless Docker has it; returns its tag.

    Raises:
        CoralforgeError: ``image-build`` (exit code 5), ``base-image`` or ``no-space`` (exit code 3).
    """
    if exists(client, image):
        return image.tag
    if image.base is None:
        _ensure_base(client, tmp, sink)
    else:
        ensure(client, image.base, folder, tmp, sink)
    arguments = {"BASE": BASE, **dict(image.arguments)}
    printed = Printed(image.name, sink)
    stream = client.api.build(
        path=str(folder),
        dockerfile=f"{image.name}.Dockerfile",
        tag=image.tag,
        buildargs=arguments,
        labels={LABEL: "1"},
        rm=True,
        forcerm=True,
        decode=True,
        use_config_proxy=True,
    )
    for message in stream:
        if "error" in message:
            raise _failed(image, str(message["error"]).strip(), printed.last())
        printed.take(str(message.get("stream", "")))
    if not exists(client, image):  # a cut stream ends without an error
        raise _failed(image, "Docker ended the build without an image", printed.last())
    return image.tag


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


def _ensure_base(client: Any, tmp: Path, sink: Sink) -> None:
    from docker.errors import APIError, ImageNotFound

    try:
        client.images.get(BASE)
        return
    except ImageNotFound:
        pass
    try:
        sink.emit(Note(f"base image: pulling {PULLED}"))
        client.images.pull(PULLED).tag(BASE)
    except APIError as error:
        sink.emit(Note(f"no container registry answers ({_first_line(error)}); making the base from Debian packages"))
        _bootstrap_base(client, tmp, sink)


def _bootstrap_base(client: Any, tmp: Path, sink: Sink) -> None:
    program, archive = shutil.which("mmdebstrap"), archive_uri()
    if program is None or archive is None:
        raise missing_error(
            "the base image can neither be pulled nor made here",
            reason="base-image",
            details=("mmdebstrap is not installed" if program is None else "apt is not configured on this machine"),
            remedy="apt-get install mmdebstrap debian-archive-keyring, "
            f"or docker pull {PULLED} where a registry answers",
        )
    tmp.mkdir(parents=True, exist_ok=True)
    tar = tmp / f"base-{BASE_SUITE}.tar"
    command = [program, "--variant=apt", "--quiet", BASE_SUITE, str(tar), archive]
    for option in ('Acquire::Check-Valid-Until "false"', 'Acquire::Check-Date "false"'):
        command.insert(1, f"--aptopt={option}")
    sink.emit(Note("base image: mmdebstrap (about 40 s)"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        if done.returncode != 0:
            raise missing_error(
                f"mmdebstrap could not make the base image (exit status {done.returncode})",
                reason="base-image",
                details="\n".join(done.stderr.splitlines()[-12:]),
                remedy="look at this machine's apt configuration and at the space in " + str(tmp),
            )
        repository, tag = BASE.split(":")
        client.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=[f"LABEL {LABEL}=1"])
    finally:
        tar.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
