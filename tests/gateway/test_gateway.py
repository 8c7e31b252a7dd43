from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from octelium.gateway.gateway import Gateway, GatewayError
from octelium.gateway.memory import Memory
from octelium.gateway.report import Report
from octelium.gateway.view import View
from octelium.http.tasks import spawn
from octelium.replica.gateway_key import GatewayKeys
from octelium.tunnel.link.plan import LinkStatus
from tests.gateway.world import KEYS, FakeEngine, Writer, config, gone, key, key_secret, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.gateway.peers import Ranges
    from octelium.tunnel.link.plan import LinkPlan


class FakeLink:
    """A link process that does as it is told; probes reach the engine as long as `flows`."""

    def __init__(self) -> None:
        self.plans: list[LinkPlan] = []
        self.flows = True

    async def configured(self, plan: LinkPlan) -> None:
        self.plans.append(plan)

    async def status(self) -> LinkStatus:
        return LinkStatus(self.plans[-1], "active", counters={"input-dropped": 3})

    async def dial(self, kind: str, family: int, source: str | None = None) -> socket.socket:
        assert (kind, source) == ("udp", "100.64.0.1")
        if not self.flows:
            raise OSError(101, "Network is unreachable")
        made = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        return _Probe(*made)


class _Probe(socket.socket):
    """A socket that connects anywhere, and gets back what it sends."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self._theirs = theirs
        super().__init__(fileno=ours.detach())

    def connect(self, address: object, /) -> None:
        assert address == ("100.65.1.0", 9)

    def send(self, data: bytes, /, *_: object) -> int:  # type: ignore[override]  # of bytes alone
        return self._theirs.send(data)

    def close(self) -> None:
        self._theirs.close()
        super().close()


@dataclass
class World:
    """A gateway that runs."""

    writer: Writer
    link: FakeLink
    engine: FakeEngine
    gateway: Gateway
    running: asyncio.Task[None]
    made: list[tuple[GatewayKeys, Ranges]]
    up: asyncio.Event
    reports: list[Report] = field(default_factory=list)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                assert not self.running.done(), self.running
                await asyncio.sleep(0.001)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    writer, link, engine, view = Writer(View()), FakeLink(), FakeEngine(), View()
    writer.view = view
    memory = Memory(folder / "peers")
    made: list[tuple[GatewayKeys, Ranges]] = []
    reports: list[Report] = []
    up = asyncio.Event()

    async def make_engine(keys: GatewayKeys, ranges: Ranges) -> FakeEngine:
        made.append((keys, ranges))
        return engine

    gateway = Gateway(
        view,
        link,
        memory,
        writer,
        make_engine,
        lambda data: reports.append(Report.decode(data)),
        ("127.0.0.1", 53820),
        clock=lambda: 1000.0,
    )
    running = spawn(gateway.run(up.set), name="gateway")
    await asyncio.sleep(0)
    try:
        yield World(writer, link, engine, gateway, running, made, up, reports)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        memory.close()


async def test_the_network_is_up_before_the_engine_and_the_peers_follow(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await asyncio.sleep(0.01)
        assert it.link.plans == []
        it.writer.begin(session(1))
        async with asyncio.timeout(60):
            await it.up.wait()
        assert it.link.plans[0].local_routes == ("100.64.0.0/16", "fdee::/80")
        assert it.made[0][0] == KEYS
        (echo,) = set(it.engine.peers) - {key(1)}
        assert it.engine.peers[echo].allowed_ips == ("100.65.1.0/32",)
        assert it.engine.said == [("start", b""), ("put", key(1)), ("put", echo)]
        it.writer.commit(session(2))
        it.writer.commit(gone("Session", "session-1"))
        await it.until(lambda: set(it.engine.peers) == {key(2), echo})
        await it.until(lambda: it.reports and it.reports[-1].series["octelium_tunnel_peers"] == 1)
        assert it.reports[-1].trouble == ""
        assert it.reports[-1].series['octelium_tunnel_events_total{event="firewall-input-dropped"}']
    assert it.engine.closed


async def test_a_changed_key_is_set_with_those_before_it_as_long_as_they_count(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        it.writer.begin(session(1))
        await it.up.wait()
        former = ((KEYS.current, 1001.0), (b"o" * 32, 999.0))
        it.writer.commit(key_secret(GatewayKeys(b"n" * 32, former)))
        await it.until(lambda: it.engine.keys)
        assert it.engine.keys == (b"n" * 32, KEYS.current)
        assert key(1) in it.engine.peers


async def test_the_network_follows_the_cluster(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.writer.begin()
        await it.up.wait()
        it.writer.commit(config(v4="10.1.0.0/16"))
        await it.until(lambda: it.link.plans[-1].local_routes[0] == "10.1.0.0/16")


async def test_another_mtu_asks_for_another_process(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.writer.begin()
        await it.up.wait()
        changed = config()
        changed.status.network_config.wireguard.mtu = 1400
        it.writer.commit(changed)
        with pytest.raises(GatewayError, match="1400"):
            await it.running


async def test_a_failed_engine_ends_the_gateway(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.writer.begin()
        await it.up.wait()
        it.engine.failure.set_result("the TUN device is gone")
        with pytest.raises(GatewayError, match="the TUN device is gone"):
            await it.running
        assert it.engine.closed


async def test_trouble_is_told_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_PROBE", "_PROBE_AGAIN", "_REPORT"):
        monkeypatch.setattr(f"octelium.gateway.gateway.{name}", 0.01)
    async with world(tmp_path) as it:
        it.link.flows = False
        it.writer.begin()
        await it.until(lambda: it.reports)
        assert "Network is unreachable" in it.reports[-1].trouble
        it.link.flows = True
        await it.until(lambda: it.reports[-1].trouble == "")


async def test_places_are_remembered_at_the_end(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.writer.begin(session(1))
        await it.up.wait()
        it.engine.seen(key(1), ("203.0.113.7", 9))
    after = Memory(tmp_path / "peers")
    remembered = after.get(key(1))
    assert remembered is not None
    assert remembered.endpoint == ("203.0.113.7", 9)
    after.close()


async def test_a_changed_key_is_set_with_the_commit(tmp_path: Path) -> None:
    """Clients hear of it at the same time."""
    async with world(tmp_path) as it:
        it.writer.begin()
        await it.up.wait()
        changed = GatewayKeys(b"n" * 32)
        it.writer.commit(key_secret(changed))
        assert it.engine.keys == (b"n" * 32,)
        assert it.gateway._echo is not None
        assert it.gateway._echo.engine_key == changed.public_bytes
