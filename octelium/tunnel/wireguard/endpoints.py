"""Where a peer's datagrams come from and go to: socket addresses of Python's `socket` module."""

from __future__ import annotations

import socket

from octelium.tunnel.wireguard.errors import ConfigurationError

Endpoint = tuple[str, int] | tuple[str, int, int, int]
"""(address, port) of IPv4, (address, port, flow, scope) of IPv6; the address is a literal."""

_MAPPED = bytes(10) + b"\xff\xff"


def check_endpoint(endpoint: Endpoint) -> Endpoint:
    """`endpoint` if datagrams can be sent to it.

    Raises:
        ConfigurationError: no address literal of its family, or no port.
    """
    try:
        socket.inet_pton(_family(endpoint), endpoint[0].partition("%")[0])
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"endpoint {endpoint!r}: no IP address: {error}") from error
    if len(endpoint) not in (2, 4) or not 0 < endpoint[1] < 65_536:
        raise ConfigurationError(f"endpoint {endpoint!r}: the port must be 1 to 65535")
    return endpoint


def packed(endpoint: Endpoint) -> bytes:
    """Address and port as bytes: what a cookie is bound to (section 5.4.7)."""
    address = socket.inet_pton(_family(endpoint), endpoint[0].partition("%")[0])
    return address + endpoint[1].to_bytes(2, "big")


def bucket_of(place: bytes) -> bytes:
    """Who shares a budget of handshakes: one IPv4 address, or one IPv6 network of /64.

    `place` is an address of `packed`. An IPv4 address mapped into IPv6 counts as IPv4.
    """
    if len(place) == 6:
        return place[:4]
    return place[12:16] if place[:12] == _MAPPED else place[:8]


def _family(endpoint: Endpoint) -> int:
    return socket.AF_INET if len(endpoint) == 2 else socket.AF_INET6
