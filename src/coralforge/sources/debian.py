"""Which Debian archive this machine uses: asked of its own apt, so that no host is written down here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from urllib.parse import urlsplit

OVERRIDE = "CORALFORGE_DEBIAN_ARCHIVE"
SNAPSHOT = "CORALFORGE_DEBIAN_SNAPSHOT"
_FIELDS = ("ORIGIN", "LABEL", "RELEASE", "COMPONENT", "REPO_URI")
_FORMAT = "|".join(f"$({field})" for field in _FIELDS)
# apt knows a repository's Origin only after `apt-get update`; before that the suite's name must do.
_SUITES = re.compile(
    r"^(bullseye|bookworm|trixie|forky|duke|sid|experimental|unstable|testing|(old)*stable)(-updates|-backports)?$"
)


def archive_uri() -> str | None:
    """The base address of the Debian archive (it has ``pool/`` below it), without a trailing slash.

    ``CORALFORGE_DEBIAN_ARCHIVE`` comes first, then the first repository in apt's configuration that is Debian's own
    (not its security archive, which has another pool). None where neither is: no apt, or another distribution's.
    """
    override = os.environ.get(OVERRIDE, "").strip()
    if override:
        return override.rstrip("/")
    apt = shutil.which("apt-get")
    if apt is None:
        return None
    command = [apt, "indextargets", "--format", _FORMAT, "Created-By: Packages"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_targets(done.stdout)


def snapshot_uri() -> str | None:
    """The base address of a snapshot archive, from ``CORALFORGE_DEBIAN_SNAPSHOT``, or None.

    Below it stands Debian's archive as it was at many times: ``20261128T000000Z/pool/...``.
    """
    return os.environ.get(SNAPSHOT, "").strip().rstrip("/") or None


def parse_targets(text: str) -> str | None:
    """The archive's address in the output of ``apt-get indextargets`` (one repository a line), or None."""
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != len(_FIELDS):
            continue
        origin, label, release, component, uri = fields
        ours = origin == "Debian" if origin else bool(_SUITES.match(release))
        if not ours or component != "main" or "security" in f"{label} {release}".lower():
            continue
        address = _address(uri)
        if address is not None:
            return address
    return None


def _address(uri: str) -> str | None:
    """apt's ``file:/srv/debian`` as a URL; None for ways of apt that HTTP clients do not have (cdrom, tor, ...)."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return f"file://{parts.path.rstrip('/')}"
    return uri.rstrip("/") if parts.scheme in ("http", "https") else None
