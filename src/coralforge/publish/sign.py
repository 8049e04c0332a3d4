"""Signatures that OpenSSH makes and checks (`ssh-keygen -Y`): no service, no network, and every system has it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from coralforge.errors import CoralforgeError, missing_error, user_error
from coralforge.publish.names import SIGNATURE, SUMS

NAMESPACE = "coralforge-release"


def sign(sums: Path, key: Path) -> Path:
    """Sign SHA256SUMS; returns the signature's place beside it. ssh-keygen asks for a passphrase by itself.

    Raises:
        CoralforgeError: ``sign-key`` (exit code 2): no such key, or ssh-keygen refuses it; ``ssh-missing`` (3).
    """
    place = sums.with_name(SIGNATURE)
    with tempfile.TemporaryDirectory(prefix=".sign-", dir=sums.parent) as folder:
        copy = Path(folder, SUMS)
        copy.write_bytes(sums.read_bytes())
        done = _ssh_keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(copy))
        if done.returncode != 0:
            raise _unfit(key, done)
        Path(f"{copy}.sig").replace(place)
    return place


def require_key(key: Path) -> None:
    """Refuse what is no key, before hours of work; no passphrase is asked for.

    Raises:
        CoralforgeError: as :func:`sign`.
    """
    done = _ssh_keygen("-l", "-f", str(key))
    if done.returncode != 0:
        raise _unfit(key, done)


def signer(sums: Path, signature: Path, allowed: Path) -> str | None:
    """Who signed ``sums``: the principal in the file of allowed signers (ssh-keygen(1)); None when nobody there did.

    Raises:
        CoralforgeError: ``ssh-missing`` (exit code 3).
    """
    found = _ssh_keygen("-Y", "find-principals", "-s", str(signature), "-f", str(allowed))
    names = found.stdout.decode("utf-8", "replace").splitlines() if found.returncode == 0 else []
    for name in names:
        check = ("-Y", "verify", "-f", str(allowed), "-I", name, "-n", NAMESPACE, "-s", str(signature))
        if _ssh_keygen(*check, stdin=sums.read_bytes()).returncode == 0:
            return name
    return None


def _ssh_keygen(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise missing_error(
            "ssh-keygen is missing, which makes and checks signatures",
            reason="ssh-missing",
            remedy="apt-get install openssh-client",
        ) from error


def _unfit(key: Path, done: subprocess.CompletedProcess[bytes]) -> CoralforgeError:
    return user_error(
        f"{key} cannot sign the release",
        reason="sign-key",
        details=_last(done),
        remedy="give --sign the private key, or the .pub of one that ssh-agent holds; "
        "ssh-keygen -t ed25519 -f KEY makes one",
    )


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return "".join(c for c in (lines[-1] if lines else "ssh-keygen said nothing") if c.isprintable())[:300]
