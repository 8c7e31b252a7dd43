from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from octelium.vigil.client_side import CLIENT_GONE
from tests.vigil.world import DOMAIN

if TYPE_CHECKING:
    from tests.vigil.world import World


async def test_a_body_of_known_length(here: World) -> None:
    reply = await here.request("/", method="POST", body=b"x" * 100_000)
    assert reply.status == 200
    assert here.origins.requests[0].endswith(b"x" * 100_000)
    assert here.sink.records[0].request_bytes == 100_000


async def test_a_continued_request(here: World) -> None:
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode()
    )
    assert (await client.read_head()).startswith(b"HTTP/1.1 100 ")
    await client.send(b"hello")
    assert (await client.reply()).body == b"ok"
    assert here.origins.requests[0].endswith(b"\r\n\r\nhello")
    assert b"Expect" not in here.origins.requests[0]


async def test_a_refused_request_is_not_continued(here: World) -> None:
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\n"
        "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode()
    )
    reply = await client.reply()
    assert reply.status == 401
    assert reply.first(b"connection") == b"close"
    assert await client.rest() == b""


async def test_the_client_goes_away(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart"]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    await client.read_head()
    client.close()
    await here.until(lambda: here.sink.records)
    assert here.sink.records[0].error
    assert here.pool.counts()[1] == 0
    assert not here.decider.watches
    assert not here.vigil.running


async def test_the_client_goes_away_before_the_answer(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Octelium-X: 1\r\n\r\n"]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    hints = await client.read_head()
    assert hints.startswith(b"HTTP/1.1 103 ")
    assert b"Link: </a>" in hints
    assert b"X-Octelium-X" not in hints
    client.close()
    await here.until(lambda: here.sink.records)
    assert here.sink.records[0].status == CLIENT_GONE


async def test_back_pressure_in_both_directions(here: World) -> None:
    """A client that does not read stops the upstream, and the other way round."""
    size = 64 << 20
    piece = os.urandom(1 << 20)
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        try:
            while sent < size:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    made = here.serve()
    made.spec.config.upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    here.feed.put(made)
    client = await here.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    last = -1
    while sent != last or not sent:
        last = sent
        await asyncio.sleep(0.05)
    assert sent < 48 << 20  # what the sockets' buffers hold
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    await client.read_head()
    received = 0
    while received < size:
        received += len(await asyncio.wait_for(client.reader.read(1 << 20), 60))
    assert received == size
    server.close()


async def test_an_upload_larger_than_every_buffer(here: World) -> None:
    gate, over = asyncio.Event(), asyncio.Event()
    size = 32 << 20

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    made = here.serve()
    made.spec.config.upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    here.feed.put(made)
    (listener,) = here.ingress._servers[0].sockets
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)  # else it grows very large
    client = await here.connect()
    client.writer.write(
        f"PUT / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        f"Content-Length: {size}\r\n\r\n".encode()
    )
    client.writer.write(b"x" * size)
    transport = client.writer.transport
    last = -1
    while transport.get_write_buffer_size() != last:
        last = transport.get_write_buffer_size()
        await asyncio.sleep(0.05)
    assert last > 0  # the upload stands still
    gate.set()
    assert (await client.reply()).status == 200
    assert here.sink.records[0].request_bytes == size
    here.pool.close()
    server.close()
    await here.until(over.is_set)
