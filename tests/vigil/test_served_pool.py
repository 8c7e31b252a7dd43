"""Requests to Services that connected clients serve: balanced, and answered when one is gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from octelium.vigil import served, served_pool
from tests.http.origins import Origins
from tests.ingress.private_world import WIKI, PrivateWorld, connected, private_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UID = "uid-wiki.default"


class Host(Origins):
    """A serving client with an HTTP server behind it; `silent` takes requests and says nothing."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.address = f"127.65.0.2{name}"
        self.silent = False

    async def begin(self) -> None:
        server = await asyncio.start_server(self._answer, self.address, 0)
        self.servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                if b"content-length" in head.lower():
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    self.requests[-1] += await reader.readexactly(length)
                if not self.silent:
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + self.name.encode()
                    )
        writer.close()

    def vanish(self) -> None:
        """As a cut link: no answer any more, and nobody takes connections."""
        self.silent = True
        for server in self.servers:
            server.close()

    def kill(self) -> None:
        self.vanish()
        for writer in self.writers:
            writer.transport.abort()


@pytest.fixture
async def hosts() -> AsyncIterator[list[Host]]:
    made = [Host("1"), Host("2")]
    for host in made:
        await host.begin()
    yield made
    for host in made:
        await host.close()


@pytest.fixture
async def here(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateWorld]:
    """Sessions have as long as they like to answer, unless a test says otherwise."""
    monkeypatch.setattr(served, "CONNECT", 3600.0)
    monkeypatch.setattr(served_pool, "_PROBE_AFTER", 3600.0)
    async with private_world() as made:
        service = await made.serve("http://wiki.internal:8080")
        service.spec.config.upstream.user = "alice"
        made.feed.put(service)
        for host in hosts:
            made.feed.put(connected(f"host-{host.name}", host.address, serves={UID: host.port}))
        yield made


async def test_requests_are_balanced(here: PrivateWorld, hosts: list[Host]) -> None:
    bodies = [(await here.request()).body for _ in range(6)]
    assert sorted(bodies) == [b"1", b"1", b"1", b"2", b"2", b"2"]
    assert b"Host: wiki.internal:8080" in hosts[0].requests[0]
    assert [host.connections for host in hosts] == [1, 1]  # kept between requests
    peers = {writer.get_extra_info("peername")[0] for host in hosts for writer in host.writers}
    assert peers == {WIKI}


async def test_bodies(here: PrivateWorld, hosts: list[Host]) -> None:
    body = b"x" * 300_000
    for _ in range(4):
        assert (await here.request(method="POST", body=body)).status == 200
    assert [len(host.requests) for host in hosts] == [2, 2]
    assert all(request.endswith(b"\r\n\r\n" + body) for host in hosts for request in host.requests)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_one_is_killed(here: PrivateWorld, hosts: list[Host], method: str) -> None:
    for _ in range(4):
        await here.request()
    hosts[0].kill()
    for _ in range(4):
        reply = await here.request(method=method, body=b"x" if method == "POST" else None)
        assert (reply.status, reply.body) == (200, b"2")


async def test_a_link_is_cut(
    here: PrivateWorld, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await here.request()
    hosts[0].vanish()
    here.served._clock = lambda: 1000.0
    monkeypatch.setattr(served_pool, "_PROBE_AFTER", 0.05)
    monkeypatch.setattr(served_pool, "_TRUSTED", 0.0)
    before = len(hosts[0].requests)
    for number in range(4):
        reply = await here.request()
        assert (reply.status, reply.body) == (200, b"2")
        if number == 1:  # both have been asked; from now on one of them is avoided
            monkeypatch.setattr(served_pool, "_PROBE_AFTER", 3600.0)
    assert len(hosts[0].requests) == before + 1
    counts = [host.streams for host in here.served.hosts(UID, "alice", "tcp")]
    assert counts == [0, 0]


async def test_a_slow_answer_is_waited_for(
    here: PrivateWorld, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_pool, "_PROBE_AFTER", 0.05)
    monkeypatch.setattr(served_pool, "_TRUSTED", 0.0)
    for host in hosts:
        host.silent = True

    async with asyncio.TaskGroup() as group:
        task = group.create_task(here.request())
        await here.until(lambda: any(host.requests for host in hosts))
        (asked,) = [host for host in hosts if host.requests]
        await here.until(lambda: asked.connections == 2)  # a probe found that the Session is there
        await asyncio.sleep(0.05)
        assert not task.done()
        assert [len(host.requests) for host in hosts if host.requests] == [1]  # nothing sent twice
        asked.writers[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    assert task.result().body == b"slow"


async def test_nobody_serves(here: PrivateWorld, hosts: list[Host]) -> None:
    for host in hosts:
        here.feed.delete(connected(f"host-{host.name}"))
    reply = await here.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    assert "no connected Session of User alice serves wiki" in here.sink.records[-1].error


async def test_all_are_unreachable(here: PrivateWorld, hosts: list[Host]) -> None:
    for host in hosts:
        host.kill()
    reply = await here.request(method="POST", body=b"x")
    assert reply.status == 502
    assert "answers: " in here.sink.records[-1].error


async def test_a_session_that_serves_no_more_keeps_no_connection(
    here: PrivateWorld, hosts: list[Host]
) -> None:
    for _ in range(2):
        await here.request()
    here.feed.delete(connected("host-1"))
    for _ in range(3):
        assert (await here.request()).body == b"2"
    await here.until(lambda: hosts[0].writers[0].is_closing())


async def test_the_client_leaves_meanwhile(here: PrivateWorld, hosts: list[Host]) -> None:
    for host in hosts:
        host.silent = True
    client = await here.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: wiki.local\r\n\r\n")
    await here.until(lambda: any(host.requests for host in hosts))
    client.writer.transport.abort()
    await here.until(lambda: here.sink.records)
    assert [host.streams for host in here.served.hosts(UID, "alice", "tcp")] == [0, 0]
