"""The unfinished download of one file: ``<sha256>.part`` and, beside it, which answer it is a part of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_CHUNK = 1 << 20


@dataclass(frozen=True)
class PartialDownload:
    """Paths of one unfinished download; only the holder of its lock touches them."""

    path: Path

    @property
    def origin(self) -> Path:
        """The file that says where the bytes so far came from."""
        return self.path.with_suffix(".json")

    def size(self) -> int:
        """Bytes so far."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def drop(self) -> None:
        """Forget everything downloaded so far."""
        self.path.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)

    def resume_headers(self, address: str) -> dict[str, str]:
        """Request headers that continue this part from ``address``; empty when there is nothing to continue.

        Without a validator of the server the range is asked for all the same: the pinned digest decides in the end.
        """
        size = self.size()
        try:
            origin = json.loads(self.origin.read_text(encoding="utf-8"))
            known, validator = origin["address"], origin["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        if size == 0 or known != address:
            return {}
        headers = {"Range": f"bytes={size}-"}
        if isinstance(validator, str) and validator:
            headers["If-Range"] = validator
        return headers

    def begin(self, address: str, headers: Mapping[str, str]) -> None:
        """Start from zero with an answer whose validator is remembered (RFC 9110: If-Range wants a strong one)."""
        self.drop()
        etag = headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.origin.write_text(json.dumps({"address": address, "validator": validator}), encoding="utf-8")

    def append(self) -> IO[bytes]:
        """Open for appending, unbuffered: what was written survives a kill."""
        return self.path.open("ab", buffering=0)

    def digest(self) -> hashlib._Hash:
        """SHA-256 over the bytes so far; to be updated with what follows."""
        digest = hashlib.sha256()
        if self.path.exists():
            with self.path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        return digest

    def commit(self, final: Path) -> None:
        """Make it the finished file, whole or not at all, also after a power cut."""
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        final.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(final)
        self.origin.unlink(missing_ok=True)
