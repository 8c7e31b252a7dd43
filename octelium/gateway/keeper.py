"""Keeps the engine's peers equal to the connected Sessions, and remembers where they were."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from octelium.gateway.memory import Remembered
from octelium.tunnel.engines.interface import ConfigurationError, Engine, PeerConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.gateway.memory import Memory
    from octelium.gateway.peers import TunnelPeer
    from octelium.tunnel.engines.interface import PeerStats

_LOG = logging.getLogger(__name__)
_POKES = 32
"""Peers that are poked in one turn, so that a gateway with thousands answers in between."""
_SOONEST = 0.1
"""Seconds. Whose place is not noted yet when a gateway is killed has to begin a handshake itself,
which WireGuard does after 15 s of silence (the WireGuard paper, section 6.5)."""
_ASKED = 200
"""Peers per second whose places an engine is asked for that does not tell of changes."""


@runtime_checkable
class TellsChanges(Protocol):
    """An engine that knows which of its peers have changed."""

    def take_changed(self) -> Mapping[bytes, PeerStats]:
        """Peers whose endpoint, timestamp or session changed since the last call."""

    def on_change(self, told: Callable[[], None]) -> None:
        """Call `told` when `take_changed` has something to tell: once, until that is taken."""


class PeerKeeper:
    """Tells an engine of Sessions. `present` is who it has, by the uid of the Session.

    A Session with a new key is a new peer: everything of the old one goes first.
    """

    def __init__(self, engine: Engine, memory: Memory) -> None:
        self._engine = engine
        self._memory = memory
        self.present: dict[str, TunnelPeer] = {}
        self._keys: set[bytes] = set()
        self._returning: deque[bytes] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Note where peers are whenever the engine tells that it has changed, if it does.

        Changes within a tenth of a second are noted together.
        """
        if isinstance(self._engine, TellsChanges):
            self._loop = asyncio.get_running_loop()
            self._engine.on_change(self._noticed)

    def close(self) -> None:
        """Note where peers are for the last time."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.remember()

    def _noticed(self) -> None:
        if self._loop is not None and self._timer is None:
            self._timer = self._loop.call_later(_SOONEST, self._remember)

    def _remember(self) -> None:
        self._timer = None
        self.remember()

    def remove(self, uids: Iterable[str], peers: Mapping[str, TunnelPeer]) -> None:
        """Drop those of these Sessions that are no peers any more, or peers with another key."""
        for uid in uids:
            old, new = self.present.get(uid), peers.get(uid)
            if old is not None and (new is None or new.public_key != old.public_key):
                del self.present[uid]
                self._keys.discard(old.public_key)
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
                self._keys.add(peer.public_key)
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
        for _ in range(min(_POKES, len(self._returning))):
            public_key = self._returning.popleft()
            if public_key in self._keys:
                self._engine.poke(public_key)

    @property
    def pace(self) -> float:
        """Seconds between two calls of `remember` that cost little and miss little; infinity if
        none is needed, since the engine tells of changes.
        """
        if isinstance(self._engine, TellsChanges):
            return math.inf
        return max(_SOONEST, len(self.present) / _ASKED)

    def remember(self) -> None:
        """Note where peers are now."""
        engine = self._engine
        told = engine.take_changed() if isinstance(engine, TellsChanges) else engine.stats()
        for public_key, stats in told.items():
            if public_key not in self._keys:
                continue
            place = stats.endpoint
            if place is not None and "%" in place[0]:
                place = None  # a link's own address means nothing to the next process
            self._memory.put(public_key, Remembered(place, stats.timestamp, stats.own))
