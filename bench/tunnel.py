"""TCP through the tunnel's engines, between two hosts joined by a cable; rotations; idle peers.

And TCP from a client to a Service, through everything that is in between.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import throughput
from bench.pair import HERE, MTU, Pair
from bench.processes import BenchError
from bench.report import Bar, Report
from bench.tools import ensure, say
from tests.peers.engine import PORT, engine_process
from tests.peers.namespaces import NotVerifiedError, network
from tests.tunnel.engines.pairs import keys

if TYPE_CHECKING:
    from tests.peers.namespaces import Namespace

BESIDE: Final = 0.6
"""The least part of wireguard-go's rate that our engine may have."""
STALL: Final = 200.0
"""Milliseconds that a rotation of keys may hold a stream up."""
ROTATIONS: Final = 10
PEERS: Final = 1000
IDLE: Final = 240.0
"""Seconds."""
KEEPALIVE: Final = 25
_GO: Final = "wireguard-go, both ends"
_OWN: Final = "our own, both ends"
_ENGINES: Final = {
    _GO: ("wireguard-go", "wireguard-go"),
    _OWN: ("own", "own"),
    "from our own to wireguard-go": ("own", "wireguard-go"),
    "from wireguard-go to our own": ("wireguard-go", "own"),
}


def run(rounds: int, seconds: int) -> Report:
    """All engines in each round, one after the other; idle peers only if the run is long."""
    ensure(("wireguard-go", "ip", "nsenter"))
    report = Report(f"One TCP stream of {seconds} s between two hosts, MTU {MTU} in the tunnel")
    with tempfile.TemporaryDirectory(prefix="octelium-bench-") as folder:
        try:
            with network(Path(folder)) as joined:
                one, other = joined.namespace("one"), joined.namespace("other")
                joined.cable(one, f"{HERE['one']}/24", other, f"{HERE['other']}/24")
                for number in range(rounds):
                    say(f"round {number + 1} of {rounds}")
                    for row, engines in _ENGINES.items():
                        _rate(report, row, Pair(one, other, engines, Path(folder)), seconds)
                    _rotations(report, Pair(one, other, ("own", "own"), Path(folder)))
                if os.environ.get("OCTELIUM_SOAK") == "1":
                    say(f"{PEERS} idle peers for {IDLE:.0f} s")
                    _idle(report, one, other, Path(folder))
        except NotVerifiedError as error:
            raise BenchError(str(error)) from error
    throughput.measure(report, rounds, seconds)
    behind = report.median(_GO, "rate") / report.median(_OWN, "rate")
    text = f"bare wireguard-go beside our own, whose least part is {BESIDE}"
    report.bars.append(Bar(text, behind, 1 / BESIDE, "x"))
    stall = report.median("our own, keys rotating", "longest stall")
    report.bars.append(Bar(f"a stream held up by {ROTATIONS} rotations", stall, STALL, "ms"))
    return report


def _rate(report: Report, row: str, pair: Pair, seconds: float) -> None:
    with pair.up():
        before = pair.used()
        with pair.stream(seconds) as found:
            pass
        used = pair.used() - before
    report.add(row, "rate", "Mbit/s", found["bytes"] * 8 / found["seconds"] / 1e6)
    report.add(row, "CPU of both", "s/GB", used / 1e6 / (found["bytes"] / 1e9))


def _rotations(report: Report, pair: Pair) -> None:
    with pair.up(), pair.stream(ROTATIONS * 0.4 + 1) as found:
        for _ in range(ROTATIONS):
            time.sleep(0.4)
            pair.rotate()
    report.add("our own, keys rotating", "longest stall", "ms", found["stall"] * 1000)


def _idle(report: Report, one: Namespace, other: Namespace, folder: Path) -> None:
    (private, public), clients = keys(), [keys() for _ in range(PEERS)]
    settings = {"engine": "own", "folder": str(folder / "sockets-other")}
    with engine_process(other, private, "100.64.0.1/32", routes="100.65.0.0/16", **settings) as it:
        empty = it.ask("usage")
        it.ask(
            "replace_peers",
            peers=[
                {
                    "public_key": key.hex(),
                    "allowed_ips": [
                        f"100.65.{number >> 8}.{number & 255}/32",
                        f"fd00::{number:x}/128",
                    ],
                }
                for number, (_, key) in enumerate(clients)
            ],
        )
        plan = {
            "public_key": public.hex(),
            "host": HERE["other"],
            "port": PORT,
            "keepalive": KEEPALIVE,
            "spread": KEEPALIVE,
            "private_keys": [key.hex() for key, _ in clients],
        }
        words = (sys.executable, "-m", "bench.crowd")
        pipe = subprocess.PIPE
        with one.process(*words, stdin=pipe, stdout=pipe) as crowd:
            assert crowd.stdin is not None
            assert crowd.stdout is not None
            crowd.stdin.write(json.dumps(plan) + "\n")
            crowd.stdin.flush()
            if crowd.stdout.readline() != "ready\n":
                raise BenchError("not all peers have a session")
            before, began = it.ask("usage"), time.monotonic()
            time.sleep(IDLE)
            after, ended = it.ask("usage"), time.monotonic()
            if it.ask("counters")["handshakes"] < 2 * PEERS:
                raise BenchError("not all sessions were renewed")
    share = (after["cpu"] - before["cpu"]) / (ended - began)
    memory = (after["private"] - empty["private"]) / PEERS / 1000
    report.add(f"{PEERS:,} idle peers", "of a core", "%", share * 100)
    report.add(f"{PEERS:,} idle peers", "each", "kB", memory)
    report.bars.append(Bar(f"{PEERS:,} idle peers, of a core", share * 100, 2.0, "%"))
    report.bars.append(Bar(f"{PEERS:,} idle peers, memory of each", memory, 100.0, "kB"))
