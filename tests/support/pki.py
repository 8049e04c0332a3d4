"""Certificates for a day, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """One that signs."""

    pair: Pair

    @classmethod
    def make(cls, folder: Path, name: str = "authority") -> Authority:
        """A new one, with its files in ``folder``."""
        pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        _openssl(
            "req", "-x509", *_KEY, "-keyout", pair.key, "-out", pair.certificate, "-days", "1", "-subj", f"/CN={name}"
        )
        return cls(pair)

    @property
    def certificate(self) -> Path:
        return self.pair.certificate

    def sign(self, folder: Path, name: str, *alternative: str) -> Pair:
        """A certificate for ``alternative`` names, as openssl writes them: ``IP:127.0.0.1``, ``DNS:localhost``."""
        pair, request, extensions = (
            Pair(folder / f"{name}.pem", folder / f"{name}.key"),
            folder / "request",
            folder / "ext",
        )
        _openssl("req", *_KEY, "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={','.join(alternative)}\n" if alternative else "")
        signer = ("-CA", self.pair.certificate, "-CAkey", self.pair.key, "-CAcreateserial", "-days", "1")
        _openssl("x509", "-req", "-in", request, *signer, "-extfile", extensions, "-out", pair.certificate)
        return pair


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
