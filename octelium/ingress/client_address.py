"""Whom a request came from when trusted proxies stand in front of the front door."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from octelium.http.syntax import OWS

if TYPE_CHECKING:
    from octelium.http.message import HeaderBlock

MAX_HOPS: Final = 11


def client_address(peer: str, block: HeaderBlock, hops: int) -> str:
    """The client's address: the peer's, or what the `hops`-th trusted proxy saw.

    Each trusted proxy appends the address of its own client to `X-Forwarded-For`, so the n-th
    from the right was written by the n-th proxy. Everything left of it may be forged. Outside of
    1…11 hops the field is not looked at. Where there are fewer entries, or an invalid one, the
    peer's own address is the only thing known for sure.
    """
    if not 1 <= hops <= MAX_HOPS:
        return peer
    entries = [
        entry.strip(OWS) for value in block.all(b"x-forwarded-for") for entry in value.split(b",")
    ]
    if len(entries) < hops:
        return peer
    try:
        return str(ip_address(entries[-hops].decode("ascii")))
    except ValueError:
        return peer
