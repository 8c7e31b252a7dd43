"""What the gateway tells control of itself: whether traffic flows, and its counters."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from octelium.tunnel.wireguard import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.tunnel.engines.interface import Engine

TOPIC = "gateway"
"""Of batches that hold reports."""
LIVE = 180.0
"""Seconds after which a session of WireGuard ends (the WireGuard paper, section 6.1)."""
_LONGEST = 1000


class ReportError(ValueError):
    """Not a report."""


@runtime_checkable
class Counts(Protocol):
    """An engine that adds up what its peers did."""

    def totals(self, since: float, besides: bytes) -> Totals:
        """Of all peers but the one with the key `besides`. Those are live whose session came about
        after `since`, in unix seconds.
        """


@dataclass(frozen=True, slots=True)
class Report:
    """`trouble` is empty while traffic flows; `series` is as `visibility.metrics` has them."""

    trouble: str
    series: Mapping[str, float]

    def encode(self) -> bytes:
        """For the feed."""
        return json.dumps({"trouble": self.trouble, "series": dict(self.series)}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Report:
        """The reverse. Raises ReportError."""
        try:
            given = json.loads(data)
            trouble, series = given["trouble"], given["series"]
        except (ValueError, RecursionError, TypeError, KeyError) as error:
            raise ReportError("not an object with trouble and series") from error
        if not isinstance(trouble, str) or not isinstance(series, dict):
            raise ReportError("trouble is no text, or series no object")
        if not all(type(each) in (int, float) and math.isfinite(each) for each in series.values()):
            raise ReportError("series: not numbers")
        return cls(trouble[:_LONGEST], series)


def series_of(
    engine: Engine, now: float, counters: Mapping[str, int], besides: bytes = b""
) -> dict[str, float]:
    """What an engine has done; `counters` are further ones, such as the firewall's. `now` is in
    unix seconds. The peer with the key `besides` does not count.
    """
    counted = engine.totals if isinstance(engine, Counts) else partial(_totals, engine)
    totals = counted(now - LIVE, besides)
    told: dict[str, float] = {
        "octelium_tunnel_peers": totals.peers,
        "octelium_tunnel_peers_live": totals.live,
        "octelium_tunnel_received_bytes_total": totals.received,
        "octelium_tunnel_sent_bytes_total": totals.sent,
    }
    for name, value in {**engine.counters(), **counters}.items():
        told[f'octelium_tunnel_events_total{{event="{name}"}}'] = value
    return told


def _totals(engine: Engine, since: float, besides: bytes) -> Totals:
    stats = [each for key, each in engine.stats().items() if key != besides]
    return Totals(
        len(stats),
        sum(each.last_handshake > since for each in stats),
        sum(each.received for each in stats),
        sum(each.sent for each in stats),
    )
