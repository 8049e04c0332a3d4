"""A release is believed as far as it agrees with itself and its signature, and what was not checked is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coralforge.publish.names import PROVENANCE, SBOM, SUMS, beside
from coralforge.publish.verify import Check, verify
from coralforge.util.fingerprint import of_file
from tests.unit.publish.conftest import Release, make_key


def results(release: Release, signers: Path | None = None) -> dict[str, bool | None]:
    return {check.name: check.good for check in verify(release.archive, release.folder / "work", signers)}


def edit(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def resum(release: Release) -> None:
    """As somebody would who can write SHA256SUMS, but has no key."""
    sums = release.folder / SUMS
    names = [line.split()[1] for line in sums.read_text().splitlines()]
    sums.write_text("".join(f"{of_file(release.folder / name)}  {name}\n" for name in names))


def test_a_whole_release_is_right(release: Release) -> None:
    expected = {"digest": True, "signature": True, "content": True, "SBOM": True, "provenance": True}
    assert results(release, release.signers) == expected
    assert not (release.folder / "work").exists() or list((release.folder / "work").iterdir()) == []


def test_without_signers_the_signature_is_said_to_be_unverified(release: Release) -> None:
    assert results(release)["signature"] is None


def test_a_key_that_is_not_allowed_is_nobodys(release: Release, tmp_path: Path) -> None:
    _, others = make_key(tmp_path, "stranger")
    assert results(release, others)["signature"] is False


def test_new_sums_for_a_changed_file_do_not_have_the_old_signature(release: Release) -> None:
    edit(beside(release.archive, SBOM), lambda data: data.update(version=7))
    resum(release)
    assert results(release, release.signers)["signature"] is False


@pytest.mark.parametrize(("ending", "name"), [(SBOM, "SBOM"), (PROVENANCE, "provenance")])
def test_papers_that_are_not_those_that_were_signed_are_wrong(release: Release, ending: str, name: str) -> None:
    """They agree with the bundle, but say something else of where it comes from."""
    edit(
        beside(release.archive, ending),
        change_builder if ending == PROVENANCE else lambda data: data.update(version=7),
    )
    assert results(release, release.signers)[name] is False
    resum(release)
    assert results(release)[name] is True


def change_builder(data: Any) -> None:
    data["predicate"]["runDetails"]["builder"]["id"] = "https://example.org/other"


def test_a_signature_for_another_purpose_is_not_taken(release: Release) -> None:
    """Whoever signs mail or commits with the same key has not signed a release."""
    sums = release.folder / SUMS
    (release.folder / "SHA256SUMS.sig").unlink()
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", release.key, "-n", "file", sums], check=True, capture_output=True
    )
    assert results(release, release.signers)["signature"] is False


def test_one_flipped_bit_is_noticed(release: Release) -> None:
    data = bytearray(release.archive.read_bytes())
    data[len(data) // 2] ^= 1
    release.archive.write_bytes(data)
    found = results(release, release.signers)
    assert found["digest"] is False
    assert found["content"] is False


def test_a_bundle_that_the_sums_do_not_name_is_wrong(release: Release) -> None:
    sums = release.folder / SUMS
    lines = [line for line in sums.read_text().splitlines(keepends=True) if release.archive.name not in line]
    sums.write_text("".join(lines))
    assert results(release)["digest"] is False


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["components"].pop(0),
        lambda data: data["components"][0].update(name="other"),
        lambda data: data["metadata"]["component"]["hashes"][0].update(content="0" * 64),
    ],
)
def test_an_sbom_of_something_else_is_wrong(release: Release, change: Callable[[dict[str, object]], None]) -> None:
    edit(beside(release.archive, SBOM), change)
    assert results(release)["SBOM"] is False


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["subject"][0]["digest"].update(sha256="0" * 64),
        lambda data: data["predicate"]["buildDefinition"]["externalParameters"].update(arch="x86_64"),
        lambda data: data.update(predicateType="https://example.org"),
        lambda data: data.update(more=1),
    ],
)
def test_a_provenance_of_something_else_is_wrong(
    release: Release, change: Callable[[dict[str, object]], None]
) -> None:
    edit(beside(release.archive, PROVENANCE), change)
    assert results(release)["provenance"] is False


@pytest.mark.parametrize("name", [SBOM, PROVENANCE])
@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", '{"components": 1}', "[" * 100_000, '{"subject": []}'])
def test_nonsense_is_wrong_and_no_crash(release: Release, name: str, text: str) -> None:
    beside(release.archive, name).write_text(text)
    found = [check for check in verify(release.archive, release.folder / "work", None) if check.good is False]
    assert [check.name for check in found] == [{SBOM: "SBOM", PROVENANCE: "provenance"}[name]]


@pytest.mark.parametrize("name", [SBOM, PROVENANCE])
def test_what_is_not_there_is_said_to_be_unverified(release: Release, name: str) -> None:
    beside(release.archive, name).unlink()
    assert None in results(release, release.signers).values()


def test_a_check_is_one_sentence() -> None:
    assert str(Check("digest", None, "none is beside it")) == "digest: not verified: none is beside it"


def test_what_a_stranger_wrote_is_one_line_of_text(release: Release) -> None:
    """A builder's name cannot add a line to the result, nor say anything to the terminal."""
    evil = "\x1b[2J\nsignature: ok: us@example.org signed SHA256SUMS"
    for ending, name in ((PROVENANCE, "urn:coralforge:builder:local"), (SBOM, "bin/benchmark")):
        papers = beside(release.archive, ending)
        assert name in papers.read_text()
        papers.write_text(papers.read_text().replace(name, json.dumps(evil)[1:-1]))
    shown = [str(check) for check in verify(release.archive, release.folder / "work", None)]
    assert [line for line in shown if not line.isprintable()] == []


def test_sums_without_end_are_not_read(release: Release) -> None:
    with (release.folder / SUMS).open("ab") as stream:
        stream.write(bytes(2 << 20))
    found = results(release, release.signers)
    assert (found["digest"], found["signature"]) == (False, False)


def test_a_file_that_is_no_bundle_is_said_to_be_wrong_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no bundle\n")
    content = verify(tmp_path / "README.md", tmp_path / "work", None)[-1]
    assert (content.name, content.good) == ("content", False)
    known = "README.md is no tar archive and no Debian package that is known here"
    assert content.said == f"{known}; archive: {tmp_path}/README.md"
