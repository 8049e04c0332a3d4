"""The workflow of a release."""

from __future__ import annotations

from typing import Any

import yaml

from tests.conftest import ROOT


def jobs() -> dict[str, list[dict[str, Any]]]:
    """The steps of each job."""
    text = (ROOT / ".github/workflows/release.yml").read_text()
    return {name: job["steps"] for name, job in yaml.safe_load(text)["jobs"].items()}


def folders(steps: list[dict[str, Any]]) -> list[str]:
    """Where the steps put a release's files: artifacts that are downloaded, and what is made."""
    words = [word for step in steps for word in str(step.get("run", "")).split()]
    made = [words[place + 1] for place, word in enumerate(words) if word == "--dest"]
    return made + [step["with"]["path"] for step in steps if "download-artifact" in step.get("uses", "")]


def test_files_of_a_release_do_not_change_the_checkout() -> None:
    """Git must not see them: a checkout with files of its own is not what its commit says, and so no release."""
    found = {name: folders(steps) for name, steps in jobs().items() if "actions/checkout" in str(steps)}
    assert set(found) == {"matrix", "part", "assemble", "draft"}
    assert "dist/" in (ROOT / ".gitignore").read_text().splitlines()
    assert [place for places in found.values() for place in places if not place.startswith("dist/")] == []
    assert sum(map(len, found.values())) == 5
