"""Certificates, and headers with secrets, that the build's container may show to the servers of ``remote:``.

They are in a folder that only the container's user may enter, for as long as the build takes. Bazel gets headers from
a credential helper, so they stand in no command line, in no environment and in none of its logs.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.document import Loc, read_document
from coralforge.config.remote import Header, Remote
from coralforge.errors import CoralforgeError, user_error
from coralforge.pipeline.remote.reach import TlsFiles, context
from coralforge.pipeline.remote.tunnels import Tunnel
from coralforge.settings import Project
from coralforge.util.paths import typed

TARGET = "/remote"
SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
"""The authorities that this machine trusts; the image trusts others."""
_MOST = 8192
"""Characters of a header; servers refuse longer ones."""
_MOST_BYTES = 1 << 20
_HELPER = f"#!/bin/sh\nexec cat {TARGET}/headers.json\n"


@dataclass(frozen=True)
class Credentials:
    """All that is shown to the servers, read and checked."""

    files: TlsFiles | None
    """None where no address has TLS."""
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Credentials({self.files!r}, headers {sorted(self.headers)})"  # never their values


def read_credentials(project: Project, remote: Remote, environ: Mapping[str, str] = os.environ) -> Credentials:
    """Read what ``remote`` names.

    Raises:
        CoralforgeError: ``remote-credentials``, exit code 2: a variable or file is missing, or not what it should be.
    """
    headers = {name: _value(project, name, header, environ) for name, header in remote.headers.items()}
    return Credentials(_tls_files(project, remote) if remote.tls else None, headers)


def write_credentials(
    credentials: Credentials, through: tuple[Tunnel, ...], away: str, folder: Path, owner: tuple[int, int]
) -> tuple[str, ...]:
    """Fill the empty ``folder``, which is to be mounted at ``TARGET``; returns the options for Bazel."""
    options: tuple[str, ...] = ()
    named = vars(credentials.files) if credentials.files is not None else {}
    shown = {
        name: _write(folder / f"{name}.pem", path.read_bytes()) for name, path in named.items() if path is not None
    }
    data = {"away": away, "shown": shown, "tunnels": [vars(one) for one in through]}
    _write(folder / "run.json", json.dumps(data).encode())
    if credentials.headers:
        text = json.dumps({"headers": {name: [value] for name, value in credentials.headers.items()}})
        _write(folder / "headers.json", text.encode())
        options = (f"--credential_helper={_write(folder / 'helper', _HELPER.encode(), 0o500)}",)
    if os.getuid() == 0:
        for path in (*folder.iterdir(), folder):
            os.chown(path, *owner)
    return options


def _write(path: Path, data: bytes, mode: int = 0o400) -> str:
    """Write a file for the container's user alone; returns its name in the container."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)
    return f"{TARGET}/{path.name}"


def _value(project: Project, name: str, header: Header, environ: Mapping[str, str]) -> str:
    if header.env is not None:
        loc: Loc = ("remote", "headers", name, "env")
        text = environ.get(header.env, "")
        if not text:
            raise refused(project, loc, f"the environment variable {header.env} is not set, or empty")
        said = f"what is in the environment variable {header.env}"
    else:
        loc = ("remote", "headers", name, "file")
        path = _path(project, header.file or "")
        text = _read(project, loc, path).decode("utf-8", "replace").rstrip("\r\n")
        said = f"what is in {path}"
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", text) or len(text) > _MOST:
        raise refused(project, loc, f"{said} is not one line of 1 to {_MOST} printable ASCII characters")
    return header.prefix + text


def _tls_files(project: Project, remote: Remote) -> TlsFiles:
    found: dict[str, Path] = {}
    for name in ("ca", "certificate", "key"):
        if (said := getattr(remote, name)) is not None:
            found[name] = _path(project, said)
            if b"-----BEGIN " not in _read(project, ("remote", name), found[name]):
                raise refused(project, ("remote", name), f"{found[name]} is not a PEM file")
    files = TlsFiles(found.get("ca", SYSTEM_CA), found.get("certificate"), found.get("key"))
    try:
        context(files)
    except OSError as error:
        at = "certificate" if "certificate" in found else "ca"
        why = (
            "key and certificate are no pair, or the key has a passphrase"
            if "key" in found
            else "it has no authority"
        )
        said = getattr(error, "reason", None) or error
        raise refused(
            project, ("remote", at), f"{found.get(at, SYSTEM_CA)} cannot be used: {why} ({said})"
        ) from error
    return files


def _path(project: Project, text: str) -> Path:
    return (project.root / typed(text)).absolute()


def _read(project: Project, loc: Loc, path: Path) -> bytes:
    try:
        # Without waiting for a writer, should it be a pipe.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise refused(project, loc, f"{path} is not a regular file")
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise refused(project, loc, f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(data) > _MOST_BYTES:
        raise refused(project, loc, f"{path} is larger than {_MOST_BYTES} bytes")
    return data


def refused(project: Project, loc: Loc, why: str) -> CoralforgeError:
    """The error for what stands at ``loc`` in pipeline.yaml; reason ``remote-credentials``, exit code 2."""
    return user_error(
        f"{read_document(project.pipeline).where(loc)}: {'.'.join(str(part) for part in loc)}: {why}",
        reason="remote-credentials",
        remedy="see docs/remote.md; without `remote` in pipeline.yaml all is built on this machine",
    )
