"""How much work handshakes may make: a gauge of load, and budgets per second."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from octelium.tunnel.wireguard.constants import NEVER


class Gauge(Protocol):
    """Tells when a device is under load (WireGuard paper, section 5.3)."""

    def arrived(self, now: float) -> bool:
        """A handshake message with a right mac1 came; whether cookies are to be asked for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets of a device. One handshake answered costs about a third of a millisecond."""

    busy: float = 400.0
    """Handshake messages a second beyond which their sources must prove where they are."""
    answered: float = 1000.0
    """Initiations a second that are opened while under load, and responses at any time."""
    cookies: float = 5000.0
    """Cookie replies a second."""
    per_source: float = 300.0
    """Handshake messages a second of one source under load: many peers may share one NAT."""
    sources: int = 8192
    """Sources that are counted at a time; each takes some 300 bytes."""


class Bucket:
    """A token bucket: `rate` a second, a second's worth at once."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = self._tokens = rate
        self._at = -NEVER

    def take(self, now: float) -> bool:
        """Whether there is one left; then it is taken."""
        if self._at != -NEVER:
            self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def full(self, now: float) -> bool:
        """Whether it has come to hold all it can, so that a new one would be its like."""
        return self._tokens + (now - self._at) * self._rate >= self._rate


class Sources:
    """A bucket for each source lately seen, the longest unseen first; `most` of them at most."""

    __slots__ = ("_buckets", "_most", "_rate")

    def __init__(self, rate: float, most: int) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[bytes, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, source: bytes, now: float) -> bool:
        """Whether `source` has one left. A source there is no room for has none."""
        bucket = self._buckets.get(source)
        if bucket is None:
            # Two go for each one that comes: the table shrinks when the sources calm down.
            for _ in range(2):
                self._drop_idle(now)
            if len(self._buckets) >= self._most:
                return False
            bucket = self._buckets[source] = Bucket(self._rate)
        self._buckets.move_to_end(source)
        return bucket.take(now)

    def _drop_idle(self, now: float) -> None:
        if self._buckets and next(iter(self._buckets.values())).full(now):
            self._buckets.popitem(last=False)


class RateGauge:
    """Under load for a second after more than `busy` messages came in one second."""

    __slots__ = ("_bucket", "_until")

    def __init__(self, busy: float) -> None:
        self._bucket = Bucket(busy)
        self._until = -NEVER

    def arrived(self, now: float) -> bool:
        """Count one message."""
        if not self._bucket.take(now):
            self._until = now + 1.0
        return now < self._until
