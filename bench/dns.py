"""Questions to the Cluster's DNS: 2,000 a second, from 100 Sessions, each decided and logged.

The server is a process with one event loop, as a worker is. Questions come at even intervals over
UDP, whether or not the former are answered, so that a slow one delays those behind it.
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
from typing import Any, Final

import uvloop

from bench.processes import BenchError, stop
from bench.report import Bar, Report
from bench.tools import say

RATE: Final = 2000
SESSIONS: Final = 100
_STEP: Final = 0.005
_SHARES: Final = (
    ("A", 10, "wiki.local.octelium.test", "A"),
    ("AAAA", 6, "api.prod-eu.local", "AAAA"),
    ("unknown", 1, "nope{}.local", "A"),
    ("kept", 2, "www.example.com", "A"),
    ("forwarded", 1, "h{}.example.com", "A"),
)
"""Kinds of questions, how many of twenty are of each, name and type; `{}` is a number."""


def run(rounds: int, seconds: int) -> Report:
    """Every round is a burst of `seconds`."""
    report = Report(f"DNS: {RATE:,} questions/s over UDP, one event loop, {SESSIONS} Sessions")
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.dns"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        uvloop.run(_burst(port, 1))
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            before = _cpu(server)
            times = uvloop.run(_burst(port, seconds))
            asked = RATE * seconds
            used = (_cpu(server) - before) * 1e6 / asked
            _note(report, times, asked, used)
    finally:
        stop(server)
    report.bars.append(Bar("p99, median of the rounds", report.median("all", "p99"), 20.0, "ms"))
    return report


def _cpu(server: subprocess.Popen[str]) -> float:
    """Seconds of CPU that the server has used."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("cpu\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def _note(report: Report, times: dict[str, list[float]], asked: int, used: float) -> None:
    together = [one for found in times.values() for one in found]
    if len(together) < asked:
        raise BenchError(f"{asked - len(together)} of {asked} questions were not answered")
    for name, found in (("all", together), *times.items()):
        cuts = statistics.quantiles(found, n=100)
        report.add(name, "p50", "ms", cuts[49] * 1000)
        report.add(name, "p99", "ms", cuts[98] * 1000)
    report.add("all", "CPU per question", "µs", used)


class _Client(asyncio.DatagramProtocol):
    """One Session's socket: what it asked and when, by the number of the question."""

    def __init__(self, times: dict[str, list[float]]) -> None:
        self.waiting: dict[bytes, tuple[str, float]] = {}
        self._times = times

    def datagram_received(self, data: bytes, _address: Any) -> None:
        kind, sent = self.waiting.pop(data[:2])
        self._times[kind].append(time.perf_counter() - sent)
        if data[3] & 0xF not in (0, 3):
            raise BenchError(f"a question of kind {kind} got the code {data[3] & 0xF}")


async def _burst(port: int, seconds: int) -> dict[str, list[float]]:
    from dns.message import make_query

    loop = asyncio.get_running_loop()
    times: dict[str, list[float]] = {kind: [] for kind, *_ in _SHARES}
    clients: list[tuple[Any, _Client]] = []
    for _ in range(SESSIONS):
        endpoint = await loop.create_datagram_endpoint(
            lambda: _Client(times),
            local_addr=("127.0.0.1", 0),
            remote_addr=("127.0.0.1", port),
        )
        clients.append(endpoint)
    plan = [(kind, name, type_) for kind, count, name, type_ in _SHARES for _ in range(count)]
    run_name = f"{time.time_ns():x}"
    wires = []
    for number in range(RATE * seconds):
        kind, name, type_ = plan[number % len(plan)]
        asked = make_query(name.format(f"{run_name}-{number}"), type_, use_edns=0).to_wire()
        wires.append((kind, (number & 0xFFFF).to_bytes(2, "big"), asked[2:]))
    begun = loop.time()
    sent = 0
    while sent < len(wires):
        due = min(int((loop.time() - begun) * RATE) + 1, len(wires))
        while sent < due:
            kind, number_bytes, rest = wires[sent]
            transport, client = clients[sent % SESSIONS]
            client.waiting[number_bytes] = (kind, time.perf_counter())
            transport.sendto(number_bytes + rest)
            sent += 1
        await asyncio.sleep(_STEP)
    for _ in range(400):
        if not any(client.waiting for _, client in clients):
            break
        await asyncio.sleep(0.01)
    for transport, _ in clients:
        transport.close()
    return times


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


if __name__ == "__main__":
    uvloop.run(_serve())
