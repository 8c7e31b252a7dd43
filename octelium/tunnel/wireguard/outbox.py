"""Datagrams to send, gathered into bursts that one system call with UDP_SEGMENT can send."""

from __future__ import annotations

from octelium.tunnel.wireguard.constants import MAX_BURST, MAX_SEGMENTS
from octelium.tunnel.wireguard.endpoints import Endpoint

Burst = tuple[Endpoint, list[bytes]]
"""One place, and datagrams of one size for it; only the last may be smaller (udp(7))."""


class Outbox:
    """Datagrams in their order per endpoint; bursts hold what came one after the other."""

    __slots__ = ("_bursts", "_open")

    def __init__(self) -> None:
        self._bursts: list[Burst] = []
        # Endpoint -> (datagrams of the burst that may still grow, their size, how many may be)
        self._open: dict[Endpoint, tuple[list[bytes], int, int]] = {}

    def put(self, endpoint: Endpoint, datagram: bytes) -> None:
        """Queue one datagram."""
        size = len(datagram)
        grown = self._open.get(endpoint)
        if grown is not None:
            datagrams, segment, most = grown
            if size == segment and len(datagrams) < most:
                datagrams.append(datagram)
                return
            if size < segment and len(datagrams) < most:
                datagrams.append(datagram)
                del self._open[endpoint]
                return
        fresh = [datagram]
        self._bursts.append((endpoint, fresh))
        self._open[endpoint] = (fresh, size, min(MAX_SEGMENTS, MAX_BURST // size))

    def drain(self) -> list[Burst]:
        """All bursts, in the order of their first datagrams; the box is empty after."""
        bursts = self._bursts
        if bursts:
            self._bursts = []
            self._open = {}
        return bursts
