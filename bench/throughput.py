"""One TCP stream from a client to a Service, beside bare wireguard-go between the same hosts.

The way of the first is the client's engine, the gateway, Vigil's mode TCP and a server on the
Cluster's host; that of the other is two engines and the server. Both have the same MTU.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.pair import MTU, Pair
from bench.private import GATEWAY, private_world, service, usage, users
from bench.processes import BenchError
from bench.report import Bar
from bench.tools import say
from tests.peers.tunnel_client import tunnel_client

if TYPE_CHECKING:
    from bench.private import World
    from bench.report import Report
    from tests.peers.namespaces import Namespace

LEAST: Final = 0.7
"""The least part of bare wireguard-go's rate that a client may have."""
BARE: Final = "bare wireguard-go"
THROUGH: Final = "client to Service, mode TCP"
_GUEST: Final = "198.51.100.2"
_PORT: Final = 5201
_STREAM: Final = Path(__file__).parent.parent / "tests/peers/stream.py"


def measure(report: Report, rounds: int, seconds: int) -> None:
    """Add rows and a bar, in turns in every round."""
    sink = service("sink", "TCP", f"tcp://127.0.0.1:{_PORT}", _PORT)
    with private_world(sink) as world:
        (token,) = world.tokens(users()[:1])
        for number in range(rounds):
            say(f"through the Cluster: round {number + 1} of {rounds}")
            _bare(report, world, seconds)
            _through(report, world, token, seconds)
    behind = report.median(BARE, "rate") / report.median(THROUGH, "rate")
    text = f"{BARE} beside {THROUGH}, whose least part is {LEAST}"
    report.bars.append(Bar(text, behind, 1 / LEAST, "x"))


def _bare(report: Report, world: World, seconds: int) -> None:
    hosts = (world.guest, world.host)
    pair = Pair(*hosts, ("wireguard-go", "wireguard-go"), world.folder, (_GUEST, GATEWAY))
    with pair.up():
        before = pair.used()
        with pair.stream(seconds) as found:
            pass
        used = (pair.used() - before) / 1e6
    _note(report, BARE, found)
    report.add(BARE, "CPU of both", "s/GB", used / (found["bytes"] / 1e9))


def _through(report: Report, world: World, token: str, seconds: int) -> None:
    with tunnel_client(world.guest, world.endpoint, world.authority, token) as client:
        if client.state["mtu"] != MTU:
            raise BenchError(f"the MTU of the tunnel is {client.state['mtu']}, not {MTU}")
        before = usage(world.cluster)
        found = _stream(world.guest, world.host, world.address("sink"), seconds)
        after = usage(world.cluster)
    _note(report, THROUGH, found)
    for name in ("gateway", "worker"):
        used = sum(after.cpu[each] - before.cpu[each] for each in after.cpu if name in each)
        report.add(THROUGH, f"CPU of the {name}", "s/GB", used / (found["bytes"] / 1e9))


def _note(report: Report, row: str, found: dict[str, Any]) -> None:
    report.add(row, "rate", "Mbit/s", found["bytes"] * 8 / found["seconds"] / 1e6)


def _stream(one: Namespace, other: Namespace, address: str, seconds: int) -> dict[str, Any]:
    """Send from one host; what came at the other."""
    words = (sys.executable, "-I", str(_STREAM))
    given: dict[str, Any] = {"stdout": subprocess.PIPE}
    with other.process(*words, "receive", "127.0.0.1", str(_PORT), **given) as receiving:
        assert receiving.stdout is not None
        receiving.stdout.readline()
        one.run(*words, "send", address, str(_PORT), str(seconds))
        found: dict[str, Any] = json.loads(receiving.stdout.readline())
    if not found["intact"]:
        raise BenchError("what came is not what was sent")
    return found
