"""Whether the servers of ``remote:`` in pipeline.yaml answer, asked before Bazel is started.

Bazel itself says it after a minute of retries, and in words of its library. Only the connection and the certificates
are tried here; whether a token is taken, only the server's answers to Bazel say.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.remote import Remote, host_and_port

_SECONDS = 10.0


@dataclass(frozen=True)
class TlsFiles:
    """PEM files, each of them readable: authorities, and what this machine shows of itself."""

    ca: Path
    certificate: Path | None
    key: Path | None


@dataclass(frozen=True)
class Trouble:
    """Why an address cannot be used. ``away``: nothing answers there; otherwise it answers, and must not be used."""

    address: str
    why: str
    away: bool


def trouble(remote: Remote, files: TlsFiles | None) -> Trouble | None:
    """The first address that cannot be used, or None: each was connected to, and its certificate checked."""
    for address in remote.addresses:
        found = _try(address, files, min(_SECONDS, remote.timeout))
        if found is not None:
            return found
    return None


def context(files: TlsFiles) -> ssl.SSLContext:
    """Authorities to trust, and a certificate to show. Raises OSError for files that are no such files."""
    made = ssl.create_default_context(cafile=str(files.ca))
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as scripts/remote_tunnel.py
    made.set_alpn_protocols(["h2", "http/1.1"])
    if files.certificate is not None:
        # The empty passphrase: nobody is asked for one in the middle of a build.
        made.load_cert_chain(str(files.certificate), str(files.key), password="")
    return made


def _try(address: str, files: TlsFiles | None, seconds: float) -> Trouble | None:
    host, port = host_and_port(address)
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            if files is not None:
                context(files).wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return Trouble(address, f"its certificate is not trusted: {error.verify_message}", away=False)
    except ssl.SSLError as error:
        return Trouble(address, f"it does not speak TLS as expected: {error.reason or error}", away=False)
    except OSError as error:
        return Trouble(address, _words(error), away=True)
    return None


def _words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return (error.strerror or type(error).__name__).lower()
