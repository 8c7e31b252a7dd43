"""Keeps the engine's peers equal to the connected Sessions, and remembers where they were."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from octelium.gateway.memory import Remembered
from octelium.tunnel.engines.interface import ConfigurationError, Engine, PeerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from octelium.gateway.memory import Memory
    from octelium.gateway.peers import TunnelPeer

_LOG = logging.getLogger(__name__)
_POKES = 32
"""Peers that are poked in one turn, so that a gateway with thousands answers in between."""
_SOONEST = 0.1
"""Seconds. Whose place is not noted yet when a gateway is killed has to begin a handshake itself,
which WireGuard does after 15 s of silence (the WireGuard paper, section 6.5)."""
_TOLD, _ASKED = 10_000, 200
"""Peers per second whose places an engine may be asked for, by whether it tells of changes."""


@runtime_checkable
class TellsChanges(Protocol):
    """An engine that knows which of its peers have changed."""

    def take_changed(self) -> set[bytes]:
        """Peers whose endpoint, timestamp or session changed since the last call."""


class PeerKeeper:
    """Tells an engine of Sessions. `present` is who it has, by the uid of the Session.

    A Session with a new key is a new peer: everything of the old one goes first.
    """

    def __init__(self, engine: Engine, memory: Memory) -> None:
        self._engine = engine
        self._memory = memory
        self.present: dict[str, TunnelPeer] = {}
        self._returning: deque[bytes] = deque()

    def remove(self, uids: Iterable[str], peers: Mapping[str, TunnelPeer]) -> None:
        """Drop those of these Sessions that are no peers any more, or peers with another key."""
        for uid in uids:
            old, new = self.present.get(uid), peers.get(uid)
            if old is not None and (new is None or new.public_key != old.public_key):
                del self.present[uid]
                self._engine.remove_peer(old.public_key)
                self._memory.forget(old.public_key)

    def admit(self, uids: Iterable[str], peers: Mapping[str, TunnelPeer]) -> None:
        """Have those of these Sessions that are peers. One that the engine refuses is logged."""
        for uid in uids:
            peer = peers.get(uid)
            if peer is None or self.present.get(uid) == peer:
                continue
            known = self._memory.get(peer.public_key) or Remembered(None)
            config = PeerConfig(
                peer.public_key,
                allowed_ips=peer.allowed_ips,
                endpoint=known.endpoint,
                timestamp=known.timestamp,
                own=known.own,
            )
            try:
                self._engine.put_peer(config)
            except ConfigurationError as error:
                _LOG.error("Session %s gets no tunnel: %s", uid, error)
            else:
                self.present[uid] = peer
                if known.endpoint is not None:
                    self._returning.append(peer.public_key)

    @property
    def returning(self) -> int:
        """How many are still to be poked."""
        return len(self._returning)

    def settle(self, peers: Mapping[str, TunnelPeer]) -> None:
        """Forget where peers were that are none any more: after a start, when all are known."""
        self._memory.keep_only(peer.public_key for peer in peers.values())

    def poke(self) -> None:
        """Let some of those hear of us who were here before us, if any are left."""
        present = {peer.public_key for peer in self.present.values()}
        for _ in range(min(_POKES, len(self._returning))):
            public_key = self._returning.popleft()
            if public_key in present:
                self._engine.poke(public_key)

    @property
    def pace(self) -> float:
        """Seconds between two calls of `remember` that cost little and miss little."""
        most = _TOLD if isinstance(self._engine, TellsChanges) else _ASKED
        return max(_SOONEST, len(self.present) / most)

    def remember(self) -> None:
        """Note where peers are now."""
        engine = self._engine
        changed = engine.take_changed() if isinstance(engine, TellsChanges) else None
        if changed is not None and not changed:
            return
        present = {peer.public_key for peer in self.present.values()}
        for public_key, stats in engine.stats().items():
            if public_key not in present or (changed is not None and public_key not in changed):
                continue
            place = stats.endpoint
            if place is not None and "%" in place[0]:
                place = None  # a link's own address means nothing to the next process
            self._memory.put(public_key, Remembered(place, stats.timestamp, stats.own))
