from __future__ import annotations

import asyncio
import ipaddress
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

from octelium.schema.dns_servers import DnsServer
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.dns import resolver as module
from octelium.vigil.dns.answers import FILTERED, Question
from octelium.vigil.dns.guard import Guard
from octelium.vigil.dns.links import Peer
from octelium.vigil.dns.resolver import Resolver, Zone, Zones
from octelium.vigil.dns.wire import NXDOMAIN, SERVFAIL, Answer
from octelium.vigil.dns.zones import domain_labels
from tests.vigil.dns.world import Upstream, upstream, wire_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GUARD = Guard([ipaddress.ip_network("100.64.0.0/16")], lambda name: name[-1:] == (b"local",))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Asking:
    def __init__(self, *servers: Upstream, total: float = 60, transport: str = "udp") -> None:
        self.clock = Clock()
        self.resolver = Resolver(lambda: GUARD, clock=self.clock, total=total)
        peers = [Peer(DnsServer(transport, "127.0.0.1", server.port)) for server in servers]
        self.zone = Zone(tuple(peers))

    async def ask(self, name: str = "www.example.com", kind: int = 1) -> Answer:
        question = Question(wire_form(name), kind)
        kept = self.resolver.kept(self.zone, question)
        return kept or await self.resolver.resolve(self.zone, question)


@asynccontextmanager
async def asking(count: int = 1, **options: Any) -> AsyncIterator[tuple[Asking, list[Upstream]]]:
    servers = [Upstream() for _ in range(count)]
    for server in servers:
        await server.start()
        server.put("www.example.com", "A", "192.0.2.1", ttl=60)
    made = Asking(*servers, **options)
    try:
        yield made, servers
    finally:
        made.resolver.close()
        for server in servers:
            await server.close()


def failing(query: dns.message.Message, _tcp: bool) -> list[bytes]:
    made = dns.message.make_response(query)
    made.set_rcode(dns.rcode.SERVFAIL)
    return [made.to_wire()]


async def test_answers_are_kept_as_long_as_they_say() -> None:
    async with asking() as (one, (server,)):
        assert (await one.ask()).text == "192.0.2.1"
        one.clock.now += 59
        answer = await one.ask()
        assert len(server.asked) == 1
        assert answer.records[6:10] == (1).to_bytes(4, "big")
        one.clock.now += 1
        await one.ask()
        assert len(server.asked) == 2


async def test_a_zone_may_say_shorter() -> None:
    async with asking() as (one, (server,)):
        one.zone = Zone(one.zone.peers, longest=5)
        await one.ask()
        one.clock.now += 5
        await one.ask()
        assert len(server.asked) == 2
        one.zone = Zone(one.zone.peers, longest=0)
        await one.ask()
        await one.ask()
        assert len(server.asked) == 4


async def test_denials_are_kept_for_less() -> None:
    async with asking() as (one, (server,)):
        assert (await one.ask("gone.example")).rcode == NXDOMAIN
        one.clock.now += 59
        assert (await one.ask("gone.example")).rcode == NXDOMAIN
        assert (await one.ask("www.example.com", 28)).rcode == 0
        assert len(server.asked) == 2
        one.clock.now += 2
        await one.ask("gone.example")
        assert len(server.asked) == 3


async def test_nothing_is_denied_for_long() -> None:
    async with asking() as (one, (server,)):
        server.negative = 86400
        await one.ask("gone.example")
        one.clock.now += module.LONGEST_NEGATIVE - 1
        await one.ask("gone.example")
        assert len(server.asked) == 1
        one.clock.now += 2
        await one.ask("gone.example")
        assert len(server.asked) == 2


async def test_equal_questions_are_asked_once() -> None:
    async with asking() as (one, (server,)):
        answers = await asyncio.gather(*(one.ask() for _ in range(50)))
        assert len(server.asked) == 1
        assert {answer.text for answer in answers} == {"192.0.2.1"}


async def test_whoever_goes_away_leaves_the_others_waiting() -> None:
    async with asking() as (one, (server,)):
        first = asyncio.ensure_future(one.ask())  # noqa: TID251 - awaited below
        second = asyncio.ensure_future(one.ask())  # noqa: TID251
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).text == "192.0.2.1"
        assert first.cancelled()
        assert len(server.asked) == 1


