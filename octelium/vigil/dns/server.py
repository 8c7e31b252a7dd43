"""Mode DNS: every question is decided, answered from the Cluster's names or elsewhere, and logged.

https://octelium.com/docs/octelium/latest/management/core/service/dns describes the mode.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.replica.arrival import Tunnel
from octelium.schema.dns_servers import parse_dns_server
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.dns.asked import Asked
from octelium.vigil.dns.guard import Guard
from octelium.vigil.dns.limits import MOST_STREAMS, Limits
from octelium.vigil.dns.links import Peer
from octelium.vigil.dns.names import ClusterNames
from octelium.vigil.dns.resolver import TOTAL, Resolver, Zone, Zones
from octelium.vigil.dns.stream import DnsStream
from octelium.vigil.dns.wire import BadQueryError, IgnoredError, labels_of, parse_query
from octelium.vigil.dns.zones import networks_of
from octelium.vigil.errors import Unserviceable, not_offered
from octelium.vigil.origins import client_certificate_secret

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from octelium.http.exchange import Peer as Client
    from octelium.policy.decision import Decision
    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.dns.limits import Allowance
    from octelium.vigil.vigil import Vigil

_LOG = logging.getLogger(__name__)

CLUSTER: Final = "dns"
"""The managed type of the Service that answers the Cluster's own names."""
_FOREIGN: Final = frozenset({"Service", "Secret", "ClusterConfig"})
_MOST_ZONES: Final = 256


class Freshness(Protocol):
    """Tells whether the replica holds everything that was acknowledged; a Follower does."""

    def up_to_date(self) -> bool:
        """Whether it does."""

    async def catch_up(self, timeout: float) -> bool:  # noqa: ASYNC109 - a result, not an error
        """Wait until it does; false if that takes longer than `timeout` seconds."""


