"""Unpacks what we made as its users do: by tar."""

from __future__ import annotations

import subprocess
from pathlib import Path


def unpacked(archive: Path, folder: Path | None = None) -> Path:
    """The top folder of a .tar.gz, which is named as the archive is, in ``folder`` (made if need be) or beside it.

    Not by tarfile: filters for it came with Python 3.11.4, after Debian 12's.
    """
    folder = folder or archive.parent
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--no-same-owner", "-xf", archive, "-C", folder], check=True)
    return folder / archive.name.removesuffix(".tar.gz")
