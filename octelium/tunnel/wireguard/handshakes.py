"""Handshakes in both roles: when one is begun, what one received changes (paper, section 5.4)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.constants import (
    INITIATION_INTERVAL,
    INITIATIONS_AT_ONCE,
    MAX_INITIATIONS,
    NEVER,
)
from octelium.tunnel.wireguard.cookies import accept_cookie, sign
from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.keypair import Keypair
from octelium.tunnel.wireguard.messages import (
    INITIATION,
    RESPONSE,
    SIZES,
    CookieReply,
    Initiation,
    Response,
)
from octelium.tunnel.wireguard.noise import Initiator, Responder

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.endpoints import Endpoint
    from octelium.tunnel.wireguard.identity import Identity
    from octelium.tunnel.wireguard.peer import Peer
    from octelium.tunnel.wireguard.state import State
    from octelium.tunnel.wireguard.timers import Timers


class Handshakes:
    """Sends and takes handshake messages of a device.

    To open an initiation costs as much as fifty packets, so that only a few are opened in a turn;
    the others wait for `proceed`, and packets pass in between.
    """

    __slots__ = ("_left", "_state", "_timers", "_waiting")

    def __init__(self, state: State, timers: Timers) -> None:
        self._state = state
        self._timers = timers
        self._left = 0
        self._waiting: deque[tuple[Identity, bytes, Endpoint]] = deque()

    @property
    def has_waiting(self) -> bool:
        """Whether `proceed` has something to do."""
        return bool(self._waiting)

    def turn(self) -> None:
        """Datagrams came that will be received together."""
        self._left = INITIATIONS_AT_ONCE

    def proceed(self, now: float) -> None:
        """Open the initiations that have waited longest."""
        for _ in range(min(INITIATIONS_AT_ONCE, len(self._waiting))):
            self._open(*self._waiting.popleft(), now)

    def initiate(self, peer: Peer, now: float, *, retry: bool = False) -> None:
        """Send an initiation, or let it wait if a handshake began within REKEY_TIMEOUT.

        That is section 6.1; the peer's own handshake, which we answered, counts as well. `retry`
        is for the timer that repeats an initiation; all others begin to count anew.
        """
        if peer.endpoint is None:
            return
        if not retry:
            peer.attempts = 0
        if now - peer.initiation_at < self._state.timing.rekey_timeout:
            if peer.retransmit_at == NEVER:
                self._timers.initiated(peer, peer.initiation_at)
            return
        peer.initiation_at = now
        state = self._state
        state.indices.abandon(peer)
        handshake = Initiator(self._identity_for(peer, now), peer.public, state.indices.fresh())
        unsigned = handshake.initiate(state.label())
        state.indices.handshakes[handshake.index] = peer
        peer.pending = handshake
        peer.tries += 1
        state.emit(peer, sign(peer, unsigned, now))
        self._timers.sent(peer, now, data=False)
        self._timers.initiated(peer, now)

    def _identity_for(self, peer: Peer, now: float) -> Identity:
        """Our key that the peer knows, as far as that can be told.

        A peer may not have heard of a new key yet, or may have forgotten the old one without our
        seeing it: initiations take turns. So they do among all keys in force for a peer that has
        told of none since our start.
        """
        accepted = self._state.identities.accepted(now)
        if peer.identity is None:
            return accepted[peer.tries % len(accepted)]
        if peer.identity in accepted and peer.tries % 2 == 0:
            return peer.identity
        return accepted[0]

    def receive(self, message: bytes, kind: int, source: Endpoint, now: float) -> Peer | None:
        """Take a handshake message; the peer, if it may be sent to from now on."""
        counters = self._state.counters
        if len(message) != SIZES[kind]:
            counters.malformed += 1
            return None
        if kind == INITIATION:
            self._initiation(message, source, now)
        elif kind == RESPONSE:
            return self._response(message, source, now)
        else:
            self._cookie(message, now)
        return None

    def _initiation(self, message: bytes, source: Endpoint, now: float) -> None:
        state = self._state
        accepted = state.identities.accepted(now)
        identity = state.admission.admit_initiation(accepted, message, source, now)
        if identity is None:
            return
        if self._left and not self._waiting:
            self._left -= 1
            self._open(identity, message, source, now)
        elif len(self._waiting) < MAX_INITIATIONS:
            self._waiting.append((identity, message, source))
        else:
            state.counters.overload += 1

    def _open(self, identity: Identity, message: bytes, source: Endpoint, now: float) -> None:
        state = self._state
        try:
            handshake = Responder(identity, Initiation.parse(message))
            peer = state.peers.get(handshake.public)
            if peer is None:
                state.counters.unknown_peer += 1
                return
            timestamp = handshake.timestamp()
            early = now - peer.initiation_seen < INITIATION_INTERVAL
            if timestamp <= peer.timestamp or early:
                state.counters.old_handshake += 1
                return
            index = state.indices.fresh()
            unsigned, send, receive = handshake.respond(index, peer.psk)
        except HandshakeError:
            state.counters.bad_handshake += 1
            return
        peer.timestamp = timestamp
        peer.initiation_seen = now
        peer.identity = identity
        remote = int.from_bytes(message[4:8], "little")
        keypair = self._keypair(peer, index, remote, send, receive, now, initiator=False)
        state.indices.rotate(peer, keypair)
        peer.rx_bytes += len(message)
        state.roam(peer, source)
        state.changed.add(peer.public)
        self._timers.received(peer, now, data=False)
        peer.initiation_at = now
        state.emit(peer, sign(peer, unsigned, now))
        self._timers.sent(peer, now, data=False)
        self._timers.derived(peer, now)

    def _response(self, message: bytes, source: Endpoint, now: float) -> Peer | None:
        state = self._state
        response = Response.parse(message)
        peer = state.indices.handshakes.get(response.receiver)
        if peer is None or peer.pending is None:
            state.counters.unknown_index += 1
            return None
        handshake = peer.pending
        if not state.admission.admit_response(handshake.identity, message, now):
            return None
        try:
            send, receive = handshake.finish(response, peer.psk)
        except HandshakeError:
            state.counters.bad_handshake += 1
            return None
        state.indices.abandon(peer)
        keypair = self._keypair(
            peer, handshake.index, response.sender, send, receive, now, initiator=True
        )
        state.indices.rotate(peer, keypair)
        peer.identity = handshake.identity
        peer.rx_bytes += len(message)
        state.roam(peer, source)
        self._timers.received(peer, now, data=False)
        self._timers.derived(peer, now)
        self._timers.complete(peer, now)
        return peer

    def _cookie(self, message: bytes, now: float) -> None:
        reply = CookieReply.parse(message)
        peer = self._state.indices.peer(reply.receiver)
        if peer is None:
            self._state.counters.unknown_index += 1
            return
        try:
            accept_cookie(peer, reply, now)
        except HandshakeError:
            self._state.counters.bad_cookie += 1
        else:
            self._state.counters.cookies_received += 1

    def _keypair(
        self,
        peer: Peer,
        index: int,
        remote: int,
        send: bytes,
        receive: bytes,
        now: float,
        *,
        initiator: bool,
    ) -> Keypair:
        timing = self._state.timing
        return Keypair(
            peer,
            index=index,
            remote=remote,
            send=send,
            receive=receive,
            initiator=initiator,
            dies=now + timing.reject_after,
            renew=now + timing.rekey_after if initiator else NEVER,
            last_minute=now + timing.last_minute if initiator else NEVER,
        )
