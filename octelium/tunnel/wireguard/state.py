"""What the parts of one device share."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.admission import Admission, Identities
from octelium.tunnel.wireguard.constants import MAX_STAGED, MAX_STAGED_BYTES, Timing
from octelium.tunnel.wireguard.counters import Counters
from octelium.tunnel.wireguard.indices import Indices
from octelium.tunnel.wireguard.outbox import Outbox
from octelium.tunnel.wireguard.primitives import following, tai64n
from octelium.tunnel.wireguard.routes import Routes
from octelium.tunnel.wireguard.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.tunnel.wireguard.endpoints import Endpoint
    from octelium.tunnel.wireguard.identity import Identity
    from octelium.tunnel.wireguard.load import Gauge, Limits
    from octelium.tunnel.wireguard.peer import Peer


def random_part(size: float) -> float:
    """A random time from 0 to `size` seconds."""
    return size * secrets.randbelow(1024) / 1024


class State:
    """Tables and clocks of one device.

    Attributes:
        changed: public keys of peers whose endpoint, timestamp or session changed.
        staged_bytes: bytes that wait for sessions, of all peers.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        timing: Timing,
        limits: Limits,
        gauge: Gauge | None,
        wall: Callable[[], int] = time.time_ns,
        random: Callable[[float], float] = random_part,
    ) -> None:
        self.identities = Identities(identity)
        self.timing = timing
        self.wall = wall
        self.random = random
        self.counters = Counters()
        self.outbox = Outbox()
        self.admission = Admission(self.counters, self.outbox, limits, gauge)
        self.peers: dict[bytes, Peer] = {}
        self.indices = Indices()
        self.routes: Routes[Peer] = Routes()
        self.scheduler = Scheduler()
        self.changed: set[bytes] = set()
        self.staged_bytes = 0
        self._label = b""

    def label(self) -> bytes:
        """A TAI64N label greater than all before it, even if the wall clock went back."""
        label = tai64n(self.wall())
        if label <= self._label:
            label = following(self._label)
        self._label = label
        return label

    def emit(self, peer: Peer, datagram: bytes) -> bool:
        """Queue a datagram to where the peer was last heard; False if that is not known."""
        if peer.endpoint is None:
            self.counters.no_endpoint += 1
            return False
        peer.tx_bytes += len(datagram)
        self.outbox.put(peer.endpoint, datagram)
        return True

    def roam(self, peer: Peer, source: Endpoint) -> None:
        """An authentic message of the peer came from `source` (section 2.1)."""
        if peer.endpoint != source:
            peer.endpoint = source
            self.changed.add(peer.public)

    def stage(self, peer: Peer, packet: bytes) -> None:
        """Let a packet wait for a session; the oldest give way."""
        self.staged_bytes += len(packet)
        peer.staged.append(packet)
        while peer.staged and (
            len(peer.staged) > MAX_STAGED or self.staged_bytes > MAX_STAGED_BYTES
        ):
            self.staged_bytes -= len(peer.staged.popleft())
            self.counters.staged_dropped += 1

    def take_staged(self, peer: Peer) -> list[bytes]:
        """All packets that wait for the peer's session; they wait no longer."""
        packets = list(peer.staged)
        peer.staged.clear()
        self.staged_bytes -= sum(map(len, packets))
        return packets

    def drop_staged(self, peer: Peer) -> None:
        """Give up what waits for the peer's session."""
        self.counters.staged_dropped += len(self.take_staged(peer))
