"""Bazel's way out to other machines (pydantic 2): the part ``remote`` of pipeline.yaml.

All of it ends in options of Bazel or in headers, so each value has a pattern that leaves no room for a second option,
a line or a header of its own. Secrets are never in the file: it says where they are.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from coralforge.config.base import Model, plain_text

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_GRPC = rf"grpcs?://{_HOST}"
_HTTP = rf"https?://{_HOST}(?:/[A-Za-z0-9._~/-]{{0,200}})?"
_PORTS = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443}
"""Where an address says none; gRPC's own library takes these."""
_OURS = ("content-length", "content-type", "host", "te", "user-agent")

Address = Annotated[str, Field(json_schema_extra={"pattern": f"^(?:{_GRPC}|{_HTTP})$"})]
ExecutorAddress = Annotated[str, Field(json_schema_extra={"pattern": f"^{_GRPC}$"})]
File = Annotated[
    str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(plain_text)
]
HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Property = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
PropertyValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/@+-]{1,256}$")]


class Header(Model):
    """Where the value of a header is: in an environment variable or in a file. Exactly one is given."""

    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")
    """Name of an environment variable."""
    file: File | None = None
    """A file with one line, relative to pipeline.yaml."""
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9 ._=-]{0,64}$")
    """Text before the value, `"Bearer "` for example."""

    @model_validator(mode="after")
    def _one_source(self) -> Header:
        if (self.env is None) == (self.file is None):
            raise ValueError("give exactly one of 'env' and 'file'")
        return self


class Remote(Model):
    """Bazel's way out to other machines: a remote cache, or remote execution."""

    cache: Address | None = None
    """Address of a cache of results: grpcs://HOST:PORT (grpc, https and http as well)."""
    executor: ExecutorAddress | None = None
    """Address of what runs compilers elsewhere; without `cache` also of its cache."""
    instance: str = Field(default="", pattern=r"^(?:[A-Za-z0-9._-]{1,64}(?:/[A-Za-z0-9._-]{1,64}){0,7})?$")
    """Name of the server's instance, where it has several."""
    ca: File | None = None
    """PEM file of the authorities that may have signed the server's certificate, relative to pipeline.yaml."""
    certificate: File | None = None
    """PEM file of the certificate that this machine shows to the server."""
    key: File | None = None
    """PEM file of its private key, without a passphrase."""
    headers: dict[HeaderName, Header] = Field(default_factory=dict, max_length=16)
    """Headers of every call, by name: a token, for example."""
    properties: dict[Property, PropertyValue] = Field(default_factory=dict, max_length=16)
    """Properties that a worker must have (platform properties of the executor)."""
    upload: bool = True
    """Whether results that were made here go into the cache."""
    jobs: int | None = Field(default=None, ge=1, le=1000)
    """Actions that are given to the executor at the same time; as many as `limits.cpus` when not given."""
    timeout: int = Field(default=60, ge=1, le=3600)
    """Seconds until one call counts as failed."""
    away: Literal["local", "fail"] = "local"
    """When the server does not answer: build on this machine alone, and say so; or stop."""

    @property
    def used(self) -> bool:
        """Whether there is a way out at all."""
        return self.cache is not None or self.executor is not None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, once each."""
        return tuple(dict.fromkeys(address for address in (self.cache, self.executor) if address is not None))

    @property
    def where(self) -> str:
        """All of it that a user knows it by."""
        return f"remote {' and '.join(self.addresses)}{f' (instance {self.instance})' if self.instance else ''}"

    @property
    def tls(self) -> bool:
        """Whether the addresses have TLS: all, or none."""
        return all(address.startswith(("grpcs:", "https:")) for address in self.addresses)

    @field_validator("cache", "executor", mode="after")
    @classmethod
    def _reachable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            forms, said = (_GRPC, "") if info.field_name == "executor" else (f"{_GRPC}|{_HTTP}", ", or https, http")
            if not re.fullmatch(forms, value):
                raise ValueError(f"an address is grpcs://HOST:PORT (or grpc{said}), without user, password and query")
            host, port = host_and_port(value)
            if not 0 < port < 65536:
                raise ValueError(f"there is no port {port}")
            if _is_loopback(host):
                raise ValueError(
                    f"{host} is the build's own container there; give an address of this machine that containers "
                    "reach (docker network inspect bridge says which)"
                )
        return value

    @field_validator("headers", mode="after")
    @classmethod
    def _of_the_user(cls, value: dict[str, Header]) -> dict[str, Header]:
        for name in value:
            if name in _OURS or name.startswith("grpc-") or name.endswith("-bin"):
                raise ValueError(f"{name} is a header of the protocol itself")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Remote:
        if not self.used:
            if self != Remote.model_construct():
                raise ValueError("without 'cache' or 'executor' there is nothing that the rest could be for")
            return self
        schemes = {address.partition("://")[0] for address in self.addresses}
        if len({scheme.endswith("s") for scheme in schemes}) > 1:
            raise ValueError("'cache' and 'executor' both have TLS (grpcs, https), or neither")
        if self.executor is not None and schemes & {"http", "https"}:
            raise ValueError("an executor needs a cache that speaks gRPC, not HTTP")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' go together")
        if not self.tls:
            secret = [name for name in ("ca", "certificate", "headers") if getattr(self, name)]
            if secret:
                raise ValueError(f"'{secret[0]}' needs an address with TLS: grpcs:// or https://")
        alone = [name for name in ("properties", "jobs") if getattr(self, name) and self.executor is None]
        if alone:
            raise ValueError(f"'{alone[0]}' is for an executor")
        return self


def host_and_port(address: str) -> tuple[str, int]:
    """Where an address leads. Raises ValueError for a port that is no number below 65536."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port if parts.port is not None else _PORTS[parts.scheme]


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified
