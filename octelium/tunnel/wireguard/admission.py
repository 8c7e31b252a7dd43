"""Which handshake messages are opened: mac1 before all else, then cookies and budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.cookies import CookieMaker, mac1_is_right
from octelium.tunnel.wireguard.endpoints import Endpoint, bucket_of, packed
from octelium.tunnel.wireguard.load import Bucket, Gauge, Limits, RateGauge, Sources

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.counters import Counters
    from octelium.tunnel.wireguard.identity import Identity
    from octelium.tunnel.wireguard.outbox import Outbox

MAX_FORMER = 4
"""Replaced keys that are accepted at a time; each makes the check of mac1 dearer by 1 µs."""


class Identities:
    """The device's present key, and keys it had that are still accepted for a while."""

    __slots__ = ("former", "present")

    def __init__(self, present: Identity) -> None:
        self.present = present
        self.former: list[Identity] = []

    def replace(self, present: Identity, until: float) -> None:
        """Have another key; the one before is accepted until `until`."""
        before, self.present = self.present, present
        before.expires = until
        self.former = [before, *self.former][:MAX_FORMER]

    def accepted(self, now: float) -> list[Identity]:
        """All keys in force, the present one first."""
        if self.former:
            self.former = [one for one in self.former if now < one.expires]
        return [self.present, *self.former]

    def forget(self, public: bytes) -> None:
        """Drop the secrets shared with a peer that is no more."""
        for identity in (self.present, *self.former):
            identity.forget(public)


class Admission:
    """Decides in the order of cost: 2 µs for mac1, 20 µs for a cookie, then the handshake."""

    __slots__ = (
        "_answered",
        "_cookies",
        "_counters",
        "_gauge",
        "_maker",
        "_outbox",
        "_responses",
        "sources",
    )

    def __init__(
        self, counters: Counters, outbox: Outbox, limits: Limits, gauge: Gauge | None
    ) -> None:
        self._counters = counters
        self._outbox = outbox
        self._maker = CookieMaker()
        self._gauge = gauge if gauge is not None else RateGauge(limits.busy)
        self._answered = Bucket(limits.answered)
        self._responses = Bucket(limits.answered)
        self._cookies = Bucket(limits.cookies)
        self.sources = Sources(limits.per_source, limits.sources)

    def admit_initiation(
        self, identities: list[Identity], message: bytes, source: Endpoint, now: float
    ) -> Identity | None:
        """The key that an initiation is meant for; None if it goes no further.

        Under load a source that has not proven its address is sent a cookie reply instead.
        """
        identity = self._meant_for(identities, message)
        if identity is None or not self._gauge.arrived(now):
            return identity
        place = packed(source)
        if not self._maker.proven(message, place, now):
            if self._cookies.take(now):
                self._outbox.put(source, self._maker.reply(identity, message, place, now))
                self._counters.cookies_sent += 1
            else:
                self._counters.overload += 1
            return None
        if not self.sources.take(bucket_of(place), now) or not self._answered.take(now):
            self._counters.overload += 1
            return None
        return identity

    def admit_response(self, identity: Identity, message: bytes, now: float) -> bool:
        """Whether a response to an initiation of `identity` is opened.

        It names the random index of our initiation, which proves as much as a cookie would: its
        sender receives what we send there. So none is asked for, which spares 5 s under load.
        """
        if self._meant_for([identity], message) is None:
            return False
        if self._responses.take(now):
            return True
        self._counters.overload += 1
        return False

    def _meant_for(self, identities: list[Identity], message: bytes) -> Identity | None:
        for identity in identities:
            if mac1_is_right(identity, message):
                return identity
        self._counters.bad_mac1 += 1
        return None
