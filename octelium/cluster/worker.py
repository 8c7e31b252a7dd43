"""A data-plane process: front door, enforcement and decisions on a replica of its own."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import logging
import socket
from typing import TYPE_CHECKING

import uvloop

from octelium.cluster.layout import Layout
from octelium.cluster.memory import give_back
from octelium.cluster.private import PrivateSide
from octelium.cluster.probes import Answering
from octelium.cluster.settings import from_wire
from octelium.cluster.signals import stop_signals
from octelium.http.h2.protocol import H2Client
from octelium.http.pool import Origin, UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.tasks import spawn
from octelium.http.ticker import Ticker
from octelium.identity.tokens import Verifier
from octelium.ingress.server import IngressServer, answer
from octelium.ingress.settings import Settings as FrontSettings
from octelium.ingress.shares import Shares, open_files
from octelium.octovigil.octovigil import Octovigil
from octelium.octovigil.rego.evaluator import Evaluator
from octelium.policy.value import compile_value
from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import Follower
from octelium.replica.replica import Replica
from octelium.vigil.environment import Environment
from octelium.vigil.vigil import Vigil
from octelium.visibility.sink import BatchingSink

if TYPE_CHECKING:
    from octelium.cluster.child import Assignment
    from octelium.http.exchange import RequestStream
    from octelium.replica.replica import ServiceEntry

_LOG = logging.getLogger(__name__)
CONNECT = b"/octelium.api.main.user.v1.MainService/Connect"
FLUSH_EVERY = 0.2
"""Seconds between two batches of log records, while there are any."""
_REPORT_EVERY = 1.0
"""Seconds between two reports of counters."""
GRACE = 1.0
"""Seconds that streams have to end after SIGTERM."""
_FIRST_SNAPSHOT = 30.0


class Worker:
    """Everything of one data-plane process, put together."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._settings = from_wire(assignment.settings)
        layout = Layout(self._settings.data_dir)
        self.replica = Replica()
        self._loaded = asyncio.Event()
        self._committed = CommittedRevision(assignment.descriptors["committed"][0])
        self.follower = Follower(layout.feed, self.replica, self._committed, worker=assignment.name)
        self.rego = Evaluator()
        self.octovigil = Octovigil(self.replica, Verifier({}), rego=self.rego)
        self.sink = BatchingSink(lambda batch: self.follower.send("log", batch), wake=self._logged)
        self.ticker = Ticker()
        sections = SectionCache()
        pool = UpstreamPool(sections=sections, ticker=self.ticker, h2=H2Client)
        self.private: PrivateSide | None = None
        if self._settings.tunnel != "off":
            door = socket.socket(fileno=assignment.descriptors["link"][0])
            self.private = PrivateSide(door, self.replica)
        environment = Environment(
            self.replica,
            pool,
            managed={
                "apiserver": Origin("", 0, path=str(layout.api), h2=True),
                "authapi": Origin("", 0, path=str(layout.auth_api), h2=True),
                "authserver": Origin("", 0, path=str(layout.auth)),
                "portal": Origin("", 0, path=str(layout.portal)),
            },
            apart={CONNECT: Origin("", 0, path=str(layout.connect), h2=True)},
            compile_expression=lambda text: compile_value(text).text,
            port=self._settings.public_port,
            served=None if self.private is None else self.private.served,
            has_controller=self._settings.controller == "on",
        )
        self.vigil = Vigil(self.replica, self.octovigil, environment, self.sink)
        link = None if self.private is None else self.private.sockets
        self.probes = Answering(self.follower, self.replica, environment, link)
        serve = self.vigil.serve
        if self._settings.refuse_when_unlogged:
            serve = self._serve_if_logged
            self.vigil.may_record = lambda: not (self._committed.unlogged or self.sink.full)
        shares, most = Shares.of(open_files()), self._settings.max_connections
        if self.private is not None:
            most = min(most, shares.front)
        front = FrontSettings(
            public_port=self._settings.public_port,
            proxy_peers=tuple(
                ipaddress.ip_network(text) for text in self._settings.proxy_protocol_from
            ),
            max_connections=most,
            max_private=shares.private,
            max_each_user=shares.each_user,
            max_each_session=shares.each_session,
        )
        self.ingress = IngressServer(
            self.replica, self.follower, serve, front, sections=sections, ticker=self.ticker
        )
        if self.private is not None:
            self.private.serve(
                self.vigil, self.ingress, self.follower, serve, front, sections, shares
            )

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve until `stopped`."""
        self.ticker.start()
        self.replica.listeners.append(self._changed)
        self.follower.start()
        async with asyncio.timeout(_FIRST_SNAPSHOT):
            await self._loaded.wait()
        listeners = [socket.socket(fileno=n) for n in self._assignment.descriptors["listen"]]
        await self.ingress.start(listeners)
        if self.private is not None:
            self.private.start()
        # What is loaded by now stays; the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        self._assignment.tell({"ready": True})
        giving_back = spawn(give_back(), name="free memory")
        while not stopped.is_set():
            self._report()
            try:
                async with asyncio.timeout(_REPORT_EVERY):
                    await stopped.wait()
            except TimeoutError:
                continue
        giving_back.cancel()
        ends = [self.ingress.close(GRACE)]
        if self.private is not None:
            ends.append(self.private.close(GRACE))
        await asyncio.gather(*ends)
        self.sink.flush()
        self._report()
        await asyncio.sleep(0.02)  # let the last batch leave
        self.rego.close()
        self.follower.close()
        self.ticker.stop()

    def _serve_if_logged(
        self, stream: RequestStream, service: ServiceEntry, client_address: str
    ) -> None:
        """Serve, unless the request would go unrecorded; the Cluster's own Services always."""
        if (self._committed.unlogged or self.sink.full) and not service.managed_type:
            answer(stream, 503)
        else:
            self.vigil.serve(stream, service, client_address)

    def _changed(self, _changed: frozenset[tuple[str, str]]) -> None:
        if self.replica.loaded:
            self._loaded.set()

    def _logged(self) -> None:
        """Something is to be logged: together with what else comes soon."""
        asyncio.get_running_loop().call_later(FLUSH_EVERY, self._flush)

    def _flush(self) -> None:
        if not self.sink.flush():
            self._logged()

    def _report(self) -> None:
        """Tell the control process this one's counters, which also says that it lives."""
        counters = self.ingress.counters
        series: dict[str, float] = {
            "octelium_requests_total": counters.requests,
            "octelium_connections": len(self.ingress.codecs),
            "octelium_connections_refused_total": counters.over_limit,
            "octelium_log_records_total": self.sink.written,
            "octelium_log_records_dropped_total": self.sink.dropped,
            "octelium_log_records_waiting": len(self.sink),
            "octelium_replica_revision": self.replica.revision,
        }
        if self.private is not None:
            series |= self.private.series()
        self.follower.send("counters", json.dumps(series).encode())


def run(assignment: Assignment) -> int:
    """Run a worker; its exit status."""

    async def main() -> None:
        async with stop_signals() as stopped:
            await Worker(assignment).run(stopped)

    uvloop.run(main())
    return 0
