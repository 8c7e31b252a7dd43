"""The timers of the WireGuard paper, section 6, of one peer each.

Each function notes one event. None is called more than once per peer and batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.constants import NEVER

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.peer import Peer
    from octelium.tunnel.wireguard.state import State


class Timers:
    """Sets and clears the timers of peers; who acts on them is `Device.tick`."""

    __slots__ = ("_scheduler", "_state", "_timing")

    def __init__(self, state: State) -> None:
        self._state = state
        self._scheduler = state.scheduler
        self._timing = state.timing

    def sent(self, peer: Peer, now: float, *, data: bool) -> None:
        """Something authentic was sent; `data` if it was not a keepalive nor a handshake.

        An answer to data is expected within KEEPALIVE_TIMEOUT + REKEY_TIMEOUT (section 6.5).
        """
        peer.keepalive_at = NEVER
        if data and peer.new_handshake_at == NEVER:
            timing = self._timing
            patience = timing.keepalive_timeout + timing.rekey_timeout
            peer.new_handshake_at = now + patience + self._state.random(timing.jitter)
            self._scheduler.wake(peer, peer.new_handshake_at)
        self.traversed(peer, now)

    def received(self, peer: Peer, now: float, *, data: bool) -> None:
        """Something authentic came; data is answered within KEEPALIVE_TIMEOUT (section 6.5)."""
        peer.new_handshake_at = NEVER
        if data:
            if peer.keepalive_at == NEVER:
                peer.keepalive_at = now + self._timing.keepalive_timeout
                self._scheduler.wake(peer, peer.keepalive_at)
            else:
                peer.another_keepalive = True
        self.traversed(peer, now)

    def traversed(self, peer: Peer, now: float) -> None:
        """Something went or came: the persistent keepalive counts anew."""
        if peer.persistent:
            peer.persistent_at = now + peer.persistent
            self._scheduler.wake(peer, peer.persistent_at)

    def initiated(self, peer: Peer, now: float) -> None:
        """An initiation was sent: again after REKEY_TIMEOUT and a random part (section 6.4)."""
        timing = self._timing
        peer.retransmit_at = now + timing.rekey_timeout + self._state.random(timing.jitter)
        self._scheduler.wake(peer, peer.retransmit_at)

    def derived(self, peer: Peer, now: float) -> None:
        """Keys of a session came about; they are dropped if no others follow (section 6.3)."""
        peer.forget_at = now + self._timing.forget_after
        self._scheduler.wake(peer, peer.forget_at)

    def complete(self, peer: Peer, now: float) -> None:
        """A handshake is complete for both sides."""
        peer.retransmit_at = NEVER
        peer.attempts = peer.tries = 0
        peer.asked_last_minute = False
        peer.handshake_at = now
        peer.handshake_wall = self._state.wall()
        self._state.counters.handshakes += 1
        self._state.changed.add(peer.public)

    def stop(self, peer: Peer) -> None:
        """Clear all timers of a peer that is no more."""
        peer.retransmit_at = peer.keepalive_at = peer.new_handshake_at = NEVER
        peer.forget_at = peer.persistent_at = NEVER
        self._scheduler.forget(peer)
