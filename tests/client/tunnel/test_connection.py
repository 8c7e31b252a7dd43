from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.errors import ApiError
from octelium.client.tunnel import connection as module
from octelium.client.tunnel.connection import KEEPALIVE, Connection
from octelium.client.tunnel.device import Tunnel
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.tasks import begin
from octelium.client.tunnel.wanted import Wanted
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.tunnel.pieces import (
    GATEWAY_KEY,
    Engines,
    FakeSide,
    ScriptedStream,
    gateway,
    hosted_service,
    state,
)
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

OTHER_KEY = bytes(reversed(range(32)))
_MODES = user.ConnectRequestInitializeL3Mode__


def said(at: int = 0, **event: Any) -> user.ConnectResponse:
    """An event, with a time unless that is 0."""
    made = user.ConnectResponse(**event)
    if at:
        made.created_at.seconds = at
    return made


@dataclass
class Names:
    """Remembers what it was started with."""

    started: list[tuple[str, ...]] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    stopped: int = 0
    failure: OSError | None = None

    async def start(self, device: str, servers: Sequence[str], domains: Sequence[str]) -> str:
        assert domains == ("local.lab.test",)
        self.devices.append(device)
        if self.failure is not None:
            raise self.failure
        self.started.append(tuple(servers))
        return "names are looked up"

    async def stop(self) -> None:
        self.stopped += 1


class Harness:
    """A connection whose Cluster is the test."""

    def __init__(self, wanted: Wanted) -> None:
        self.side, self.engines, self.names = FakeSide(), Engines(), Names()
        self.streams: asyncio.Queue[ScriptedStream] = asyncio.Queue()
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.pauses: list[float] = []
        self.ticks: asyncio.Queue[None] = asyncio.Queue()
        self.fresh = 0
        self.refusals: list[Exception] = []
        self.tunnel = Tunnel(self.side, keepalive=30, make_engine=self.engines)
        self.connection = Connection(
            wanted,
            self.tunnel,
            self.names,
            open_stream=self._open,
            keep_fresh=self._keep_fresh,
            domain="lab.test",
            note=self.notes.append,
            warn=self.warnings.append,
            sleep=self._sleep,
            clock=lambda: 1000.0,
        )
        self.running = begin(self.connection.run(), name="connection of a test")

    def _open(self, first: user.ConnectRequest) -> ScriptedStream:
        stream = ScriptedStream(first)
        if self.refusals:
            stream.events.put_nowait(self.refusals.pop(0))
        self.streams.put_nowait(stream)
        return stream

    def _keep_fresh(self) -> None:
        self.fresh += 1

    async def _sleep(self, seconds: float) -> None:
        if seconds == KEEPALIVE:
            await self.ticks.get()
            return
        self.pauses.append(seconds)

    async def stream(self) -> ScriptedStream:
        async with asyncio.timeout(60):
            return await self.streams.get()

    async def joined(self, **more: Any) -> ScriptedStream:
        """A stream that has had its state."""
        stream = await self.stream()
        stream.events.put_nowait(said(100, state=state(**more)))
        async with asyncio.timeout(60):
            await self.connection.joined.wait()
            while not self.connection.since:
                await asyncio.sleep(0)
        return stream

    async def tell(self, stream: ScriptedStream, *events: user.ConnectResponse) -> None:
        for event in events:
            stream.events.put_nowait(event)
        async with asyncio.timeout(60):
            while not stream.events.empty():
                await asyncio.sleep(0)
            for _ in range(5):
                await asyncio.sleep(0)

    async def outcome(self) -> str:
        async with asyncio.timeout(60):
            return await self.running


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    made = Harness(getattr(request, "param", Wanted()))
    yield made
    made.running.cancel()
    await asyncio.wait((made.running,))
    await made.connection.close()
    assert not made.tunnel.is_open


async def test_from_the_first_message_to_the_clusters_last(harness: Harness) -> None:
    stream = await harness.stream()
    assert stream.said[0].initialize.l3_mode == _MODES.BOTH
    stream.events.put_nowait(said(1, add_gateway={"gateway": gateway("too early")}))
    stream.events.put_nowait(said(100, state=state()))
    async with asyncio.timeout(60):
        await harness.connection.joined.wait()
    assert [*harness.engines.last.peers] == [GATEWAY_KEY]
    assert harness.names.started == [("100.64.0.2", "fdee:1:2:3::2")]
    assert harness.names.devices == ["octelium-x"]
    stream.events.put_nowait(said(101, disconnect={"message": "an administrator did it"}))
    assert await harness.outcome() == "an administrator did it"
    assert stream.closed


