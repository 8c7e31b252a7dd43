"""Numbers of the protocol: the WireGuard paper, section 6.1, and what the section leaves open.

Times are seconds of the clock that the caller injects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
"""A counter from here on is neither sent nor taken (section 6.1)."""
REKEY_AFTER_MESSAGES = 2**60
"""A counter from here on asks for a new session (section 6.1)."""

NEVER = math.inf
"""The time of a timer that is not set."""

WINDOW = 4096
"""Counters that may arrive late, behind the greatest one (section 5.4.6 leaves the size open)."""

MAX_STAGED = 128
"""Packets that wait per peer for a session; the oldest give way."""
MAX_STAGED_BYTES = 32 << 20
"""Bytes that wait for sessions in a whole device."""

MAX_SEGMENTS = 64
"""Datagrams in one burst: UDP_MAX_SEGMENTS of Linux, udp(7), UDP_SEGMENT."""
MAX_BURST = 65_000
"""Bytes in one burst; one UDP datagram's payload is below 65,508."""

INITIATIONS_AT_ONCE = 4
"""Initiations that are opened in one turn, some 1.5 ms, while packets wait."""
MAX_INITIATIONS = 1024
"""Initiations that wait to be opened."""

INITIATION_INTERVAL = 0.02
"""Seconds; initiations of one peer closer together than this are dropped (section 5.1)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of section 6.1, in seconds; tests shorten them."""

    rekey_after: float = 120.0
    reject_after: float = 180.0
    rekey_attempt: float = 90.0
    rekey_timeout: float = 5.0
    keepalive_timeout: float = 10.0
    jitter: float = 0.333
    """A random part of this size is added before an initiation (section 6.1, last paragraph)."""

    @property
    def forget_after(self) -> float:
        """When keys of a peer that made no new session are dropped (section 6.3)."""
        return 3 * self.reject_after

    @property
    def last_minute(self) -> float:
        """The age at which a session's initiator renews it on receipt (section 6.2)."""
        return self.reject_after - self.keepalive_timeout - self.rekey_timeout
