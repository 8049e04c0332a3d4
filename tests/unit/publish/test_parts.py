"""What a release's folder has to hold, and what its files say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge import __version__
from coralforge.bundle.manifest import File
from coralforge.config.load import load_toolchain
from coralforge.errors import CoralforgeError
from coralforge.publish.changelog import section
from coralforge.publish.names import DEBUG, LATEST, NOTES, PROVENANCE, SBOM, SIGNATURE, SUMS, beside
from coralforge.publish.parts import finish
from coralforge.publish.provenance import write_provenance
from coralforge.publish.sbom import file_digests, write_sbom
from coralforge.util.fingerprint import of_file
from tests.conftest import ROOT
from tests.unit.publish.conftest import ORIGIN, Release


def test_every_file_but_the_sums_is_in_the_sums(release: Release) -> None:
    said = dict(line.split("  ")[::-1] for line in (release.folder / SUMS).read_text().splitlines())
    files = {path.name: of_file(path) for path in release.folder.iterdir() if path.name not in (SUMS, SIGNATURE)}
    assert said == files


def test_latest_names_the_bundle_for_a_board(release: Release) -> None:
    latest = json.loads((release.folder / LATEST).read_text())
    [one] = latest["bundles"]
    assert (latest["version"], latest["commit"]) == (__version__, ORIGIN.commit)
    assert (one["name"], one["sha256"]) == (release.archive.name, of_file(release.archive))
    assert (one["arch"], one["triple"], one["glibc"]) == ("aarch64", "aarch64-linux-gnu", "2.27")
    assert one["debug"] == {"name": release.debug.name, "sha256": of_file(release.debug), "size": 7}
    assert one["packages"] == [{"name": release.package.name, "sha256": of_file(release.package), "size": 8}]


def test_a_simulated_bundle_says_so_in_its_name(release: Release) -> None:
    assert release.manifest.simulated
    assert release.archive.name == f"coralforge-{__version__}-tflite-2.14.1-aarch64-linux-gnu-simulated.tar.gz"


def test_equal_inputs_give_equal_bytes(release: Release) -> None:
    digest = of_file(release.archive)
    assert write_sbom(release.manifest, digest, ORIGIN) == beside(release.archive, SBOM).read_bytes()


def test_the_sbom_fits_cyclonedx_own_schema(release: Release) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = beside(release.archive, SBOM).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    files = {name: entry.sha256 for name, entry in release.manifest.files.items() if isinstance(entry, File)}
    assert file_digests(json.loads(text)) == files


def test_the_provenance_names_commit_sources_and_compiler(release: Release) -> None:
    statement = json.loads(beside(release.archive, PROVENANCE).read_text())
    resolved = {one["name"]: one for one in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert resolved["coralforge"]["digest"] == {"gitCommit": ORIGIN.commit}
    assert {source.name for source in release.manifest.sources} <= resolved.keys()
    assert any(name.startswith("clang-") for name in resolved)
    assert "not what the release pins" in resolved["libedgetpu"]["annotations"]["pinned"]
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "urn:coralforge:builder:local"


@pytest.mark.parametrize("ending", [SBOM, PROVENANCE])
def test_a_part_without_its_papers_is_refused(release: Release, ending: str) -> None:
    beside(release.archive, ending).unlink()
    with pytest.raises(CoralforgeError, match="is no part of release") as caught:
        finish(release.folder, ROOT, ORIGIN, None)
    assert caught.value.reason == "release-parts"


def test_a_bundle_under_another_name_is_refused(release: Release) -> None:
    other = release.archive.with_name("coralforge-9.9.9-tflite-2.14.1-aarch64-linux-gnu.tar.gz")
    for ending in (".tar.gz", DEBUG, SBOM, PROVENANCE):
        beside(release.archive, ending).rename(beside(other, ending))
    with pytest.raises(CoralforgeError) as caught:
        finish(release.folder, ROOT, ORIGIN, None)
    assert release.archive.name in caught.value.details


def test_an_empty_folder_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError, match="has no bundle"):
        finish(tmp_path, ROOT, ORIGIN, None)


def test_completing_it_again_without_a_key_leaves_no_old_signature(release: Release) -> None:
    finish(release.folder, ROOT, ORIGIN, None)
    assert not (release.folder / SIGNATURE).exists()


def test_a_file_that_is_no_key_does_not_sign(release: Release, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("no key\n")
    with pytest.raises(CoralforgeError) as caught:
        finish(release.folder, ROOT, ORIGIN, wrong)
    assert caught.value.reason == "sign-key"
    assert not (release.folder / SIGNATURE).exists()


def test_notes_are_the_versions_part_of_the_change_log(release: Release, tmp_path: Path) -> None:
    assert (release.folder / NOTES).read_text() == section(ROOT / "CHANGELOG.md", __version__)
    log = tmp_path / "CHANGELOG.md"
    log.write_text("# Changelog\n## [Unreleased]\n- new\n## [1.2.0] - 2026-01-01\n### Added\n- a\n## [1.1.0]\n- b\n")
    assert section(log, "1.2.0") == "### Added\n- a\n"
    with pytest.raises(CoralforgeError, match="says nothing about version 9"):
        section(log, "9")


def test_provenance_says_that_files_differed_from_the_commit(release: Release) -> None:
    toolchain = load_toolchain(ROOT / "toolchains" / "toolchain.yaml")
    text = write_provenance({"a": "0" * 64}, release.manifest, toolchain, replace(ORIGIN, changed=True))
    assert b"files differed from the commit" in text


def test_a_part_of_another_commit_is_refused(release: Release) -> None:
    """latest.json names one commit, and that is where all bundles come from."""
    with pytest.raises(CoralforgeError, match="is no part of release") as caught:
        finish(release.folder, ROOT, replace(ORIGIN, commit="d" * 40), None)
    assert caught.value.reason == "release-parts"
    assert ORIGIN.commit in caught.value.details


@pytest.mark.parametrize("ending", [SBOM, PROVENANCE])
def test_papers_of_an_earlier_build_are_refused(release: Release, ending: str) -> None:
    """As they lie there when `invoke release` was stopped between the bundle and them."""
    papers = beside(release.archive, ending)
    text = papers.read_text()
    assert of_file(release.archive) in text
    papers.write_text(text.replace(of_file(release.archive), "0" * 64))
    with pytest.raises(CoralforgeError, match="is no part of release") as caught:
        finish(release.folder, ROOT, ORIGIN, None)
    assert "it is of another bundle" in caught.value.details or "it describes another bundle" in caught.value.details


@pytest.mark.parametrize("content", [None, b"another"])
@pytest.mark.parametrize("kind", ["debug", "package"])
def test_a_file_that_is_not_the_parts_is_refused(release: Release, kind: str, content: bytes | None) -> None:
    file: Path = getattr(release, kind)
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(CoralforgeError, match="is no part of release") as caught:
        finish(release.folder, ROOT, ORIGIN, None)
    assert caught.value.details == f"missing, or not as its provenance says: {file.name}"


def test_a_part_whose_provenance_names_no_debug_symbols_is_refused(release: Release) -> None:
    papers = beside(release.archive, PROVENANCE)
    statement = json.loads(papers.read_bytes())
    statement["subject"] = [one for one in statement["subject"] if one["name"] != release.debug.name]
    papers.write_text(json.dumps(statement))
    release.debug.unlink()
    with pytest.raises(CoralforgeError, match="is no part of release") as caught:
        finish(release.folder, ROOT, ORIGIN, None)
    assert caught.value.details == "its provenance names no debug symbols"


def test_debug_symbols_of_no_part_are_not_published(release: Release) -> None:
    (release.folder / f"coralforge-0.0.0-tflite-2.14.1-arm-linux-gnueabihf{DEBUG}").write_bytes(b"symbols")
    with pytest.raises(CoralforgeError, match="has more in it than a release"):
        finish(release.folder, ROOT, ORIGIN, None)


def test_a_package_of_no_part_is_not_published(release: Release) -> None:
    (release.folder / "libedgetpu-dev_15.0_arm64.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(CoralforgeError, match="has more in it than a release"):
        finish(release.folder, ROOT, ORIGIN, None)


def test_a_file_of_the_users_is_not_published(release: Release) -> None:
    (release.folder / "id_ed25519").write_text("secret\n")
    with pytest.raises(CoralforgeError, match="has more in it than a release") as caught:
        finish(release.folder, ROOT, ORIGIN, release.key)
    assert (caught.value.reason, caught.value.details) == ("release-parts", "id_ed25519")
    assert "id_ed25519" not in (release.folder / SUMS).read_text()