async def test_gateways_and_name_servers(harness: Harness) -> None:
    stream = await harness.joined()
    peers = harness.engines.last.peers
    await harness.tell(stream, said(101, add_gateway={"gateway": gateway("g2", OTHER_KEY)}))
    assert {*peers} == {GATEWAY_KEY, OTHER_KEY}
    await harness.tell(stream, said(101, add_gateway={"gateway": gateway("g2", OTHER_KEY)}))
    assert len(peers) == 2, "one that is known is not added again"
    rotated = bytes(32)
    await harness.tell(stream, said(101, update_gateway={"gateway": gateway("g2", rotated)}))
    assert {*peers} == {GATEWAY_KEY, rotated}
    await harness.tell(stream, said(101, delete_gateway={"id": "g2"}))
    assert {*peers} == {GATEWAY_KEY}
    await harness.tell(stream, said(101, update_dns={"dns": {"servers": ["100.64.0.9"]}}))
    assert harness.names.started[-1] == ("100.64.0.9",)
    await harness.tell(stream, said(101, message={"message": "hello"}))
    assert harness.notes[-1] == "The Cluster says: hello"


async def test_what_was_said_before_the_state_is_passed_over(harness: Harness) -> None:
    stream = await harness.joined()
    await harness.tell(stream, said(99, delete_gateway={"id": "g1"}))
    assert harness.engines.last.peers
    await harness.tell(stream, said(0, delete_gateway={"id": "g1"}))
    assert not harness.engines.last.peers


async def test_nonsense_later_on_changes_nothing(harness: Harness) -> None:
    stream = await harness.joined()
    wrong = gateway("g1", b"short")
    await harness.tell(stream, said(101, update_gateway={"gateway": wrong}))
    assert "that is passed over" in harness.warnings[-1]
    assert [*harness.engines.last.peers] == [GATEWAY_KEY]
    assert not harness.running.done()


async def test_an_outage_keeps_the_tunnel(harness: Harness) -> None:
    stream = await harness.joined()
    stream.events.put_nowait(None)
    second = await harness.stream()
    assert stream.closed
    assert harness.tunnel.is_open
    second.events.put_nowait(ApiError("UNAVAILABLE", "still away", "Connect"))
    third = await harness.stream()
    third.events.put_nowait(said(200, state=state(x25519_key=OTHER_KEY)))
    await harness.tell(third)
    assert (len(harness.side.opened), harness.side.closed) == (1, 0)
    assert harness.engines.last.private_key == OTHER_KEY
    assert len(harness.warnings) == 1
    assert harness.notes[-1] == "Connected again."
    limits = (0.25, 0.625)
    assert all(each <= limit for each, limit in zip(harness.pauses, limits, strict=True))
    assert harness.pauses[0] < harness.pauses[1]


@pytest.mark.parametrize(
    "code",
    ["PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED", "UNAUTHENTICATED"],
)
async def test_refusals_end_it(harness: Harness, code: str) -> None:
    stream = await harness.stream()
    stream.events.put_nowait(ApiError(code, "no", "Connect"))
    with pytest.raises(ApiError, match="no"):
        await harness.outcome()
    assert harness.streams.empty()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN"])
async def test_other_failures_do_not(harness: Harness, code: str) -> None:
    for _ in range(8):
        (await harness.stream()).events.put_nowait(ApiError(code, "hm", "Connect"))
    await harness.joined()
    assert len(harness.pauses) == 8
    assert max(harness.pauses) <= module.PAUSES[-1] * 1.25


async def test_a_certificate_that_nobody_trusts_ends_it(harness: Harness) -> None:
    error = ApiError("UNAVAILABLE", "the certificate is not trusted", "Connect", "give the CA")
    (await harness.stream()).events.put_nowait(error)
    with pytest.raises(ApiError, match="not trusted"):
        await harness.outcome()


async def test_the_families_that_the_cluster_has(harness: Harness) -> None:
    for mode in (_MODES.BOTH, _MODES.V4):
        stream = await harness.stream()
        assert stream.said[0].initialize.l3_mode == mode
        stream.events.put_nowait(ApiError("INVALID_ARGUMENT", f"not {mode}", "Connect"))
    last = await harness.stream()
    assert last.said[0].initialize.l3_mode == _MODES.V6
    last.events.put_nowait(ApiError("INVALID_ARGUMENT", "nor that", "Connect"))
    with pytest.raises(ApiError, match="not 0"):
        await harness.outcome()


@pytest.mark.parametrize("harness", [Wanted(ip_mode="v4")], indirect=True)
async def test_families_that_were_asked_for_are_had_or_nothing(harness: Harness) -> None:
    (await harness.stream()).events.put_nowait(ApiError("INVALID_ARGUMENT", "no v4", "Connect"))
    with pytest.raises(ApiError, match="no v4"):
        await harness.outcome()


async def test_no_state_in_time(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATE", 0.05)
    (await harness.stream()).events.put_nowait(None)
    silent = await harness.stream()
    await harness.stream()
    assert silent.closed
    assert len(harness.pauses) == 2


async def test_a_host_that_cannot_have_a_tunnel_ends_it(harness: Harness) -> None:
    harness.side.failure = TunnelError("no device here")
    (await harness.stream()).events.put_nowait(said(100, state=state()))
    with pytest.raises(TunnelError, match="no device here"):
        await harness.outcome()


async def test_a_device_that_vanishes_is_made_again(harness: Harness) -> None:
    await harness.joined()
    broken = harness.engines.last.broken
    assert broken is not None
    broken.set_result("somebody deleted it")
    second = await harness.stream()
    second.events.put_nowait(said(100, state=state()))
    await harness.tell(second)
    assert len(harness.side.opened) == 2
    assert "somebody deleted it" in harness.warnings[0]


async def test_signs_of_life(harness: Harness) -> None:
    stream = await harness.joined()
    harness.ticks.put_nowait(None)
    async with asyncio.timeout(60):
        while not harness.fresh:
            await asyncio.sleep(0.001)
    assert stream.said[1].keep_alive.set_at.seconds == 1000


@pytest.mark.parametrize("harness", [Wanted(serve_all=True)], indirect=True)
async def test_served_services(harness: Harness) -> None:
    def service(name: str, port: int) -> user.HostedService:
        return hosted_service(name, port=port)

    ports = [reserved_port() for _ in range(3)]
    options = user.ConnectionStateServiceOptions(services=[service("a.default", ports[0])])
    stream = await harness.joined(service_options=options)
    served = harness.connection.served
    assert [(each.name, each.port) for each in served.present] == [("a.default", ports[0])]
    await harness.tell(stream, said(101, add_service={"service": service("b.default", ports[1])}))
    updated = service("a.default", ports[2])
    await harness.tell(stream, said(101, update_service={"service": updated}))
    found = {(each.name, each.port) for each in served.present}
    assert found == {("a.default", ports[2]), ("b.default", ports[1])}
    await harness.tell(stream, said(101, delete_service={"name": "b.default"}))
    assert [each.name for each in served.present] == ["a.default"]


async def test_nothing_is_served_that_nobody_offered(harness: Harness) -> None:
    options = user.ConnectionStateServiceOptions(services=[hosted_service(port=reserved_port())])
    stream = await harness.joined(service_options=options)
    await harness.tell(stream, said(101, add_service={"service": hosted_service()}))
    assert harness.connection.served.present == []


async def test_a_state_that_leaves_no_tunnel_begins_all_anew(harness: Harness) -> None:
    stream = await harness.joined()
    harness.side.failure = TunnelError("the Cluster has this host be its neighbour")
    await harness.tell(stream, said(101, state=state(mtu=1400)))
    assert not harness.tunnel.is_open
    again = await harness.stream()
    assert stream.closed
    assert "not connected at present: the Cluster has this host be" in harness.warnings[0]
    harness.side.failure = None
    again.events.put_nowait(said(102, state=state(mtu=1400)))
    await harness.tell(again, said(103, add_gateway={"gateway": gateway()}))
    assert [each.mtu for each in harness.side.opened] == [1280, 1400]
    assert "Connected again." in harness.notes


@pytest.mark.parametrize("harness", [Wanted(serve=("home.default",))], indirect=True)
async def test_only_what_was_asked_for_is_served_and_only_in_the_tunnel(harness: Harness) -> None:
    def options(*services: user.HostedService) -> user.ConnectionStateServiceOptions:
        return user.ConnectionStateServiceOptions(services=services)

    port, other = reserved_port(), reserved_port()
    lan = meta.DualStackIp(ipv4="127.0.0.1")
    both = meta.DualStackIp(ipv4="100.65.0.7", ipv6="fdee:1:2:3:1::8")
    wrong = (
        hosted_service("files.default", port=other),
        hosted_service(port=other, address=lan),
        hosted_service(port=other, address=both),
    )
    mine = hosted_service(port=port)
    stream = await harness.joined(service_options=options(*wrong, mine))
    reasons = ("nobody here asked", "at 127.0.0.1, which is no", "at fdee:1:2:3:1::8, which is no")
    assert [reason in line for reason, line in zip(reasons, harness.warnings, strict=True)] == [
        True
    ] * 3
    for event in ("add_service", "update_service"):
        for each in wrong[:2]:
            await harness.tell(stream, said(101, **{event: {"service": each}}))
    assert len(harness.warnings) == 7
    assert {each for _, _, each in harness.side.heard} == {port}
    assert harness.connection.served.present == [], "what is not served rightly is not served"
    await harness.tell(stream, said(102, update_service={"service": mine}))
    (only,) = harness.connection.served.present
    assert (only.name, only.addresses) == ("home.default", ("100.65.0.7",))
    assert harness.side.heard == [("tcp", "100.65.0.7", port)] * 2


@pytest.mark.parametrize("harness", [Wanted(allowed=("8.8.0.0/16",))], indirect=True)
async def test_a_cluster_gets_no_more_than_is_allowed(harness: Harness) -> None:
    mine = [meta.DualStackNetwork(v4="8.8.1.7/32")]
    ranges = meta.DualStackNetwork(v4="8.8.0.0/24")
    servers = user.Dns(servers=["8.8.0.2"])
    stream = await harness.joined(addresses=mine, cidr=ranges, dns=servers, gateways=[])
    more = gateway(ranges=["8.8.0.0/28"])
    await harness.tell(stream, said(101, add_gateway={"gateway": more}))
    assert GATEWAY_KEY in harness.engines.last.peers
    public = gateway("g2", OTHER_KEY, ranges=["9.9.9.0/24"])
    await harness.tell(
        stream,
        said(102, add_gateway={"gateway": public}),
        said(103, update_dns={"dns": {"servers": ["100.64.0.9"]}}),
        said(104, state=state(addresses=mine, cidr=meta.DualStackNetwork(v4="9.0.0.0/8"))),
    )
    assert OTHER_KEY not in harness.engines.last.peers
    assert harness.names.started == [("8.8.0.2",)]
    assert harness.side.changed == []
    assert len(harness.warnings) == 3
    assert all("that is passed over" in line for line in harness.warnings)


@pytest.mark.parametrize("harness", [Wanted(no_dns=True, mtu=1400)], indirect=True)
async def test_the_resolver_left_alone_and_another_mtu(harness: Harness) -> None:
    await harness.joined()
    assert harness.names.devices == [""]
    assert harness.side.opened[0].mtu == 1400


async def test_names_are_for_those_who_can_reach_what_they_name(harness: Harness) -> None:
    harness.side.is_of_host = False
    await harness.joined()
    assert harness.names.devices == [""]


async def test_names_that_cannot_be_are_only_told(harness: Harness) -> None:
    harness.names.failure = OSError("read-only")
    stream = await harness.joined()
    assert "read-only" in harness.warnings[0]
    assert (harness.connection.names, harness.connection.named.is_set()) == ("", True)
    await harness.tell(stream, said(101, update_dns={"dns": {"servers": ["100.64.0.9"]}}))
    assert len(harness.warnings) == 1
    harness.names.failure = None
    await harness.tell(stream, said(102, update_dns={"dns": {"servers": ["100.64.0.9"]}}))
    assert (harness.connection.names, harness.notes[-1]) == ("names are looked up",) * 2


async def test_another_state_within_a_stream(harness: Harness) -> None:
    stream = await harness.joined()
    moved = [meta.DualStackNetwork(v4="100.65.0.9/32")]
    await harness.tell(stream, said(101, state=state(addresses=moved, mtu=1400)))
    assert harness.side.opened[-1].addresses == ("100.65.0.9/32",)
    await harness.tell(stream, said(102, delete_gateway={"id": "g1"}))
    assert not harness.running.done()
