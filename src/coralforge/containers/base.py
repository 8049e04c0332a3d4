"""The Debian base that all images are built on: pulled, or made from Debian packages where no registry answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coralforge.containers.engine import asking, lost, within_time
from coralforge.containers.owner import LABEL
from coralforge.errors import first_line, missing_error
from coralforge.events import Note, Sink
from coralforge.sources.debian import archive_uri

BASE_SUITE = "forky"  # the only one with Bazel 7 (bazel-bootstrap); no program of it ends up in a bundle


def base_tag(suite: str) -> str:
    """Docker's name of the base of a Debian suite."""
    return f"coralforge-base:{suite}"


BASE = base_tag(BASE_SUITE)


def ensure_base(client: Any, tmp: Path, sink: Sink, suite: str = BASE_SUITE) -> None:
    """Have the base of a suite in Docker.

    Raises:
        CoralforgeError: ``base-image`` (exit code 3), ``docker-lost`` (5).
    """
    from docker.errors import APIError

    if has(client, base_tag(suite)):
        return
    sink.emit(Note(f"base image: pulling {_pulled(suite)}"))
    refused = None
    doing = f"the image {_pulled(suite)} was pulled"
    with asking(doing):
        try:
            within_time(lambda: client.images.pull(_pulled(suite)), client, doing).tag(base_tag(suite))
        except APIError as error:
            refused = first_line(error)
    if refused is not None:
        sink.emit(Note(f"no container registry answers ({refused}); making the base from Debian packages"))
        _bootstrap_base(client, tmp, sink, suite)


def has(client: Any, tag: str) -> bool:
    """Whether Docker has an image. Raises CoralforgeError: ``docker-lost``, exit code 5."""
    return labels_of(client, tag) is not None


def labels_of(client: Any, tag: str) -> Mapping[str, str] | None:
    """The labels of an image; None where Docker does not have it. Raises as :func:`has`."""
    from docker.errors import ImageNotFound

    with asking(f"the image {tag} was looked for"):
        try:
            return dict(client.images.get(tag).labels)
        except ImageNotFound:
            return None


def _pulled(suite: str) -> str:
    return f"debian:{suite}-slim"


def _bootstrap_base(client: Any, tmp: Path, sink: Sink, suite: str) -> None:
    program, archive = shutil.which("mmdebstrap"), archive_uri()
    if program is None or archive is None:
        raise missing_error(
            "the base image can neither be pulled nor made here",
            reason="base-image",
            details=("mmdebstrap is not installed" if program is None else "apt is not configured on this machine"),
            remedy="apt-get install mmdebstrap debian-archive-keyring, "
            f"or docker pull {_pulled(suite)} where a registry answers",
        )
    tmp.mkdir(parents=True, exist_ok=True)
    tar = tmp / f"base-{suite}.tar"
    command = [program, "--variant=apt", "--quiet", suite, str(tar), archive]
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
        _import(client, tar, suite)
    finally:
        tar.unlink(missing_ok=True)


def _import(client: Any, tar: Path, suite: str) -> None:
    repository, tag = base_tag(suite).split(":")
    doing = f"the image {base_tag(suite)} was imported"

    def call() -> object:
        return client.api.import_image_from_file(
            str(tar), repository=repository, tag=tag, changes=[f"LABEL {LABEL}=1"]
        )

    with asking(doing):
        within_time(call, client, doing)
    if not has(client, base_tag(suite)):  # an answer that is cut off says nothing of success
        raise lost(doing, "its answer ended, and the image is not there")
