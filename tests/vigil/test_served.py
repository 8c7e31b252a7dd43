"""Which connected Session takes a stream, and how soon another one does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.vigil import served
from octelium.vigil.served import AVOIDED, NoUpstreamError
from tests.ingress.private_world import (
    MODES,
    WIKI,
    PrivateWorld,
    connected,
    private_world,
)
from tests.vigil.world import user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.vigil.world import Client

UID = "uid-wiki.default"
ONE, TWO = "127.65.0.21", "127.65.0.22"


class Host:
    """A client that serves: it says its name to whoever connects."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.port = 0
        self.peers: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, self.address, port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(writer.get_extra_info("peername")[0])
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            writer.write(self.name.encode())
            while await reader.read(100):
                writer.write(self.name.encode())
        writer.close()

    def kill(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()


class Mute:
    """An address whose connections are never taken: its backlog is full."""

    def __init__(self, address: str) -> None:
        self.listener = socket.socket()
        self.listener.bind((address, 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((address, self.port))
            self.fillers.append(filler)

    def close(self) -> None:
        for one in (*self.fillers, self.listener):
            one.close()


@pytest.fixture
async def here(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateWorld]:
    """A Session has as long as it likes to take a connection, unless a test says otherwise."""
    monkeypatch.setattr(served, "CONNECT", 3600.0)
    async with private_world() as made:
        service = await made.serve("tcp://wiki.internal:5432", mode=MODES.TCP)
        service.spec.config.upstream.user = "alice"
        made.feed.put(service)
        yield made


@pytest.fixture
async def hosts(here: PrivateWorld) -> AsyncIterator[list[Host]]:
    made = [Host("1", ONE), Host("2", TWO)]
    for host in made:
        await host.start()
        here.feed.put(connected(f"host-{host.name}", host.address, serves={UID: host.port}))
    yield made
    for host in made:
        host.kill()
    await asyncio.sleep(0)


async def test_streams_are_balanced(here: PrivateWorld, hosts: list[Host]) -> None:
    clients = [await here.connect() for _ in range(6)]
    names = sorted([(await client.exactly(1)).decode() for client in clients])
    assert names == ["1", "1", "1", "2", "2", "2"]
    assert {peer for host in hosts for peer in host.peers} == {WIKI}  # the Service's own address


async def test_the_one_with_fewest_streams_is_next(here: PrivateWorld, hosts: list[Host]) -> None:
    clients: dict[str, list[Client]] = {}
    for _ in range(4):
        client = await here.connect()
        clients.setdefault((await client.exactly(1)).decode(), []).append(client)
    for client in clients["2"]:
        client.writer.transport.abort()
    await here.until(lambda: len(here.vigil.running) == 2)
    for _ in range(2):
        assert await (await here.connect()).exactly(1) == b"2"
    assert sorted(one.streams for one in here.served.hosts(UID, "alice", "tcp")) == [2, 2]


async def test_one_that_is_killed(here: PrivateWorld, hosts: list[Host]) -> None:
    hosts[0].kill()
    for _ in range(4):  # without waiting for it
        assert await (await here.connect()).exactly(1) == b"2"
    assert [one for one in here.infos() if one[3]] == []


async def test_one_behind_a_cut_link(
    here: PrivateWorld, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = Mute("127.65.0.23")
    hosts[0].kill()
    here.feed.put(connected("host-1", "127.65.0.23", serves={UID: mute.port}))
    connect_to = here.served.connect_to
    asked: list[str] = []

    async def watched(service_uid: str, host: served.Host) -> socket.socket:
        asked.append(host.name)
        monkeypatch.setattr(served, "CONNECT", 0.1 if host.name == "host-1" else 3600.0)
        return await connect_to(service_uid, host)

    monkeypatch.setattr(here.served, "connect_to", watched)
    here.served._clock = lambda: 1000.0
    first, second = await here.connect(), await here.connect()
    assert [await first.exactly(1), await second.exactly(1)] == [b"2", b"2"]
    assert sorted(asked) == ["host-1", "host-2", "host-2"]
    for _ in range(3):
        assert await (await here.connect()).exactly(1) == b"2"
    assert asked[3:] == ["host-2"] * 3  # while the other one is avoided
    mute.close()


async def test_avoiding_ends(here: PrivateWorld, hosts: list[Host]) -> None:
    now = 1000.0
    here.served._clock = lambda: now
    first = here.served.choose(UID, "alice", "tcp")
    assert first is not None
    here.served.release(first)
    here.served.avoid(first, "a test")
    others = []
    for _ in range(3):
        other = here.served.choose(UID, "alice", "tcp")
        assert other is not None
        assert other is not first
        others.append(other)
    now += AVOIDED
    assert here.served.choose(UID, "alice", "tcp") is first  # with no streams at all
    now -= AVOIDED
    here.served.avoid(others[0], "a test")
    assert here.served.choose(UID, "alice", "tcp") is not None  # better than none


async def test_nobody_serves(here: PrivateWorld) -> None:
    client = await here.connect()
    with contextlib.suppress(ConnectionResetError):
        assert await client.rest() == b""
    assert "no connected Session of User alice serves wiki.default" in here.infos()[-1][3]
    with pytest.raises(NoUpstreamError):
        await here.served.associate(UID, "alice")


async def test_sessions_that_do_not_count(here: PrivateWorld, hosts: list[Host]) -> None:
    def serving() -> int:
        return len(here.served.hosts(UID, "alice", "tcp"))

    assert serving() == 2
    assert here.served.hosts(UID, "robot", "tcp") == []
    assert here.served.hosts(UID, "nobody", "tcp") == []
    assert here.served.hosts(UID, "alice", "udp") == []
    assert here.served.hosts("uid-other", "alice", "tcp") == []
    locked = connected("host-1", ONE, serves={UID: hosts[0].port})
    locked.status.is_locked = True
    here.feed.put(locked)
    assert serving() == 1
    expired = connected("host-2", TWO, serves={UID: hosts[1].port})
    expired.spec.expires_at.FromSeconds(1)
    here.feed.put(expired)
    assert serving() == 0
    foreign = connected("host-1", ONE, user="robot", serves={UID: hosts[0].port})
    here.feed.put(foreign)
    assert serving() == 0
    here.feed.put(connected("host-1", ONE, serves={UID: hosts[0].port}))
    assert serving() == 1
    disabled = user("alice")
    disabled.spec.is_disabled = True
    here.feed.put(disabled)
    assert serving() == 0


async def test_streams_end_with_the_session_that_serves(
    here: PrivateWorld, hosts: list[Host]
) -> None:
    clients = [await here.connect() for _ in range(4)]
    names = [(await client.exactly(1)).decode() for client in clients]
    here.feed.delete(connected("host-1"))
    for client, name in zip(clients, names, strict=True):
        if name == "1":
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.reader.readexactly(1)
        else:
            await client.send(b"x")
            assert await client.exactly(1) == b"2"
    assert {problem for *_, problem in here.infos()} == {
        "",
        "the Session that serves the upstream is gone",
    }


async def test_ipv4_where_the_service_has_no_ipv6(
    here: PrivateWorld, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "_HEAD_START", 3600.0)  # nothing is waited for
    for host in hosts:
        made = connected(f"host-{host.name}", host.address, serves={UID: host.port})
        made.status.connection.addresses.add(v6=f"fdee:1::{host.name}/128")
        here.feed.put(made)
    assert await (await here.connect()).exactly(1) in (b"1", b"2")


async def test_clients_are_asked_by_ipv6_where_they_have_it(here: PrivateWorld) -> None:
    """As by the official Cluster: official clients with both families count on it."""
    async with await asyncio.start_server(lambda _, writer: writer.close(), "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        service = here.base.entry().message
        service.status.addresses[0].dual_stack_ip.ipv6 = "::1"
        here.feed.put(service)
        made = connected("host-6", ONE, serves={UID: port})
        made.status.connection.addresses[0].v6 = "::1/128"
        here.feed.put(made)
        connection, host = await here.served.connect(UID, "alice")
        with connection:
            assert connection.getpeername()[:2] == ("::1", port)
        here.served.release(host)
        assert here.sockets.dialled == [("tcp", "::1")]


async def test_nothing_is_left_behind(here: PrivateWorld, hosts: list[Host]) -> None:
    client = await here.connect()
    await client.exactly(1)
    client.close()
    await here.until(lambda: not here.vigil.running)
    assert [one.streams for one in here.served.hosts(UID, "alice", "tcp")] == [0, 0]
    for host in hosts:
        here.feed.delete(connected(f"host-{host.name}"))
    assert here.served.hosts(UID, "alice", "tcp") == []
    assert not here.served._hosts
