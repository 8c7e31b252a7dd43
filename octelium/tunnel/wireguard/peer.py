"""One peer's state: keys, sessions, place, timers, counts. The rules are in the other modules."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.constants import NEVER
from octelium.tunnel.wireguard.identity import cookie_key, mac1_key
from octelium.tunnel.wireguard.noise import NO_PSK

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.endpoints import Endpoint
    from octelium.tunnel.wireguard.identity import Identity
    from octelium.tunnel.wireguard.keypair import Keypair
    from octelium.tunnel.wireguard.noise import Initiator


class Peer:
    """State of one peer.

    Attributes:
        previous, current, next: sessions: one may still be received with; the one to send with;
            the one that a response made and that the first message with it confirms.
        pending: our handshake under way.
        identity: our key that the last handshake with this peer used.
        staged: packets that wait for a session.
        initiation_at: when an initiation or a response was last sent to the peer.
        initiation_seen: when an initiation of the peer was last taken.
        wake: when the scheduler asks for this peer; its own.
        retransmit_at .. persistent_at: timers of section 6, NEVER if not set.
        attempts: times that an initiation was repeated, of REKEY_ATTEMPT_TIME's worth.
        tries: initiations sent since the last session.
        asked_last_minute: the present session was asked to be renewed on receipt.
        another_keepalive: data came while a keepalive was due already.
        cookie: of the last cookie reply, taken at `cookie_at`; b"" if none.
        last_mac1: of the last handshake message to the peer, which its cookie reply names.
        timestamp: greatest TAI64N label received.
        handshake_at, handshake_wall: when the last session came about, by the clock in seconds and
            by the wall in nanoseconds since 1970; NEVER and 0 if none did.
    """

    __slots__ = (
        "another_keepalive",
        "asked_last_minute",
        "attempts",
        "cookie",
        "cookie_at",
        "cookie_key",
        "current",
        "endpoint",
        "forget_at",
        "handshake_at",
        "handshake_wall",
        "identity",
        "initiation_at",
        "initiation_seen",
        "keepalive_at",
        "last_mac1",
        "mac1_key",
        "new_handshake_at",
        "next",
        "pending",
        "persistent",
        "persistent_at",
        "previous",
        "psk",
        "public",
        "retransmit_at",
        "rx_bytes",
        "staged",
        "timestamp",
        "tries",
        "tx_bytes",
        "wake",
    )

    def __init__(self, public: bytes) -> None:
        self.become(public)
        self.psk = NO_PSK
        self.endpoint: Endpoint | None = None
        self.persistent = 0
        self.identity: Identity | None = None
        self.pending: Initiator | None = None
        self.previous: Keypair | None = None
        self.current: Keypair | None = None
        self.next: Keypair | None = None
        self.staged: deque[bytes] = deque()
        self.timestamp = b""
        self.initiation_seen = -NEVER
        self.initiation_at = -NEVER
        self.attempts = 0
        self.tries = 0
        self.asked_last_minute = False
        self.another_keepalive = False
        self.wake = NEVER
        self.retransmit_at = NEVER
        self.keepalive_at = NEVER
        self.new_handshake_at = NEVER
        self.forget_at = NEVER
        self.persistent_at = NEVER
        self.rx_bytes = 0
        self.tx_bytes = 0
        self.handshake_at = NEVER
        self.handshake_wall = 0

    def become(self, public: bytes) -> None:
        """Have another public key from now on, and no cookie of the old one."""
        self.public = public
        self.mac1_key = mac1_key(public)
        self.cookie_key = cookie_key(public)
        self.cookie = b""
        self.cookie_at = -NEVER
        self.last_mac1 = b""

    def earliest(self) -> float:
        """The first of the timers that are set."""
        return min(
            self.retransmit_at,
            self.keepalive_at,
            self.new_handshake_at,
            self.forget_at,
            self.persistent_at,
        )