class Dns:
    """Serves questions to Services of mode DNS. `clock` gives seconds that only increase."""

    def __init__(
        self,
        vigil: Vigil,
        freshness: Freshness | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        total: float = TOTAL,
    ) -> None:
        self.replica = vigil.replica
        self.decider = vigil.decider
        self.sink = vigil.sink
        self.numbers = vigil.numbers
        self.spawn = vigil.spawn
        self.freshness = freshness
        self.vigil = vigil
        self.names = ClusterNames(vigil.replica)
        self.limits = Limits(clock)
        self.resolver = Resolver(
            self._current_guard,
            clock=clock,
            total=total,
            served=lambda: vigil.environment.require_served(),
        )
        self.answered = 0
        """Questions that were answered, however."""
        self.dropped = 0
        """Questions of Sessions that asked too many, and what was no question at all."""
        self._guard = Guard((), self.names.owns)
        self._zones: Zones | None = None
        self._service_zones: dict[int, tuple[Any, Zone, str]] = {}
        """By the id of a configuration: that, its zone, and the uid of its Service."""
        self._describe()
        self.replica.listeners.append(self._changed)

    def close(self) -> None:
        """Stop following the replica, and asking elsewhere."""
        self.replica.listeners.remove(self._changed)
        self.names.close()
        self.resolver.close()

    # --- what comes in

    def datagram(
        self,
        service: ServiceEntry,
        arrival: Arrival,
        place: tuple[str, int],
        sender: tuple[str, int],  # noqa: ARG002 - the face of all modes with datagrams
        data: bytes,
        reply: Callable[[bytes], None],
    ) -> None:
        """Serve a datagram to the address and port `place`; `reply` sends one back. Never raises.

        Only clients whose address a tunnel vouches for get anything at all, so that answers cannot
        be sent to a third party.
        """
        if type(arrival) is not Tunnel:
            self.dropped += 1
            return
        allowance = self.limits.of(arrival.session_uid)
        self.message(service, arrival, allowance, data, reply, f"{place[0]}:{place[1]}")

    def message(
        self,
        service: ServiceEntry,
        arrival: Arrival,
        allowance: Allowance,
        data: bytes,
        reply: Callable[[bytes], None],
        place: str,
        *,
        stream: bool = False,
        connection: int = 0,
    ) -> bool:
        """Serve one message of a client; whether there will be a reply."""
        if not self.limits.may_ask(allowance):
            self.dropped += 1
            return False
        try:
            query = parse_query(data)
        except IgnoredError:
            self.dropped += 1
            return False
        except BadQueryError as bad:
            self.answered += 1
            reply(bad.reply)
            return True
        self._ask(
            Asked(
                self,
                service,
                arrival,
                query,
                allowance,
                reply,
                stream=stream,
                place=place,
                connection=connection,
            )
        )
        return True

    @staticmethod
    def _ask(asked: Asked) -> None:
        try:
            asked.begin()
        except Exception:  # noqa: BLE001 - whatever it is, it fails this question alone
            _LOG.exception("a question failed")
            asked.broken()

    def plain(
        self,
        service: ServiceEntry,
        peer: Client,
        place: str,
        connection: socket.socket,
        left: Callable[[], None],
    ) -> DnsStream:
        """Serve a connection, which is the stream's own from here on; `left` is called at its end.

        One whose client did not come by a tunnel, or has too many already, is closed at once.
        """
        stream = DnsStream(self, service, peer, place, left)
        stream.take(connection)
        return stream

    def secured(
        self, service: ServiceEntry, peer: Client, place: str, left: Callable[[], None]
    ) -> tuple[DnsStream, DnsStream]:
        """Serve a connection whose TLS ends here (RFC 7858), and the codec that gets its bytes."""
        stream = DnsStream(self, service, peer, place, left)
        return stream, stream

    def may_stream(self, allowance: Allowance) -> bool:
        """Whether a Session may have one more connection."""
        return allowance.streams < MOST_STREAMS

    # --- where answers come from

    def names_of(self, service: ServiceEntry) -> ClusterNames | None:
        """The Cluster's own names, if it is them that a Service answers."""
        return self.names if service.managed_type == CLUSTER else None

    def zone(self, service: ServiceEntry, decision: Decision, name: bytes) -> Zone:
        """The servers to ask for a name, in wire form and lower case.

        Raises:
            Unserviceable: the Service has no upstream that can be asked.
        """
        if service.managed_type == CLUSTER:
            if self._zones is None:
                config = self.replica.cluster_config
                spec = core.ClusterConfigSpecDns() if config is None else config.message.spec.dns
                self._zones = Zones(spec)
            return self._zones.of(labels_of(name))
        chosen = decision.config
        # Decisions share the message of their configuration; it is kept, so its id stays its own.
        known = self._service_zones.get(id(chosen))
        if known is not None:
            return known[1]
        if len(self._service_zones) >= _MOST_ZONES:
            self._service_zones.clear()
        zone = self._upstream(service, chosen)
        self._service_zones[id(chosen)] = (chosen, zone, service.uid)
        return zone

    def _upstream(self, service: ServiceEntry, config: core.ServiceSpecConfig | None) -> Zone:
        if config is None:
            raise Unserviceable("the Service has no configuration", 502)
        certificate = client_certificate_secret(config)
        peers = []
        for url, user in self.vigil.environment.origins.endpoints(service.message, config):
            try:
                server = parse_dns_server(url)
            except ValueError as error:
                raise Unserviceable(f"upstream: {error}", 502) from error
            if user and server.transport != "udp":
                raise not_offered(f"a resolver at a connected client by {server.transport}")
            context = None
            if server.transport == "tls" and (certificate or config.HasField("tls")):
                context, _ = self.vigil.environment.origins.client_tls(config, certificate)
            peers.append(Peer(server, context, user, service.uid if user else ""))
        return Zone(tuple(peers))

    def _current_guard(self) -> Guard:
        return self._guard

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        kinds = {kind for kind, _ in changed}
        if "ClusterConfig" in kinds:
            self._describe()
        if not _FOREIGN.isdisjoint(kinds):
            self._service_zones.clear()
        elif "ContainerState" in kinds:
            self._forget_moved()

    def _forget_moved(self) -> None:
        """Forget the zones of containers that are not there any more; others keep their answers."""
        ready = self.vigil.environment.containers.ready()
        for key, (config, zone, service_uid) in list(self._service_zones.items()):
            if config.upstream.HasField("container") and any(
                (service_uid, (peer.server.host, peer.server.port)) not in ready
                for peer in zone.peers
            ):
                del self._service_zones[key]

    def _describe(self) -> None:
        """Take over what the ClusterConfig says."""
        config = self.replica.cluster_config
        self._zones = None
        if config is not None:
            self._guard = Guard(networks_of(config.message.status), self.names.owns)
