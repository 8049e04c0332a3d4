"""Why a place did not give a file, in words; between the modules of ``sources`` only."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3.exceptions

Kind = Literal["missing", "unreachable", "refused", "size", "digest"]


class Refusal(Exception):
    """One place that did not give the file; the next one is tried."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text


class Retry(Exception):
    """A failure that may pass; ``after`` is the least wait in seconds that the server asked for."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.after = after


class Cancelled(Exception):
    """The run was cancelled while this download was under way; its part stays for the next run."""


def shown(address: str) -> str:
    """The address for messages: without a user name and password."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def why_unreachable(error: requests.RequestException, connect: float) -> str | None:
    """Why no connection came about, so that the host needs no second try; None for what may pass (a reset)."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy refuses or does not answer ({_innermost(reason or error)})"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate or TLS is not accepted ({_innermost(reason or error)})"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {connect:g} s"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        unknown = isinstance(reason, urllib3.exceptions.NameResolutionError)
        return "its name cannot be resolved" if unknown else _innermost(reason)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return f"not a usable address ({error})"
    return None


def _innermost(error: BaseException) -> str:
    """The operating system's words at the bottom of a chain of exceptions."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rpartition(": ")[2] or type(error).__name__
