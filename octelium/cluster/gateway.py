"""The gateway process of a Cluster: the end of every tunnel."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvloop

from octelium.cluster.layout import Layout
from octelium.cluster.settings import from_wire
from octelium.cluster.signals import stop_signals
from octelium.gateway.gateway import Gateway, GatewayError
from octelium.gateway.memory import Memory
from octelium.gateway.report import TOPIC
from octelium.gateway.view import View
from octelium.http.tasks import spawn
from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import Follower
from octelium.tunnel.engines.choose import choose, make
from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.link.plan import DEVICE
from octelium.tunnel.link.sockets import LinkSockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.cluster.child import Assignment
    from octelium.gateway.peers import Ranges
    from octelium.replica.gateway_key import GatewayKeys
    from octelium.tunnel.engines.interface import Engine

_LOG = logging.getLogger(__name__)


async def serve(assignment: Assignment, stopped: asyncio.Event) -> None:
    """Be the gateway until `stopped`.

    Raises:
        GatewayError, EngineError, OSError: it cannot be, or not go on.
    """
    settings = from_wire(assignment.settings)
    layout = Layout(settings.data_dir)
    choice = choose(settings.engine)
    committed = CommittedRevision(assignment.descriptors["committed"][0])
    door = socket.socket(fileno=assignment.descriptors["link"][0])
    view, memory, link = View(), Memory(layout.peers), LinkSockets(door, spare=1)
    sockets = [socket.socket(fileno=number) for number in assignment.descriptors["udp"]]
    follower = Follower(layout.feed, view, committed, role="gateway", worker=assignment.name)

    async def make_engine(keys: GatewayKeys, ranges: Ranges) -> Engine:
        return make(
            choice,
            tun=await link.tun(),
            device=DEVICE,
            private_key=keys.current,
            previous=keys.former(time.time()),
            port=settings.wireguard_listen.port,
            folder=layout.engine,
            sockets=sockets,
            namespace=assignment.descriptors["namespace"],
            mtu=ranges.mtu,
            answers_from=True,
        )

    gateway = Gateway(
        view,
        link,
        memory,
        committed,
        make_engine,
        lambda report: follower.send(TOPIC, report),
        _place(sockets, settings.wireguard_listen.port),
        offload=choice.wants_offload,
    )
    follower.start()
    running = spawn(
        gateway.run(lambda: assignment.tell({"ready": True})), name="the tunnel's gateway"
    )
    stopping = spawn(stopped.wait(), name="end of the gateway")
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait((running, stopping))
        follower.close()
        link.close()
        memory.close()


def _place(sockets: Sequence[socket.socket], port: int) -> tuple[str, int]:
    """Where this machine's own datagrams reach the engine, which is everywhere without sockets."""
    if not sockets:
        return "127.0.0.1", port
    host, port = sockets[0].getsockname()[:2]
    if not ip_address(host).is_unspecified:
        return host, port
    return ("127.0.0.1" if sockets[0].family == socket.AF_INET else "::1"), port


def run(assignment: Assignment) -> int:
    """Run the gateway; its exit status."""

    async def main() -> None:
        async with stop_signals() as stopped:
            await serve(assignment, stopped)

    try:
        uvloop.run(main())
    except (GatewayError, EngineError, OSError) as error:
        _LOG.error("%s", error)
        return 1
    return 0
