"""How two bundles differ: which files, and with diffoscope, where there is one, how."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from coralforge.bundle.describe import believed
from coralforge.bundle.manifest import Manifest
from coralforge.bundle.peek import packed_manifest
from coralforge.util.fingerprint import of_file

_SECONDS = 1800


def same(one: Path, other: Path) -> bool:
    """Whether two bundles have the same bytes, but for what they say of machines that helped to build them."""
    if of_file(one) == of_file(other):
        return True
    first, second = packed_manifest(one), packed_manifest(other)
    if first is None or second is None or first.remote == second.remote:
        return False
    return _alone(first) == _alone(second)


def _alone(manifest: Manifest) -> Manifest:
    said = believed(manifest.remote)
    kept = [sentence for sentence in manifest.not_verified if sentence not in said]
    return manifest.model_copy(update={"remote": None, "not_verified": kept})


def differing(one: Path, other: Path) -> list[str]:
    """The files that differ between two bundles, one sentence each; by their manifests."""
    first, second = packed_manifest(one), packed_manifest(other)
    if first is None or second is None:
        return ["one of them has no manifest that can be read"]
    found = [
        f"{name} {'differs' if name in first.files and name in second.files else 'is in one of them only'}"
        for name in sorted(first.files.keys() | second.files.keys())
        if first.files.get(name) != second.files.get(name)
    ]
    facts = [
        f"{key} of MANIFEST.json differs"
        for key in type(first).model_fields
        if key != "files" and getattr(first, key) != getattr(second, key)
    ]
    return found + facts or ["the same files; the archives are packed differently"]


def explain(one: Path, other: Path, report: Path) -> str:
    """Have diffoscope write ``report`` (text); returns one sentence on where it is, or why there is none."""
    program = shutil.which("diffoscope")
    if program is None:
        return "diffoscope is not installed, which would say how they differ (apt-get install diffoscope)"
    command = [program, "--text", str(report), str(one), str(other)]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"diffoscope gave no report: {error}"
    return f"diffoscope's report: {report}" if report.is_file() else "diffoscope gave no report"
