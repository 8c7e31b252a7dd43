"""A thousand Sessions connect at once, and then do nothing but stay connected.

Each has its own TLS connection with a `Connect` stream, and its own WireGuard peer at an address of
its own; all are of one process in another network namespace than the Cluster. What the Cluster uses
is that of its whole process tree: gateway with engine, link, control, workers, supervisor.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from bench.private import PEOPLE, USERS, WEB, peer, private_world, service, usage, users
from bench.processes import BenchError
from bench.report import Bar, Report
from bench.tools import say
from tests.e2e.cluster import DOMAIN

if TYPE_CHECKING:
    from bench.private import Peer, Usage, World

SESSIONS: Final = 1000
IDLE: Final = 240.0
"""Seconds in a soak: twice as long as a WireGuard session lasts."""
_BRIEF: Final = 40.0
"""Seconds otherwise, in which only keepalives come."""
_REST: Final = 15.0
"""Seconds after which what only the beginning costs is over."""
_TOGETHER: Final = 30.0
_SHARE: Final = 2.0
_EACH: Final = 100.0


def run(_rounds: int, _seconds: int) -> Report:
    """Once; OCTELIUM_SOAK=1 to stay for as long as the bar asks for."""
    idle = IDLE if os.environ.get("OCTELIUM_SOAK") == "1" else _BRIEF
    report = Report(f"{SESSIONS:,} Sessions connect at once and stay for {idle:.0f} s")
    with private_world(service(WEB, "HTTP", "http://127.0.0.1:8000", 80)) as world:
        plan = {
            "endpoint": world.endpoint,
            "authority": str(world.authority),
            "people": PEOPLE,
            "tokens": world.tokens(users()),
            "count": SESSIONS,
            "name": f"{WEB}.local.{DOMAIN}",
        }
        with peer(world.people, "bench.swarm", plan) as swarm:
            _measure(report, world, swarm, idle)
    return report


def _measure(report: Report, world: World, swarm: Peer, idle: float) -> None:
    time.sleep(_REST)
    empty = usage(world.cluster)
    say(f"{SESSIONS} Sessions of {USERS} Users sign in")
    _all(swarm, "sign in")
    time.sleep(_REST)
    signed_in = usage(world.cluster)
    say("they connect")
    joined = _all(swarm, "join")
    for name, what in (("told their addresses", "state"), ("had an answer", "answer")):
        times = sorted(each[what] for each in joined["done"])
        report.add(name, "p50", "s", times[len(times) // 2])
        report.add(name, "last", "s", times[-1])
    report.add("had an answer", "CPU of each", "ms", _spent(signed_in, usage(world.cluster)))
    time.sleep(_REST)
    say(f"they stay for {idle:.0f} s")
    before, began = usage(world.cluster), time.monotonic()
    time.sleep(idle)
    after, ended = usage(world.cluster), time.monotonic()
    state = swarm.ask({"do": "state"})
    if state["ended"]:
        raise BenchError(f"{len(state['ended'])} of {SESSIONS} ended: {state['ended'][0]}")
    if idle >= IDLE and min(state["handshakes"]) < 2:
        raise BenchError("not all WireGuard sessions were renewed")
    seconds = ended - began
    for name in after.private:
        for when, then in (("signed in", signed_in), ("connected", after)):
            memory = (then.private.get(name, 0) - empty.private.get(name, 0)) / SESSIONS / 1000
            report.add(name, f"memory of each, {when}", "kB", memory)
        report.add(name, "of a core", "%", _share(before, after, name) / seconds * 100)
    share = (after.total_cpu - before.total_cpu) / seconds * 100
    memory = (after.total_private - empty.total_private) / SESSIONS / 1000
    last = report.median("had an answer", "last")
    report.bars.append(Bar(f"{SESSIONS:,} at once, the last one's answer", last, _TOGETHER, "s"))
    report.bars.append(Bar(f"{SESSIONS:,} idle, of a core", share, _SHARE, "%"))
    report.bars.append(Bar(f"{SESSIONS:,} idle, memory of each", memory, _EACH, "kB"))
    report.notes.append(f"{state['cookies']} handshakes were asked for a cookie")


def _all(swarm: Peer, what: str) -> dict[str, Any]:
    done = swarm.ask({"do": what})
    if done["failed"]:
        raise BenchError(f"{what}: {len(done['failed'])} of {SESSIONS}: {done['failed'][0]}")
    return done


def _share(before: Usage, after: Usage, name: str) -> float:
    return after.cpu[name] - before.cpu.get(name, 0.0)


def _spent(before: Usage, after: Usage) -> float:
    """Milliseconds of CPU of a Session."""
    return (after.total_cpu - before.total_cpu) / SESSIONS * 1000
