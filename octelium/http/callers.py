"""Who counts as one caller where callers are told apart by their addresses."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

_PREFIX: Final = 64
"""Bits of an IPv6 address that tell subscribers apart (RFC 6177)."""


@lru_cache(4096)
def caller_of(address: str) -> str:
    """What counts as one caller: an IPv4 address, the network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _PREFIX), strict=False))
