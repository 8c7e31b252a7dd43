from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vigil.world import DOMAIN, contained, containers

if TYPE_CHECKING:
    from tests.vigil.world import World


async def test_an_answer_to_head(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"]
    client = await here.connect()
    reply = await client.request(method="HEAD")
    assert reply.first(b"content-length") == b"500"
    assert (await client.request()).body == b"ok"


async def test_an_upstream_that_is_not_there(here: World) -> None:
    made = here.serve()
    made.spec.config.upstream.url = "http://127.0.0.1:1"
    here.feed.put(made)
    reply = await here.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    (record,) = here.sink.records
    assert record.status == 502
    assert record.subject.allowed
    assert "could not be reached" in record.error


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        b"220 smtp.example ESMTP\r\n\r\n",
    ],
)
async def test_an_upstream_that_does_not_speak_http(here: World, answer: bytes) -> None:
    here.origins.answers = [answer]
    reply = await here.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    assert here.sink.records[0].error


async def test_an_upstream_that_breaks_off(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart"]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    await client.read_head()
    here.origins.writers[0].close()
    await client.breaks()
    await here.until(lambda: here.sink.records)
    assert here.sink.records[0].status == 200
    assert "closed" in here.sink.records[0].error


async def test_an_idle_connection_that_the_upstream_closed(here: World) -> None:
    client = await here.connect()
    assert (await client.request()).body == b"ok"
    here.origins.answers = [b""]
    # The origin closes on the second request instead of answering; it is sent again.
    assert (await client.request()).body == b"ok"
    assert here.origins.connections == 2


async def test_a_post_is_not_sent_twice(here: World) -> None:
    client = await here.connect()
    assert (await client.request()).body == b"ok"
    here.origins.answers = [b""]
    assert (await client.request(method="POST", body=b"pay")).status == 502
    assert len(here.origins.requests) == 2


async def test_an_upstream_cannot_name_a_log_entry(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 403 Forbidden\r\nX-Octelium-Request-Id: forged\r\nContent-Length: 0\r\n\r\n"
    ]
    reply = await here.request()
    assert reply.status == 403
    assert reply.first(b"x-octelium-request-id") is None


async def test_a_streamed_answer(here: World) -> None:
    here.origins.answers = [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n"
            b"\r\n6\r\nfirst\n\r\n"
        )
    ]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    assert b"Transfer-Encoding: chunked" in await client.read_head()
    assert await client.exactly(11) == b"6\r\nfirst\n\r\n"
    assert len(here.decider.watches) == 1
    here.origins.writers[0].write(b"7\r\nsecond\n\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert await client.exactly(17) == b"7\r\nsecond\n\r\n0\r\n\r\n"
    await here.until(lambda: here.sink.records)
    assert here.sink.records[0].response_bytes == 13
    assert here.sink.records[0].content_type == b"text/event-stream"
    assert not here.decider.watches


@pytest.mark.parametrize("is_container", [False, True])
async def test_a_web_socket(here: World, is_container: bool) -> None:
    if is_container:
        here.feed.put(contained(), containers(own=("127.0.0.1", here.origins.port)))
    here.origins.answers = [
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: abc\r\n\r\nfrom upstream"
        )
    ]
    client = await here.connect()
    await client.send(
        f"GET /chat HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    reply = await client.reply()
    assert reply.status == 101
    assert reply.first(b"upgrade") == b"websocket"
    assert reply.first(b"sec-websocket-accept") == b"abc"
    assert await client.exactly(13) == b"from upstream"
    fields = dict(here.upstream_fields())
    assert fields[b"upgrade"] == b"websocket"
    assert fields[b"sec-websocket-key"] == b"k"
    assert b"x-octelium-auth" not in fields
    here.feed.put(containers(own="Starting"))  # what is open goes on
    await client.send(b"raw\r\n\r\n")
    await here.until(lambda: here.origins.requests[-1] == b"raw\r\n\r\n")
    assert len(here.decider.watches) == 1
    here.decider.revoke(here.entry())
    await client.breaks()
    assert here.sink.records[0].status == 101


async def test_a_web_socket_that_ends(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    ]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Connection: Upgrade\r\nUpgrade: x\r\n\r\n".encode()
    )
    await client.reply()
    here.origins.writers[0].write(b"bye")
    here.origins.writers[0].close()
    assert await client.rest() == b"bye"
    await here.until(lambda: here.sink.records)
    assert not here.decider.watches
    assert not here.vigil.running