@pytest.mark.parametrize("trouble", ["fails", "silent", "closed", "junk"])
async def test_another_server_is_asked(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(2) as (one, (good, bad)):
        if trouble == "closed":
            closed = Peer(DnsServer("udp", "127.0.0.1", 1))
            one.zone = Zone((one.zone.peers[0], closed))
        impatient_with = {bad.port}
        message = one.resolver._message

        async def watched(peer: Peer, question: Question) -> bytes:
            seconds = 0.05 if peer.server.port in impatient_with else 60.0
            monkeypatch.setattr(module, "_DATAGRAM_PATIENCE", seconds)
            return await message(peer, question)

        monkeypatch.setattr(one.resolver, "_message", watched)
        bad.respond = {
            "fails": failing,
            "silent": lambda _query, _tcp: [],
            "closed": bad.answer,
            "junk": lambda query, _tcp: [query.to_wire()[:2] + b"\x81\x80" + query.to_wire()[4:-3]],
        }[trouble]
        for number in range(12):
            good.put(f"{number}.example", "A", "192.0.2.7")
            assert (await one.ask(f"{number}.example")).text == "192.0.2.7"
        # Once it has failed it comes last.
        assert len(bad.asked) <= 1
        assert len(good.asked) == 12
        one.clock.now += 11
        impatient_with.clear()
        good.respond = failing
        bad.respond = bad.answer
        bad.put("late.example", "A", "192.0.2.8")
        if trouble != "closed":
            assert (await one.ask("late.example")).text == "192.0.2.8"


async def test_when_nobody_answers_that_is_said_in_time() -> None:
    async with asking(2, total=0.2) as (one, servers):
        for server in servers:
            server.respond = lambda _query, _tcp: []
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await one.ask()
        assert answer.rcode == SERVFAIL
        assert loop.time() - begun > 0.15
        assert one.resolver.failures == 1
        # Remembered for a second, so that a broken server is not asked for each client anew.
        asked = [len(server.asked) for server in servers]
        assert (await one.ask()).rcode == SERVFAIL
        assert asked == [len(server.asked) for server in servers]
        one.clock.now += 1
        for server in servers:
            server.respond = server.answer
        one.resolver._total = 60
        assert (await one.ask()).text == "192.0.2.1"


async def test_servers_are_not_asked_without_end() -> None:
    async with asking() as (one, (server,)):
        server.respond = failing
        assert (await one.ask()).rcode == SERVFAIL
        assert len(server.asked) == module._ATTEMPTS


async def test_a_zone_without_servers_fails() -> None:
    one = Asking()
    assert (await one.ask()).rcode == SERVFAIL


async def test_truncated_answers_are_fetched_by_tcp() -> None:
    async with asking() as (one, (server,)):
        server.put("big.example", "TXT", *(f'"{number:04}{"x" * 200}"' for number in range(40)))
        answer = await one.ask("big.example", 16)
        assert answer.counts == (40, 0)
        assert [tcp for _, _, tcp in server.asked] == [False, True]


async def test_a_server_may_be_asked_by_tcp_alone() -> None:
    async with asking(transport="tcp") as (one, (server,)):
        assert (await one.ask()).text == "192.0.2.1"
        assert server.asked == [("www.example.com.", "A", True)]


async def test_what_points_into_the_cluster_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    async with asking() as (one, (server,)):
        server.put("rebind.example", "A", "192.0.2.1", "100.64.0.20")
        server.put("alias.example", "CNAME", "wiki.local.")
        with caplog.at_level(logging.WARNING):
            answers = [await one.ask("rebind.example"), await one.ask("alias.example")]
        assert [(answer.rcode, answer.error) for answer in answers] == [(SERVFAIL, FILTERED)] * 2
        assert one.resolver.filtered == 2
        assert len([r for r in caplog.records if "private network" in r.message]) == 1
        assert len(server.asked) == 2  # a second server would say the same


def dns_spec(value: dict[str, Any]) -> core.ClusterConfigSpecDns:
    made: core.ClusterConfigSpecDns = from_json(core.ClusterConfigSpecDns, value)
    return made


def hosts(zone: Zone) -> list[str]:
    return [f"{peer.server.transport}:{peer.server.host}:{peer.server.port}" for peer in zone.peers]


def test_names_belong_to_the_zone_with_the_longest_domain() -> None:
    zones = Zones(
        dns_spec(
            {
                "fallbackZone": {"servers": ["10.0.0.1"], "cacheDuration": {"minutes": 2}},
                "zones": [
                    {"servers": ["10.0.0.2"], "domains": ["corp.example", "Corp.Local."]},
                    {"servers": ["tls://10.0.0.3"], "domains": ["eu.corp.example"]},
                    {"servers": ["10.0.0.4"], "domains": ["eu.corp.example"]},
                ],
            }
        )
    )
    for name, host in [
        ("example.com", "udp:10.0.0.1:53"),
        ("", "udp:10.0.0.1:53"),
        ("xcorp.example", "udp:10.0.0.1:53"),
        ("example", "udp:10.0.0.1:53"),
        ("corp.example", "udp:10.0.0.2:53"),
        ("a.b.corp.example", "udp:10.0.0.2:53"),
        ("dc.corp.local", "udp:10.0.0.2:53"),
        ("eu.corp.example", "tls:10.0.0.3:853"),
        ("x.eu.corp.example", "tls:10.0.0.3:853"),
    ]:
        assert hosts(zones.of(domain_labels(name))) == [host], name
    assert zones.of(()).longest == 120
    assert zones.of(domain_labels("corp.example")).longest == module.LONGEST


def test_without_servers_octeliums_own_are_asked() -> None:
    zone = Zones(dns_spec({"fallbackZone": {"cacheDuration": {"seconds": 9}}})).of(())
    assert hosts(zone) == ["tls:8.8.8.8:853", "tls:1.1.1.1:853"]
    assert zone.longest == 9


def test_servers_that_cannot_be_read_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    zone = Zones(dns_spec({"fallbackZone": {"servers": ["https://x", "10.0.0.1"]}})).of(())
    assert hosts(zone) == ["udp:10.0.0.1:53"]
    assert "not a scheme of DNS servers" in caplog.text


async def test_answers_of_one_zone_are_not_anothers() -> None:
    async with upstream() as other, asking() as (one, _):
        other.put("www.example.com", "A", "192.0.2.99")
        assert (await one.ask()).text == "192.0.2.1"
        one.zone = Zone((Peer(DnsServer("udp", "127.0.0.1", other.port)),))
        assert (await one.ask()).text == "192.0.2.99"
