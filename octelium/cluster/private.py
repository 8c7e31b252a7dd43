"""The private network of a worker: sockets from the link process, modes, and upstreams in there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from octelium.ingress.private import PrivateServer
from octelium.schema.pb import core_v1_pb2 as core
from octelium.tunnel.link.sockets import LinkSockets
from octelium.vigil.dns.server import Dns
from octelium.vigil.served import Served
from octelium.vigil.splicing import Pipes
from octelium.vigil.stalls import StallLimits, Stalls, memory
from octelium.vigil.tcp import Tcp
from octelium.vigil.udp import FlowLimits, Udp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from octelium.http.exchange import RequestStream
    from octelium.http.section import SectionCache
    from octelium.ingress.private import StreamMode
    from octelium.ingress.private_datagrams import DatagramMode
    from octelium.ingress.server import Freshness, IngressServer
    from octelium.ingress.settings import Settings
    from octelium.ingress.shares import Shares
    from octelium.replica.replica import Replica, ServiceEntry
    from octelium.vigil.vigil import Vigil

_MODES = core.ServiceSpecMode__


class PrivateSide:
    """What a worker does in the private network, by whose link process, see `LinkSockets`.

    `served` are the upstreams that connected clients serve, which enforcement needs from the start.
    """

    def __init__(self, link: Path | socket.socket, replica: Replica) -> None:
        self.sockets = LinkSockets(link)
        self.served = Served(replica, self.sockets)
        self.tcp: Tcp | None = None
        self.udp: Udp | None = None
        self.dns: Dns | None = None
        self.server: PrivateServer | None = None

    def serve(
        self,
        vigil: Vigil,
        ingress: IngressServer,
        freshness: Freshness,
        serve: Callable[[RequestStream, ServiceEntry, str], None],
        settings: Settings,
        sections: SectionCache,
        shares: Shares,
    ) -> None:
        """Put everything together; `serve` takes requests of HTTP."""
        cores = len(os.sched_getaffinity(0))
        limits = StallLimits.of(shares.stuck, shares.stuck_each_user, memory(), cores)
        self.tcp = Tcp(vigil, Pipes(Stalls(limits)))
        self.udp = Udp(
            vigil,
            self.sockets,
            ingress.ticker,
            numbers=ingress.numbers,
            limits=FlowLimits(shares.flows, shares.flows_each_session),
        )
        self.dns = Dns(vigil, freshness)
        streams: dict[int, StreamMode] = {_MODES.TCP: self.tcp, _MODES.DNS: self.dns}
        flows: dict[int, DatagramMode] = {_MODES.UDP: self.udp, _MODES.DNS: self.dns}
        self.server = PrivateServer(
            vigil.replica,
            freshness,
            self.sockets,
            serve,
            settings,
            certificates=ingress.certificates,
            sections=sections,
            ticker=ingress.ticker,
            streams=streams,
            flows=flows,
            numbers=ingress.numbers,
        )

    def start(self) -> None:
        """Listen on the ports of the replica's Services."""
        if self.server is not None:
            self.server.start()

    async def close(self, grace: float) -> None:
        """Accept no more, let running requests end within `grace` seconds, then end all."""
        if self.server is not None:
            await self.server.close(grace)
        if self.udp is not None:
            self.udp.close()
        if self.tcp is not None:
            self.tcp.close()
        if self.dns is not None:
            self.dns.close()
        self.served.close()
        self.sockets.close()

    def series(self) -> dict[str, float]:
        """Counters for metrics."""
        if self.server is None or self.udp is None or self.dns is None or self.tcp is None:
            return {}
        counters = self.server.counters
        return {
            "octelium_private_connections": self.server.connections,
            "octelium_private_connections_total": counters.connections,
            "octelium_private_datagrams_total": counters.datagrams,
            "octelium_private_stalled": self.tcp.pipes.stalls.count,
            "octelium_private_stalled_bytes": self.tcp.pipes.stalls.bytes,
            "octelium_private_stalled_ended_total": self.tcp.pipes.stalls.ended,
            "octelium_private_refused_total": (
                counters.unknown_address + counters.unknown_service + counters.over_limit
            ),
            "octelium_dns_answers_total": self.dns.answered,
            "octelium_dns_dropped_total": self.dns.dropped,
            "octelium_dns_filtered_total": self.dns.resolver.filtered,
            "octelium_dns_unanswered_total": self.dns.resolver.failures,
        }
