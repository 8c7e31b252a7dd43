"""Questions over sockets, by clients that are not ours: dnspython and, where it is there, dig."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import uvloop

from octelium.replica.arrival import FrontDoor, Tunnel
from octelium.vigil.dns.server import Dns
from tests.http import certs
from tests.ingress.private_world import ANN, BOB, L4, WIKI, connected, private, private_world
from tests.vigil.dns.world import (
    DOMAIN,
    NAMES,
    PLACE,
    SESSION,
    TYPES,
    allow_all,
    server_context,
    upstream,
    world,
)
from tests.vigil.world import MODES, certificate_secret, contained, containers, service

if TYPE_CHECKING:
    from pathlib import Path


def expected(what: str, kind: str) -> tuple[str, int]:
    """The rcode and the number of answers."""
    if what == "unknown":
        return "NXDOMAIN", 0
    answered = {
        "service": {"A", "AAAA", "ANY"},
        "v4only": {"A", "ANY"},
        "apex": {"A", "AAAA", "SOA", "NS", "ANY"},
        "reverse": {"PTR", "ANY"},
    }[what]
    # An apex is answered for its zone; a single label is a zone of its own.
    return "NOERROR", int(kind in answered)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(("name", "what"), NAMES.items())
async def test_every_name_type_and_transport(name: str, what: str, tcp: bool) -> None:
    async with world() as here:
        for kind in TYPES:
            if name == "wiki" and kind in ("SOA", "NS"):
                continue  # a zone of its own, see below
            for options in ({}, {"use_edns": 0}, {"want_dnssec": True}):
                reply = await here.ask(name, kind, tcp=tcp, **options)
                rcode, count = expected(what, kind)
                assert dns.rcode.to_text(reply.rcode()) == rcode, kind
                assert len(reply.answer) == count, kind
                assert bool(reply.authority) != bool(count), kind
                assert reply.flags & dns.flags.AA
                assert not reply.flags & dns.flags.AD
                assert reply.edns == (0 if options else -1)
                assert name in reply.question[0].name.to_text()
        soa = await here.ask("wiki", "SOA", tcp=tcp)
        assert soa.answer[0].rdtype == dns.rdatatype.SOA


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")
async def test_dig_gets_the_same() -> None:
    async def dig(*words: str) -> list[str]:
        how = ("@127.0.0.1", "-p", str(here.port), "+time=60", "+tries=1", "+nottlid")
        program = await asyncio.create_subprocess_exec(
            *("dig", *how, *words), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await program.communicate()
        assert program.returncode == 0, output
        text = output.decode()
        assert "Warning" not in text
        assert "malformed" not in text
        return [line for line in text.splitlines() if line]

    async with world() as here:
        v6 = ["+short", f"wiki.local.{DOMAIN}", "AAAA"]
        assert await dig(*v6) == ["fdee:1234::14"]
        assert await dig("+tcp", *v6) == ["fdee:1234::14"]
        assert await dig("+noedns", "+norecurse", *v6) == ["fdee:1234::14"]
        assert await dig("+dnssec", "+cookie", "+nsid", *v6) == ["fdee:1234::14"]
        assert await dig("+short", "-x", "100.64.0.20") == [f"wiki.local.{DOMAIN}."]
        assert await dig("+short", "-x", "fdee:1234::14") == [f"wiki.local.{DOMAIN}."]
        assert any("status: NXDOMAIN" in line for line in await dig("nope.local"))
        assert any(
            "status: BADVERS" in line for line in await dig("+edns=1", "+noednsneg", "x.local")
        )
        assert any("status: REFUSED" in line for line in await dig("version.bind", "CH", "TXT"))
        assert any("status: NOTIMP" in line for line in await dig("+opcode=2", "wiki.local"))
        many = await dig("+short", "+tcp", "+keepopen", "wiki.local", "api.prod-eu.local", "wiki")
        assert many == ["100.64.0.20", "100.64.0.30", "100.64.0.20"]


@pytest.mark.parametrize("tcp", [False, True])
async def test_what_is_not_looked_up(tcp: bool) -> None:
    async with world() as here:
        for kind in ("AXFR", "IXFR", "TKEY", "MAILB", "OPT", "TYPE0", "TYPE128"):
            reply = await here.ask("local", kind, tcp=tcp)
            assert reply.rcode() == dns.rcode.REFUSED
        query = dns.message.make_query("wiki.local", "A", "CH")
        assert (await here.send(query, tcp=tcp)).rcode() == dns.rcode.REFUSED
        query = dns.message.make_query("wiki.local", "A")
        query.set_opcode(dns.opcode.Opcode.NOTIFY)
        wire = await (here.raw_tcp if tcp else here.raw)(query.to_wire())
        assert dns.message.from_wire(wire).rcode() == dns.rcode.NOTIMP


# Decisions.


async def test_every_question_is_decided_and_logged() -> None:
    deny = {
        "effect": "DENY",
        "condition": {
            "match": 'ctx.request.dns.name.startsWith("api.") || ctx.request.dns.typeID == 15'
        },
    }
    allow = {"effect": "ALLOW", "condition": {"matchAny": True}}
    async with world() as here:
        rules = {"inlinePolicies": [{"name": "p", "spec": {"rules": [deny, allow]}}]}
        here.cluster.dns_service(authorization=rules)
        assert (await here.ask("Wiki.local")).rcode() == 0
        assert (await here.ask("api.prod-eu.local")).rcode() == dns.rcode.REFUSED
        assert (await here.ask("API.prod-eu.local", tcp=True)).rcode() == dns.rcode.REFUSED
        assert (await here.ask("wiki.local", "MX")).rcode() == dns.rcode.REFUSED
        allowed, denied, *_ = made = here.sink.records
        assert [(one.method, one.target, one.status) for one in made] == [
            (b"A", b"wiki.local.", 0),
            (b"A", b"api.prod-eu.local.", 5),
            (b"A", b"api.prod-eu.local.", 5),
            (b"MX", b"wiki.local.", 5),
        ]
        assert allowed.subject.allowed
        assert not denied.subject.allowed
        assert allowed.subject.mode == "DNS"
        assert allowed.subject.user is not None
        assert allowed.subject.user["name"] == "ann"
        assert (allowed.content_type, allowed.host) == (b"100.64.0.20", b"100.64.0.16:53")
        assert allowed.client_address == SESSION.address


async def test_a_change_is_seen_by_the_next_question() -> None:
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)

        async def ask() -> int:
            query = dns.message.make_query("wiki.local", "A").to_wire()
            writer.write(len(query).to_bytes(2, "big") + query)
            answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            return int(dns.message.from_wire(answer).rcode())

        assert await ask() == 0
        here.cluster.session("ann-1", "ann", state="REJECTED")
        assert await ask() == dns.rcode.REFUSED
        here.cluster.session("ann-1", "ann")
        assert await ask() == 0
        here.cluster.remove("Session", "ann-1")
        assert await ask() == dns.rcode.REFUSED
        assert (await here.ask("wiki.local")).rcode() == dns.rcode.REFUSED
        assert not here.sink.records[-1].subject.authenticated
        writer.close()


async def test_a_disabled_service_fails_and_ends_its_streams() -> None:
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        await here.until(lambda: here.vigil.running)
        here.cluster.dns_service(isDisabled=True)
        assert await reader.read() == b""
        writer.close()
        assert (await here.ask("wiki.local")).rcode() == dns.rcode.SERVFAIL
        assert not here.sink.records


async def test_errors_of_decisions_fail() -> None:
    broken = {"effect": "DENY", "condition": {"match": "ctx.request.dns.typeID / 0 == 1"}}
    allow = {"effect": "ALLOW", "condition": {"matchAny": True}}
    async with world() as here:
        rules = {"inlinePolicies": [{"name": "p", "spec": {"rules": [broken, allow]}}]}
        here.cluster.dns_service(authorization=rules)
        assert (await here.ask("wiki.local")).rcode() == dns.rcode.SERVFAIL
        assert here.sink.records[0].error


async def test_a_decision_that_takes_long_is_waited_for() -> None:
    async with world() as here:
        decide = here.cluster.octovigil.decide
        gate = asyncio.Event()

        async def later(*arguments: Any) -> Any:
            await gate.wait()
            return decide(*arguments)

        here.dns.decider = type("Slow", (), {"decide": staticmethod(later)})()
        asking = asyncio.ensure_future(here.ask("wiki.local"))  # noqa: TID251 - awaited below
        await asyncio.sleep(0.01)
        assert not asking.done()
        gate.set()
        assert (await asking).rcode() == 0


async def test_questions_wait_for_the_replica() -> None:
    class Freshness:
        fresh = False

        def up_to_date(self) -> bool:
            return False

        async def catch_up(self, timeout: float) -> bool:
            return self.fresh

    async with world() as here:
        here.dns.freshness = freshness = Freshness()
        assert (await here.ask("wiki.local")).rcode() == dns.rcode.SERVFAIL
        freshness.fresh = True
        assert (await here.ask("wiki.local")).rcode() == 0


async def test_only_tunnels_get_answers() -> None:
    async with world() as here:
        here.arrival = FrontDoor("192.0.2.1", 53)
        with pytest.raises(TimeoutError):
            await here.raw(dns.message.make_query("wiki.local", "A").to_wire(), patience=0.1)
        await here.until(lambda: here.dns.dropped == 1)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await here.ask("wiki.local", tcp=True)


async def test_answers_are_never_answered() -> None:
    async with world() as here:
        reply = dns.message.make_response(dns.message.make_query("wiki.local", "A"))
        for data in (reply.to_wire(), b"x", b"x" * 11):
            with pytest.raises(TimeoutError):
                await here.raw(data, patience=0.05)
        await here.until(lambda: here.dns.dropped == 3)


async def test_no_answer_over_udp_is_much_larger_than_its_question() -> None:
    async with world() as here:
        for name, kind in (
            ("wiki.local", "ANY"),
            ("x.local", "A"),
            ("local", "SOA"),
            ("local", "NS"),
        ):
            query = dns.message.make_query(name, kind, use_edns=0, payload=65535).to_wire()
            assert len(await here.raw(query)) < 5 * len(query)


def test_on_the_event_loop_of_workers(tmp_path: Path) -> None:
    async def ask() -> None:
        tls = server_context(tmp_path, "127.0.0.1")
        async with upstream() as plain, upstream(tls) as secure, world() as here:
            for server in (plain, secure):
                server.put("www.example.com", "A", "192.0.2.1")
                server.put("big.example", "TXT", *(f'"{n:04}{"x" * 200}"' for n in range(20)))
            here.service = "resolver.default"
            trusted = {"trustedCAs": [certs.ca().chain.decode()]}
            for url in (
                plain.url,
                f"tcp://127.0.0.1:{plain.port}",
                f"tls://127.0.0.1:{secure.port}",
            ):
                here.cluster.service(
                    "resolver.default",
                    mode="DNS",
                    isPublic=None,
                    config={"upstream": {"url": url}, "tls": trusted},
                    authorization=allow_all(),
                )
                for tcp in (False, True):
                    reply = await here.ask("www.example.com", tcp=tcp)
                    assert reply.answer[0][0].to_text() == "192.0.2.1"
                assert len((await here.ask("big.example", "TXT", tcp=True)).answer[0]) == 20
            here.service = "dns.octelium"
            assert (await here.ask("wiki.local", tcp=True)).rcode() == 0

    uvloop.run(ask())


# Through the private network's listeners.


async def test_by_the_addresses_of_tunnels() -> None:
    async with private_world() as here:
        served = Dns(here.vigil, total=60)
        here.streams[MODES.DNS] = served
        here.flows[MODES.DNS] = served
        made = private(service("dns.octelium", mode=MODES.DNS), here.port)
        made.spec.is_public = False
        made.status.managed_service.type = "dns"
        await here.put(made)
        loop = asyncio.get_running_loop()
        query = dns.message.make_query("dns.octelium.local", "A")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.bind((ANN, 0))
            client.connect((WIKI, here.port))
            await here.until(lambda: len(here.server.listening) == 2)
            await loop.sock_sendall(client, query.to_wire())
            async with asyncio.timeout(60):
                reply = dns.message.from_wire(await loop.sock_recv(client, 4096))
        assert query.is_response(reply)
        assert reply.answer[0][0].to_text() == WIKI
        connection = await here.connect(ANN)
        wire = query.to_wire()
        await connection.send(len(wire).to_bytes(2, "big") + wire)
        size = int.from_bytes(await connection.exactly(2), "big")
        assert dns.message.from_wire(await connection.exactly(size)).answer
        assert {record.client_address for record in here.sink.records} == {ANN}
        # The Session's end is the connection's, too.
        here.feed.delete(here.sessions[ANN])
        await connection.breaks()
        assert not here.vigil.running
        served.close()


async def test_dns_over_tls() -> None:
    async with private_world() as here:
        here.feed.put(certificate_secret("octelium.test", "*.local.octelium.test"))
        served = Dns(here.vigil, total=60)
        here.streams[MODES.DNS] = served
        here.flows[MODES.DNS] = served
        made = private(service("dns.octelium", mode=MODES.DNS, is_tls=True), here.port)
        made.spec.is_public = False
        made.status.managed_service.type = "dns"
        await here.put(made)
        trusted = ssl.create_default_context(cadata=certs.ca().chain.decode())
        connection = await here.connect(ssl=trusted, server_hostname="dns.local.octelium.test")
        wire = dns.message.make_query("dns.octelium.local", "A").to_wire()
        await connection.send((len(wire).to_bytes(2, "big") + wire) * 3)
        for _ in range(3):
            size = int.from_bytes(await connection.exactly(2), "big")
            assert dns.message.from_wire(await connection.exactly(size)).answer
        connection.close()
        await here.until(lambda: not here.vigil.running)
        served.close()


async def test_a_resolver_behind_a_connected_client() -> None:
    async with private_world() as here:
        made = private(service("home.default", "dns://192.168.1.1", mode=MODES.DNS), here.port)
        made.spec.is_public = False
        made.spec.config.upstream.user = "alice"
        loop = asyncio.get_running_loop()

        class Home(asyncio.DatagramProtocol):
            asked = 0

            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, address: Any) -> None:
                self.asked += 1
                query = dns.message.from_wire(data)
                reply = dns.message.make_response(query, recursion_available=True)
                name = query.question[0].name.to_text()
                reply.answer.append(dns.rrset.from_text(name, 9, "IN", "A", "192.168.1.7"))
                self.transport.sendto(reply.to_wire(), address)

        transport, home = await loop.create_datagram_endpoint(Home, local_addr=(BOB, 0))
        port = transport.get_extra_info("sockname")[1]
        serves = {made.metadata.uid: port}
        here.feed.put(
            connected("bob-1", BOB, user="alice", serves=serves, l4=L4.UDP),
            connected("bob-2", "127.0.3.9", user="alice", serves=serves, l4=L4.UDP),
        )
        served = Dns(here.vigil, total=60)
        here.flows[MODES.DNS] = served
        here.streams[MODES.DNS] = served
        await here.put(made)
        entry = here.replica.service_by_name["home.default"]
        arrival = Tunnel(here.sessions[ANN].metadata.uid, ANN)
        # One of the two does not answer: its port is closed, and the other one is asked at once.
        for number in range(6):
            answers: list[bytes] = []
            query = dns.message.make_query(f"nas{number}.home.arpa", "A")
            served.datagram(entry, arrival, PLACE, (ANN, 9), query.to_wire(), answers.append)
            await here.until(lambda got=answers: got)
            reply = dns.message.from_wire(answers[0])
            assert reply.rcode() == 0, number
            assert reply.answer[0][0].to_text() == "192.168.1.7"
        assert home.asked == 6
        # Nobody serves any more.
        for session in ("bob-1", "bob-2"):
            here.feed.delete(connected(session, BOB))
        answers = []
        query = dns.message.make_query("late.home.arpa", "A")
        served.datagram(entry, arrival, PLACE, (ANN, 9), query.to_wire(), answers.append)
        await here.until(lambda: answers)
        assert dns.message.from_wire(answers[0]).rcode() == dns.rcode.SERVFAIL
        transport.close()
        served.close()


async def test_a_resolver_in_a_container(caplog: pytest.LogCaptureFixture) -> None:
    async with private_world() as here:
        made = private(contained("home.default", mode=MODES.DNS), here.port)
        made.spec.is_public = False
        served = Dns(here.vigil, total=60)
        here.flows[MODES.DNS] = served
        here.streams[MODES.DNS] = served
        await here.put(made)
        entry = here.replica.service_by_name["home.default"]
        arrival = Tunnel(here.sessions[ANN].metadata.uid, ANN)
        number = 0

        async def ask() -> str:
            nonlocal number
            number += 1
            answers: list[bytes] = []
            query = dns.message.make_query(f"nas{number}.home.arpa", "A")
            served.datagram(entry, arrival, PLACE, (ANN, 9), query.to_wire(), answers.append)
            await here.until(lambda: answers)
            return dns.rcode.to_text(dns.message.from_wire(answers[0]).rcode())

        def state(port: int, *, ready: bool) -> None:
            made = containers(name="home.default", own=("127.0.0.1", port))
            made.status.containers[0].ready = ready
            here.feed.put(made)

        async with upstream() as home:
            assert await ask() == "SERVFAIL"
            state(home.port, ready=True)
            assert await ask() == "NXDOMAIN"  # says the container
            asked = len(home.asked)
            here.feed.put(containers(name="other.default", own="Starting"))
            number -= 1
            assert await ask() == "NXDOMAIN"
            assert len(home.asked) == asked  # what was answered is kept
            state(home.port, ready=False)
            assert await ask() == "SERVFAIL"
        problems = [record.error for record in here.sink.records]
        assert problems == ["the container is starting", "", "", "the container is starting"]
        assert not caplog.records
        served.close()
