"""Endpoints as people write them, and as sockets have them."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard import ConfigurationError

if TYPE_CHECKING:
    from octelium.tunnel.engines.interface import Place
    from octelium.tunnel.wireguard import Endpoint

_MAPPED = "::ffff:"


def from_place(place: Place, *, v4: int | None, v6: bool) -> Endpoint:
    """The socket address of a place; `v4` is the family of the socket that IPv4 goes through.

    Raises:
        ConfigurationError: no address literal, no port, or no socket of its family.
    """
    family, address = check_place(place)
    host, port = place
    if family == socket.AF_INET:
        if v4 is None:
            raise ConfigurationError(f"endpoint {host!r}: the engine has no socket for IPv4")
        if v4 == socket.AF_INET6:
            return (_MAPPED + str(address[0]), port, 0, 0)
    elif not v6:
        raise ConfigurationError(f"endpoint {host!r}: the engine has no socket for IPv6")
    return address  # type: ignore[return-value]  # of one of the two families


def check_place(place: Place) -> tuple[int, tuple[object, ...]]:
    """The family of a place, and its socket address.

    Raises:
        ConfigurationError: no address literal, or no port.
    """
    host, port = place
    if not host:
        raise ConfigurationError("endpoint: no address")
    try:
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"endpoint {host!r} port {port}: {error}") from error
    if not 0 < port < 65_536:
        raise ConfigurationError(f"endpoint {host!r}: the port must be 1 to 65535, not {port}")
    return found[0][0], found[0][4]


def to_place(endpoint: Endpoint) -> Place:
    """The reverse of `from_place`."""
    host = endpoint[0]
    if len(endpoint) == 2:
        return host, endpoint[1]
    mapped = getattr(ip_address(host), "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped), endpoint[1]
    scope = endpoint[3]
    if scope and "%" not in host:
        host = f"{host}%{scope}"
    return host, endpoint[1]
