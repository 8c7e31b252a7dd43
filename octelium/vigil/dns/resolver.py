"""Questions passed on to other resolvers: which zone, which server, and what is kept."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from octelium.http.tasks import spawn
from octelium.schema.dns_servers import parse_dns_server
from octelium.schema.durations import milliseconds
from octelium.vigil.dns.answers import (
    FILTERED,
    UNREACHABLE,
    BadAnswerError,
    Received,
    is_loaded,
    is_truncated,
    load,
    read_answer,
)
from octelium.vigil.dns.cache import Cache
from octelium.vigil.dns.links import LinkError, Links, Peer
from octelium.vigil.dns.wire import NXDOMAIN, SERVFAIL, Answer
from octelium.vigil.dns.zones import Labels, domain_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.vigil.dns.answers import Question
    from octelium.vigil.dns.guard import Guard
    from octelium.vigil.served import Served

_LOG = logging.getLogger(__name__)
_NUMBERS = itertools.count(1)

TOTAL: Final = 6.0
"""Seconds in which a client gets an answer, or is told that there is none."""
CACHE_BYTES: Final = 8 << 20
LONGEST: Final = 3600.0
"""Seconds that an answer is kept at most, unless `cacheDuration` says less."""
LONGEST_NEGATIVE: Final = 300.0
_FAILURE: Final = 1.0
"""Seconds that a failure is remembered (RFC 9520 §3.2)."""
_DATAGRAM_PATIENCE: Final = 1.5
_STREAM_PATIENCE: Final = 3.0
_ATTEMPTS: Final = 6
_BLAMED: Final = 10.0
"""Seconds that a server which failed is asked after the others."""
_WARN_EVERY: Final = 60.0
_DEFAULT: Final = ("tls://8.8.8.8", "tls://1.1.1.1")
"""Octelium's own choice for Clusters without a `fallbackZone`."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Servers that know the same names. `longest` seconds is how long their answers are kept."""

    peers: tuple[Peer, ...]
    longest: float = LONGEST
    number: int = field(default_factory=lambda: next(_NUMBERS))
    """Tells apart what is kept of different zones."""


class Zones:
    """`spec.dns` of a ClusterConfig: which zone a name is in."""

    def __init__(self, dns: core.ClusterConfigSpecDns) -> None:
        """Servers that cannot be read, which validation refuses, are left out and logged."""
        default = dns.fallback_zone
        self._fallback = _zone(default) if default.servers else _zone_of(_DEFAULT, default)
        self._zones: dict[Labels, Zone] = {}
        for one in dns.zones:
            zone = _zone(one)
            for domain in one.domains:
                self._zones.setdefault(domain_labels(domain), zone)

    def of(self, name: Labels) -> Zone:
        """The zone with the longest domain that a name, in lower case, is at or below."""
        if self._zones:
            for start in range(len(name)):
                zone = self._zones.get(name[start:])
                if zone is not None:
                    return zone
        return self._fallback


def _zone(zone: core.ClusterConfigSpecDnsZone) -> Zone:
    return _zone_of(tuple(zone.servers), zone)


def _zone_of(servers: tuple[str, ...], zone: core.ClusterConfigSpecDnsZone) -> Zone:
    peers = []
    for text in servers:
        try:
            peers.append(Peer(parse_dns_server(text)))
        except ValueError as error:
            _LOG.error("spec.dns of the ClusterConfig: %s", error)
    longest = LONGEST
    if zone.HasField("cache_duration"):
        longest = milliseconds(zone.cache_duration) / 1000
    return Zone(tuple(peers), longest)


