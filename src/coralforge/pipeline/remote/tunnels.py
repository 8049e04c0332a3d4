"""Ports in the build's container that lead to the servers of ``remote:`` through TLS, which Debian's Bazel lacks.

Bazel believes to speak to the server itself: the server's name leads to a loopback address there, so that what it
asks for has the right name in it. ``scripts/remote_tunnel.py`` does the work.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from coralforge.config.remote import Remote, host_and_port


@dataclass(frozen=True)
class Tunnel:
    """A port of the container's loopback, and the server behind it."""

    listen: str
    """IPv4 address, one for each host."""
    listen_port: int
    """The server's: it is a part of its name."""
    host: str
    port: int
    addresses: tuple[str, ...]
    """Of the host, in the order in which they are tried."""
    protocol: str
    """For TLS's ALPN: ``h2`` or ``http/1.1``."""


def tunnels(remote: Remote) -> tuple[Tunnel, ...]:
    """A tunnel for each server. Raises OSError for a host that has no address."""
    found: dict[tuple[str, int], Tunnel] = {}
    hosts: dict[str, str] = {}
    for address in remote.addresses:
        host, port = host_and_port(address)
        listen = hosts.setdefault(host, f"127.0.0.{len(hosts) + 2}")
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(one[4][0]) for one in known))
        protocol = "h2" if address.startswith("grpc") else "http/1.1"
        found[host, port] = Tunnel(listen, port, host, port, addresses, protocol)
    return tuple(found.values())


def names(through: tuple[Tunnel, ...]) -> tuple[tuple[str, str], ...]:
    """Where hosts that have a name lead in the container."""
    return tuple(dict.fromkeys((one.host, one.listen) for one in through if not _is_number(one.host)))


def inside(remote: Remote, through: tuple[Tunnel, ...]) -> Remote:
    """The same servers as Bazel is told of them: without TLS, by way of the tunnels."""
    listens = {(one.host, one.port): one.listen for one in through}

    def plain(address: str | None) -> str | None:
        if address is None:
            return None
        scheme, _, rest = address.partition("://")
        host, port = host_and_port(address)
        _, slash, path = rest.partition("/")
        near = listens[host, port] if _is_number(host) else host
        return f"{scheme.removesuffix('s')}://{near}:{port}{slash}{path}"

    return remote.model_copy(update={"cache": plain(remote.cache), "executor": plain(remote.executor)})


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
