"""A second build starts from the same downloads, and from nothing else."""

from __future__ import annotations

from pathlib import Path

from coralforge.publish.parts import fresh_cache
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT


def test_it_has_the_downloads_and_nothing_else_and_goes_away(tmp_path: Path) -> None:
    """With other downloads a source might come from another place, and give other bytes."""
    settings = resolve(Project(ROOT), Options(), {"CORALFORGE_CACHE": str(tmp_path / "cache")})
    download = settings.cache.downloads / ("0" * 64) / "source.tar.gz"
    for file in (download, settings.cache.artifacts / "libraries-1" / "lib.so", settings.cache.bazel / "output"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"bytes")
    with fresh_cache(settings) as fresh:
        root = fresh.cache.root
        same = fresh.cache.downloads / download.relative_to(settings.cache.downloads)
        assert same.samefile(download)
        assert [path.name for path in root.iterdir()] == ["downloads"]
    assert not root.exists()
    assert download.read_bytes() == b"bytes"