class Resolver:
    """Asks other resolvers and keeps their answers. `clock` gives seconds that only increase.

    `total` is `TOTAL` but in tests. `served` gives the upstreams at connected clients.
    """

    def __init__(
        self,
        guard: Callable[[], Guard],
        *,
        clock: Callable[[], float] = time.monotonic,
        total: float = TOTAL,
        cache_bytes: int = CACHE_BYTES,
        served: Callable[[], Served] | None = None,
    ) -> None:
        self.links = Links(served)
        self.cache = Cache(cache_bytes, clock)
        self.failures = 0
        """Questions that no server answered."""
        self.filtered = 0
        """Answers that pointed into the Cluster."""
        self._guard = guard
        self._clock = clock
        self._total = total
        self._running: dict[tuple[int, Question], asyncio.Task[Answer]] = {}
        self._blamed: dict[Peer, float] = {}
        self._warned = -_WARN_EVERY

    def close(self) -> None:
        """Stop asking."""
        for task in tuple(self._running.values()):
            task.cancel()
        self.links.close()

    def kept(self, zone: Zone, question: Question) -> Answer | None:
        """An answer that need not be asked for."""
        return self.cache.get((zone.number, question))

    async def resolve(self, zone: Zone, question: Question) -> Answer:
        """The answer of a zone's servers; a failure if none of them gives one. Never raises.

        Equal questions that are asked meanwhile are asked once.
        """
        key = (zone.number, question)
        task = self._running.get(key)
        if task is None:
            task = spawn(self._ask(zone, question), name="dns question")
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, zone: Zone, question: Question) -> Answer:
        if not is_loaded():  # in a thread: it takes a tenth of a second
            await asyncio.to_thread(load)
        received = None
        try:
            async with asyncio.timeout(self._total):
                received = await self._try_servers(zone, question)
        except TimeoutError:
            pass
        if received is None:
            self.failures += 1
            received = Received(UNREACHABLE)
        answer = received.answer
        if answer.rcode == SERVFAIL:
            seconds = _FAILURE
            if answer.error == FILTERED:
                self._tell_filtered(question)
        else:
            negative = answer.rcode == NXDOMAIN or not answer.counts[0]
            longest = min(zone.longest, LONGEST_NEGATIVE) if negative else zone.longest
            seconds = min(received.seconds, longest)
        self.cache.put((zone.number, question), received, seconds)
        return answer

    async def _try_servers(self, zone: Zone, question: Question) -> Received | None:
        for peer in itertools.islice(itertools.cycle(self._order(zone)), _ATTEMPTS):
            try:
                received = read_answer(await self._message(peer, question), question, self._guard())
            except (LinkError, BadAnswerError, TimeoutError) as error:
                self._blame(peer)
                why = str(error) or "it takes too long"
                _LOG.debug("DNS server %s gave no answer: %s", peer.server.host, why)
                continue
            self._blamed.pop(peer, None)
            return received
        return None

    async def _message(self, peer: Peer, question: Question) -> bytes:
        """The response of one server, whole."""
        if peer.server.transport == "udp":
            async with asyncio.timeout(_DATAGRAM_PATIENCE):
                message = await self.links.datagram(peer, question)
            if not is_truncated(message):
                return message
            if peer.user:
                raise BadAnswerError("it does not fit into a datagram, and clients serve no others")
        async with asyncio.timeout(_STREAM_PATIENCE):
            return await self.links.stream(peer, question)

    def _order(self, zone: Zone) -> list[Peer]:
        """The servers from a random one on, those that failed of late last."""
        peers = list(zone.peers)
        if len(peers) > 1:
            start = secrets.randbelow(len(peers))
            peers = peers[start:] + peers[:start]
            now = self._clock()
            peers.sort(key=lambda peer: self._blamed.get(peer, 0.0) > now)
        return peers

    def _blame(self, peer: Peer) -> None:
        now = self._clock()
        if len(self._blamed) > 1000:
            self._blamed = {one: until for one, until in self._blamed.items() if until > now}
        self._blamed[peer] = now + _BLAMED

    def _tell_filtered(self, question: Question) -> None:
        self.filtered += 1
        now = self._clock()
        if now - self._warned >= _WARN_EVERY:
            self._warned = now
            _LOG.warning(
                "%d answers of other resolvers pointed into the private network and were dropped, "
                "the last one for a question of type %d",
                self.filtered,
                question.type,
            )
