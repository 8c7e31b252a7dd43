from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import dns.message
import pytest

from octelium.schema.dns_servers import DnsServer
from octelium.vigil.dns.answers import Question
from octelium.vigil.dns.links import LinkError, Links, Peer
from tests.http import certs
from tests.vigil.dns.world import Upstream, server_context, upstream, wire_form

if TYPE_CHECKING:
    from pathlib import Path


def question(name: str = "www.example.com", kind: int = 1) -> Question:
    return Question(wire_form(name), kind)


def peer(server: Upstream, transport: str, context: ssl.SSLContext | None = None) -> Peer:
    return Peer(DnsServer(transport, "127.0.0.1", server.port), context)


async def test_a_datagram_has_a_port_and_an_id_of_its_own() -> None:
    async with upstream() as server:
        server.put("www.example.com", "A", "192.0.2.1")
        links = Links()
        answers = [await links.datagram(peer(server, "udp"), question()) for _ in range(8)]
        assert all(question().is_answered_by(answer) for answer in answers)
        assert len({query.id for query in server.queries}) > 4
        assert server.asked == [("www.example.com.", "A", False)] * 8


def forged(query: dns.message.Message, change: str) -> bytes:
    made = dns.message.make_response(query)
    if change == "id":
        made.id ^= 1
    elif change == "name":
        made.question = dns.message.make_query("evil.example", "A").question
    elif change == "type":
        made.question = dns.message.make_query(query.question[0].name, "AAAA").question
    elif change == "query":
        made.flags &= 0x7FFF
    elif change == "junk":
        return query.to_wire()[:2] + b"\xff" * 40
    elif change == "short":
        return query.to_wire()[:11]
    elif change == "none":
        made.question = []
    return made.to_wire()


CHANGES = ["id", "name", "type", "query", "junk", "short", "none"]


@pytest.mark.parametrize("change", CHANGES)
async def test_forged_datagrams_are_waited_out(change: str) -> None:
    async with upstream() as server:
        server.put("www.example.com", "A", "192.0.2.1")
        server.respond = lambda query, tcp: [forged(query, change), *server.answer(query, tcp)]
        answer = await Links().datagram(peer(server, "udp"), question())
        assert dns.message.from_wire(answer).answer


async def test_a_flood_of_forged_datagrams_ends_the_question() -> None:
    async with upstream() as server:
        server.respond = lambda query, _tcp: [forged(query, "id")] * 60
        with pytest.raises(LinkError, match="other questions"):
            async with asyncio.timeout(60):
                await Links().datagram(peer(server, "udp"), question())


async def test_a_closed_port_is_noticed() -> None:
    closed, stream = (Peer(DnsServer(kind, "127.0.0.1", 1)) for kind in ("udp", "tcp"))
    for ask in (Links().datagram(closed, question()), Links().stream(stream, question())):
        with pytest.raises(LinkError):
            async with asyncio.timeout(60):
                await ask


async def test_questions_share_a_stream_and_may_overtake() -> None:
    async with upstream() as server:
        waiting: list[bytes] = []

        def late(query: dns.message.Message, tcp: bool) -> list[bytes]:
            waiting.extend(server.answer(query, tcp))
            if len(waiting) < 5:
                return []
            return waiting[::-1]

        server.respond = late
        links = Links()
        questions = [question(f"{number}.example") for number in range(5)]
        answers = await asyncio.gather(*(links.stream(peer(server, "tcp"), q) for q in questions))
        assert all(q.is_answered_by(a) for q, a in zip(questions, answers, strict=True))
        assert server.connections == 1
        links.close()


async def test_a_stream_that_ended_while_idle_is_opened_anew() -> None:
    async with upstream() as server:
        links = Links()
        await links.stream(peer(server, "tcp"), question())
        for writer in server.writers:
            writer.close()
        await links.stream(peer(server, "tcp"), question())
        assert server.connections == 2
        links.close()


async def test_a_stream_with_answers_to_other_questions_ends() -> None:
    async with upstream() as server:
        server.respond = lambda query, _tcp: [forged(query, "name")]
        links = Links()
        with pytest.raises(LinkError, match="other questions"):
            await links.stream(peer(server, "tcp"), question())
        server.respond = server.answer
        await links.stream(peer(server, "tcp"), question())
        links.close()


async def test_a_stream_that_is_silent_is_given_up() -> None:
    async with upstream() as server:
        links = Links()
        await links.stream(peer(server, "tcp"), question())
        server.respond = lambda _query, _tcp: []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await links.stream(peer(server, "tcp"), question())
        server.respond = server.answer
        await links.stream(peer(server, "tcp"), question())
        assert server.connections == 2
        links.close()


@pytest.mark.parametrize(("name", "good"), [("localhost", True), ("127.0.0.1", False)])
async def test_tls_servers_with_a_name_show_that_name(
    name: str, good: bool, tmp_path: Path
) -> None:
    async with upstream(server_context(tmp_path, name)) as server:
        links = Links()
        named = Peer(DnsServer("tls", "localhost", server.port), client_context())
        if good:
            assert question().is_answered_by(await links.stream(named, question()))
        else:
            with pytest.raises(LinkError, match=r"(?i)certificate|mismatch"):
                await links.stream(named, question())
        links.close()


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certs.ca().chain.decode())


@pytest.mark.parametrize(("name", "good"), [("127.0.0.1", True), ("dns.example", False)])
async def test_tls_servers_are_who_they_should_be(name: str, good: bool, tmp_path: Path) -> None:
    client_side = client_context()
    async with upstream(server_context(tmp_path, name)) as server:
        links = Links()
        ask = links.stream(peer(server, "tls", client_side), question())
        if good:
            assert question().is_answered_by(await ask)
        else:
            with pytest.raises(LinkError, match=r"(?i)certificate|mismatch"):
                await ask
        unknown = Links().stream(peer(server, "tls"), question())
        with pytest.raises(LinkError, match=r"(?i)certificate"):
            await unknown
        links.close()
