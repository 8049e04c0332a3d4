"""What was asked for is in the output folder, whole, with its digests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.pipeline.formats import Format, formats_of, goal_of, publish
from coralforge.plan import Stage
from coralforge.settings import Options, Settings, resolve
from coralforge.util.fingerprint import of_file
from tests.support.elf_maker import write
from tests.support.project_maker import copy_project_files


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = resolve(copy_project_files(tmp_path / "project"), Options())
    return replace(settings, pipeline=settings.pipeline.model_copy(update={"output": str(tmp_path / "dist")}))


@pytest.fixture
def artifact(tmp_path: Path, settings: Settings) -> Path:
    """Two packages and their digests."""
    folder = tmp_path / "artifact"
    files = [write(folder / name, name.encode()) for name in ("a_1_arm64.deb", "b_1_arm64.deb")]
    text = "".join(f"{of_file(file)}  {file.name}\n" for file in files)
    write(folder / Format.DEB.digests(settings), text.encode())
    return folder


def test_the_archive_is_the_default_and_each_format_counts_once() -> None:
    assert formats_of([]) == (Format.TAR_GZ,)
    assert formats_of(["deb", "tar.gz", "deb"]) == (Format.DEB, Format.TAR_GZ)
    assert goal_of(formats_of([])) is Stage.BUNDLE
    assert goal_of(formats_of(["tar.gz", "deb"])) is Stage.DEB
    assert goal_of(formats_of(["debug"])) is Stage.BUNDLE


def test_an_unknown_format_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(CoralforgeError, match="rpm") as caught:
        formats_of(["deb", "rpm"])
    assert (caught.value.reason, caught.value.code) == ("format-unknown", ExitCode.USER)
    assert "tar.gz, deb" in caught.value.remedy


def test_files_and_digests_are_published_and_said(settings: Settings, artifact: Path) -> None:
    published = publish(settings, {Stage.DEB: artifact}, Format.DEB)
    assert {path.name for path in published} == {"a_1_arm64.deb", "b_1_arm64.deb"}
    assert all(of_file(path) == digest for path, digest in published.items())
    assert {path.name for path in settings.output.iterdir()} == {path.name for path in artifact.iterdir()}


def test_what_is_there_already_is_left_alone_and_what_was_changed_is_not(settings: Settings, artifact: Path) -> None:
    publish(settings, {Stage.DEB: artifact}, Format.DEB)
    first, second = settings.output / "a_1_arm64.deb", settings.output / "b_1_arm64.deb"
    before = first.stat().st_ino
    publish(settings, {Stage.DEB: artifact}, Format.DEB)
    assert first.stat().st_ino == before
    second.write_bytes(b"changed")
    publish(settings, {Stage.DEB: artifact}, Format.DEB)
    assert second.read_bytes() == b"b_1_arm64.deb"


def test_digests_that_are_gone_come_back(settings: Settings, artifact: Path) -> None:
    publish(settings, {Stage.DEB: artifact}, Format.DEB)
    digests = settings.output / Format.DEB.digests(settings)
    whole = digests.read_bytes()
    digests.unlink()  # as a run leaves it that is stopped before its last rename
    publish(settings, {Stage.DEB: artifact}, Format.DEB)
    assert digests.read_bytes() == whole
    digests.write_bytes(b"of other files")
    publish(settings, {Stage.DEB: artifact}, Format.DEB)
    assert digests.read_bytes() == whole
