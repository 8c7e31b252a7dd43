"""What a flood at the gateway costs those who are connected: the time of their requests.

The Cluster has one core, everybody else the other: a Session that makes 100 requests a second, each
on a new TCP connection through its tunnel, and beside it strangers who send handshakes, noise and
what they have overheard, or a Session that begins connections and flows without end.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bench.load import percentile
from bench.private import PEOPLE, WEB, peer, private_world, service, usage, users
from bench.prober import LIMIT
from bench.processes import BenchError, cores
from bench.report import Bar, Report
from bench.tools import say
from tests.e2e.cluster import DOMAIN
from tests.peers.tunnel_client import tunnel_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.private import Peer, PrivateCluster, World

RATE: Final = 2000
"""Packets of a flood, a second."""
FLOWS: Final = 65_000
_FLOWS_SECONDS: Final = 30
_REQUESTS: Final = 100
"""Requests a second of the Session that is measured."""
_FLOODS: Final = {
    "handshakes": "handshakes of strangers",
    "proven": "handshakes with cookies",
    "malformed": "malformed",
    "replayed": "replayed",
}
_DATA: Final = ("data", "valid data of a peer", 30_000)
"""Kind, row and rate, which is more than one core can pass on."""
_HALF_OPEN: Final = {"connections": "TCP connections half open", "flows": "UDP flows"}
_TIMES: Final = 2.0
_MEMORY: Final = 64.0
"""MB that the Cluster may grow by."""
_RECOVERY: Final = 5.0
_FAST: Final = 0.1
"""Seconds within which requests are answered by a Cluster that has recovered."""
_SETTLE: Final = 1.0


def run(rounds: int, seconds: int) -> Report:
    """Every flood in every round, each after a time without one; half-open flows once."""
    load, one = cores()
    os.sched_setaffinity(0, {load})
    report = Report(
        f"{_REQUESTS} requests/s of a Session beside {RATE:,} hostile packets/s, one core each"
    )
    more = (
        service(WEB, "HTTP", "http://127.0.0.1:8000", 80),
        service("datagrams", "UDP", "udp://127.0.0.1:8002", 7),
    )
    more[0]["spec"]["config"] = {"http": {"response": {"direct": {"inline": "hello"}}}}
    with private_world(*more, core=one) as world:
        token, another = world.tokens(users()[:2])
        place = (world.guest, world.endpoint, world.authority, token)
        target = world.address(WEB)
        plan = {
            "endpoint": world.endpoint,
            "authority": str(world.authority),
            "people": PEOPLE,
            "tokens": [another],
            "count": 1,
            "name": f"{WEB}.local.{DOMAIN}",
            "targets": {
                "tcp": [target, 80],
                "udp": [world.address("datagrams"), 7],
                "closed": [target, 9],
            },
        }
        probing = {"address": target, "port": 80, "rate": _REQUESTS}
        with (
            tunnel_client(*place),
            peer(world.people, "bench.attacker", plan) as attacker,
            peer(world.guest, "bench.prober", probing) as prober,
        ):
            for what in ("sign in", "join"):
                if failed := attacker.ask({"do": what})["failed"]:
                    raise BenchError(f"{what}: {failed[0]}")
            Flood(report, world, attacker, prober).run(rounds, seconds)
    return report


class Flood:
    """One run."""

    def __init__(self, report: Report, world: World, attacker: Peer, prober: Peer) -> None:
        self._report = report
        self._world = world
        self._attacker = attacker
        self._prober = prober
        self._ratios: dict[str, list[float]] = {}

    def run(self, rounds: int, seconds: int) -> None:
        """Everything."""
        self._quiet(seconds)  # what is done for the first time
        self._report.rows.clear()
        with _growth(self._world.cluster) as grown:
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}")
                for kind, row in _FLOODS.items():
                    self._beside(kind, row, RATE, seconds)
                self._beside(*_DATA, seconds)
            for kind, row in _HALF_OPEN.items():
                say(row)
                self._beside(kind, row, FLOWS / _FLOWS_SECONDS, _FLOWS_SECONDS)
        self._judge("floods and flows", grown)
        with _growth(self._world.cluster) as grown:
            for kind in (*_FLOODS, _DATA[0]):
                say(f"as many {kind} as can be sent")
                self._beyond(kind, seconds)
        self._judge("whatever can be sent", grown)

    def _judge(self, name: str, grown: list[float]) -> None:
        self._report.bars.append(Bar(f"{name}: memory grows by", max(grown), _MEMORY, "MB"))

    def _quiet(self, seconds: float) -> float:
        found = self._prober.ask({"seconds": seconds})["took"]
        return self._note("alone", found)

    def _beside(self, kind: str, row: str, rate: float, seconds: float) -> None:
        quiet = self._quiet(min(seconds, 10))
        before = usage(self._world.cluster).total_cpu
        self._attacker.tell({"do": "attack", "kind": kind, "rate": rate, "seconds": seconds})
        found = self._prober.ask({"seconds": seconds})["took"]
        sent = self._attacker.hear()["sent"]
        used = usage(self._world.cluster).total_cpu - before
        self._report.add(row, "CPU of the Cluster", "%", used / seconds * 100)
        if sent < 0.95 * rate * seconds:
            raise BenchError(f"only {sent} packets were sent in {seconds} s")
        ratio = self._note(row, found) / quiet
        self._report.add(row, "p99 of that alone", "x", ratio)
        if row not in self._ratios:
            self._report.bars.append(Bar(f"{row}: p99 of that alone", ratio, _TIMES, "x"))
        self._ratios.setdefault(row, []).append(ratio)
        (bar,) = [each for each in self._report.bars if each.text.startswith(f"{row}: ")]
        bar.value = self._report.median(row, "p99 of that alone")
        time.sleep(_SETTLE)

    def _beyond(self, kind: str, seconds: float) -> None:
        """As fast as it goes, and for a while after it."""
        after = 2 * _RECOVERY
        self._attacker.tell({"do": "attack", "kind": kind, "rate": 0, "seconds": seconds})
        began = time.monotonic()
        prober = self._prober
        prober.tell({"seconds": seconds + after})
        sent = self._attacker.hear()["sent"]
        ended = time.monotonic()
        found = prober.hear()
        row = f"{kind}, as many as can be"
        self._report.add(row, "sent", "/s", sent / (ended - began))
        recovery = _recovery(found["took"], ended - found["began"])
        self._report.add(row, "recovery", "s", recovery)
        self._report.bars.append(Bar(f"{row}: recovery", recovery, _RECOVERY, "s"))

    def _note(self, row: str, found: list[float | None]) -> float:
        """Write latencies down; the p99. One that was not answered took as long as it had."""
        took = [LIMIT if each is None else each for each in found]
        self._report.add(row, "p50", "ms", percentile(took, 0.5) * 1000)
        p99 = percentile(took, 0.99)
        self._report.add(row, "p99", "ms", p99 * 1000)
        self._report.add(row, "not answered", "", found.count(None))
        return p99


def _recovery(found: list[float | None], ended: float) -> float:
    """Seconds from `ended` on until every request of a second is answered soon."""
    first = max(0, int(ended * _REQUESTS))
    slow = [number for number, each in enumerate(found) if each is None or each > _FAST]
    for number in range(first, len(found) - _REQUESTS):
        if not any(number <= each < number + _REQUESTS for each in slow):
            return max(0.0, number / _REQUESTS - ended)
    return len(found) / _REQUESTS - ended


@contextmanager
def _growth(cluster: PrivateCluster) -> Iterator[list[float]]:
    """MB that the processes have more than before, looked at each second."""
    before, grown = usage(cluster).total_private, [0.0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1.0):
            grown.append((usage(cluster).total_private - before) / 1e6)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield grown
    finally:
        ended.set()
        looking.join()
