"""Questions to the Cluster's DNS: 2,000 a second, each decided and logged.

First from 100 Sessions to a process with one event loop, as a worker is; then from a connected
client, a host of its own, through its tunnel, the gateway and the workers.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvloop

from bench.asker import RATE, Share, burst
from bench.private import peer, private_world, service, usage, users
from bench.processes import BenchError, stop
from bench.report import Bar, Report
from bench.tools import ROOT, say
from tests.e2e.cluster import DOMAIN
from tests.peers.tunnel_client import tunnel_client

if TYPE_CHECKING:
    from bench.private import Peer, World

SESSIONS: Final = 100
_P99: Final = 20.0
"""Milliseconds."""
_SOCKETS: Final = 16
"""Sockets of the connected client."""
_RESOLVER: Final = 5300
LOOPBACK: Final = "one event loop"
TUNNEL: Final = "through a tunnel"


def _shares(domain: str) -> list[Share]:
    return [
        Share("A", 10, f"wiki.local.{domain}", "A"),
        Share("AAAA", 6, "api.prod-eu.local", "AAAA"),
        Share("unknown", 1, "nope{}.local", "A", found=False),
        Share("kept", 2, "www.example.com", "A"),
        Share("forwarded", 1, "h{}.example.com", "A"),
    ]


def run(rounds: int, seconds: int) -> Report:
    """Every round is a burst of `seconds` to either."""
    report = Report(f"DNS: {RATE:,} questions/s over UDP")
    _loopback(report, rounds, seconds)
    _tunnel(report, rounds, seconds)
    for row in (LOOPBACK, TUNNEL):
        text = f"{row}: p99, median of the rounds"
        report.bars.append(Bar(text, report.median(f"{row}: all", "p99"), _P99, "ms"))
    return report


def _loopback(report: Report, rounds: int, seconds: int) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.dns"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    shares = _shares("octelium.test")
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        place = ("127.0.0.1", int(server.stdout.readline()))
        uvloop.run(burst(place, SESSIONS, shares, 1))
        for number in range(rounds):
            say(f"{LOOPBACK}, {SESSIONS} Sessions: round {number + 1} of {rounds}")
            before = _cpu(server)
            found = uvloop.run(burst(place, SESSIONS, shares, seconds))
            used = _cpu(server) - before
            _note(report, LOOPBACK, found)
            report.add(f"{LOOPBACK}: all", "CPU per question", "µs", used * 1e6 / found["asked"])
    finally:
        stop(server)


def _tunnel(report: Report, rounds: int, seconds: int) -> None:
    more = (
        service("wiki", "HTTP", "http://127.0.0.1:8000", 80),
        {"kind": "Namespace", "metadata": {"name": "prod-eu"}, "spec": {}},
        service("api.prod-eu", "HTTP", "http://127.0.0.1:8000", 80),
    )
    with (
        private_world(*more) as world,
        world.host.process(sys.executable, "-m", "bench.dns", "resolver", cwd=ROOT),
    ):
        zone = {"servers": [f"dns://127.0.0.1:{_RESOLVER}"]}
        config = {"kind": "ClusterConfig", "metadata": {"name": "default"}}
        world.cluster.apply({**config, "spec": {"dns": {"fallbackZone": zone}}})
        (token,) = world.tokens(users()[:1])
        with tunnel_client(world.guest, world.endpoint, world.authority, token) as client:
            plan = {
                "place": [client.state["dns"]["servers"][0], 53],
                "sockets": _SOCKETS,
                "shares": _shares(DOMAIN),
            }
            with peer(world.guest, "bench.asker", plan) as asker:
                asker.ask({"seconds": 1})
                for number in range(rounds):
                    say(f"{TUNNEL}: round {number + 1} of {rounds}")
                    _through(report, world, asker, seconds)


def _through(report: Report, world: World, asker: Peer, seconds: int) -> None:
    before = usage(world.cluster)
    found = asker.ask({"seconds": seconds})
    after = usage(world.cluster)
    _note(report, TUNNEL, found)
    for name in ("gateway", "worker"):
        used = sum(after.cpu[each] - before.cpu[each] for each in after.cpu if name in each)
        report.add(f"{TUNNEL}: {name}", "CPU per question", "µs", used * 1e6 / found["asked"])


def _cpu(server: subprocess.Popen[str]) -> float:
    """Seconds of CPU that the server has used."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("cpu\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def _note(report: Report, row: str, found: dict[str, Any]) -> None:
    together = [one for times in found["times"].values() for one in times]
    if found["wrong"]:
        raise BenchError(f"{len(found['wrong'])} answers are wrong: {found['wrong'][0]}")
    if len(together) < found["asked"]:
        missing = found["asked"] - len(together)
        raise BenchError(f"{missing} of {found['asked']} questions were not answered")
    for name, times in (("all", together), *found["times"].items()):
        cuts = statistics.quantiles(times, n=100)
        report.add(f"{row}: {name}", "p50", "ms", cuts[49] * 1000)
        report.add(f"{row}: {name}", "p99", "ms", cuts[98] * 1000)


# The server's process.


async def _serve() -> None:
    from octelium.replica.arrival import Tunnel
    from octelium.visibility.sink import BatchingSink
    from tests.octovigil.world import uid_of
    from tests.vigil.dns.world import DnsWorld

    loop = asyncio.get_running_loop()
    upstream, _ = await loop.create_datagram_endpoint(_Upstream, local_addr=("127.0.0.1", 0))
    resolver = f"dns://127.0.0.1:{upstream.get_extra_info('sockname')[1]}"
    world = DnsWorld(total=6.0, clock=None)
    world.cluster.now = time.time()
    world.cluster.config(fallbackZone={"servers": [resolver]})
    for number in range(SESSIONS):
        world.cluster.session(f"s-{number}", "ann")
    arrivals = [
        Tunnel(uid_of("Session", f"s-{number}"), f"100.65.1.{number}") for number in range(SESSIONS)
    ]
    sink = BatchingSink(lambda _batch: True)
    world.dns.sink = sink
    entry = world.replica.service_by_name["dns.octelium"]
    place = ("100.64.0.16", 53)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    listener.bind(("127.0.0.1", 0))
    listener.setblocking(False)

    def readable() -> None:
        for _ in range(64):
            try:
                data, sender = listener.recvfrom(4096)
            except BlockingIOError:
                return
            arrival = arrivals[sender[1] % SESSIONS]
            reply = partial(_send, listener, sender)
            world.dns.datagram(entry, arrival, place, sender, data, reply)

    loop.add_reader(listener.fileno(), readable)
    print(listener.getsockname()[1], flush=True)
    stopped = asyncio.Event()

    def command() -> None:
        if not sys.stdin.readline():
            stopped.set()
        print(time.process_time(), flush=True)

    loop.add_reader(0, command)
    gc.collect()  # as a worker does
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    while not stopped.is_set():
        sink.flush()
        await asyncio.sleep(0.2)


def _send(listener: socket.socket, sender: Any, answer: bytes) -> None:
    listener.sendto(answer, sender)


class _Upstream(asyncio.DatagramProtocol):
    """A resolver that knows one address, kept for five minutes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        question = data[12 : data.index(0, 12) + 5]
        head = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1"
        self.transport.sendto(head + question + record, address)


async def _resolve() -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(_Upstream, local_addr=("127.0.0.1", _RESOLVER))
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(_resolve() if sys.argv[1:] == ["resolver"] else _serve())
