"""TCP connections: decided once and again, passed on whole, cut when they lose their right."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.tls import load_certificate
from octelium.policy.decision import Outcome
from octelium.replica.arrival import Tunnel
from octelium.vigil.dialling import KEEPALIVE
from octelium.vigil.splicing import Splice
from octelium.vigil.stream import Stream
from tests.http import certs
from tests.ingress.private_world import ANN, BOB, MODES, WIKI, PrivateWorld, private, private_world
from tests.vigil.world import DOMAIN, certificate_secret, contained, containers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.vigil.world import Client


class Echo:
    """An upstream that repeats what it gets in capitals, and says more once it has all."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.farewell = b""
        self.pause = asyncio.Event()
        self.pause.set()
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                await self.pause.wait()
                writer.write(data.upper())
                await writer.drain()
            await self.pause.wait()
            writer.write(self.farewell)
            writer.close()

    async def close(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()  # an end of TLS would wait for the other side's
        await asyncio.sleep(0)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def here(echo: Echo) -> AsyncIterator[PrivateWorld]:
    async with private_world() as made:
        await made.serve(f"tcp://127.0.0.1:{echo.port}", mode=MODES.TCP)
        yield made


async def says(client: Client, data: bytes) -> bytes:
    await client.send(data)
    return await client.exactly(len(data))


async def ends(client: Client) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await client.rest() == b""


async def test_bytes_pass_both_ways(here: PrivateWorld, echo: Echo) -> None:
    client = await here.connect()
    assert await says(client, b"hello") == b"HELLO"
    ((entry, request, arrival),) = here.decider.asked
    assert entry.name == "wiki.default"
    assert arrival == Tunnel("uid-ann-1", ANN)
    assert request.context() == {}
    assert here.infos() == [("START", 0, 0, "")]
    echo.farewell = b"bye"
    client.writer.write_eof()
    assert await client.rest() == b"bye"
    await here.until(lambda: len(here.sink.records) == 2)
    assert here.infos()[1] == ("END", 5, 8, "")
    start, end = here.sink.records
    assert start.connection == end.connection
    assert start.number != end.number
    assert end.host == f"{WIKI}:{here.port}".encode()
    assert end.client_address == ANN
    assert end.subject.mode == "TCP"
    await here.until(lambda: here.server.connections == 0)
    assert not here.vigil.running


async def test_an_answer_long_after_the_clients_half_has_ended(
    here: PrivateWorld, echo: Echo
) -> None:
    client = await here.connect()
    echo.pause.clear()
    echo.farewell = b"x" * 300_000
    await client.send(b"question")
    client.writer.write_eof()
    await asyncio.sleep(0.7)  # longer than a relay that cuts such answers off would wait
    echo.pause.set()
    assert await client.rest() == b"QUESTION" + echo.farewell
    await here.until(lambda: here.infos()[-1] == ("END", 8, 300_008, ""))


async def test_the_upstream_may_end_its_half_first() -> None:
    async with private_world() as here:
        got: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"greeting")
            writer.write_eof()
            got.append(await reader.read(-1))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await here.serve(f"tcp://127.0.0.1:{port}", mode=MODES.TCP)
        client = await here.connect()
        assert await client.rest() == b"greeting"
        await client.send(b"late")
        client.writer.write_eof()
        await here.until(lambda: got == [b"late"])
        await here.until(lambda: here.infos()[-1] == ("END", 4, 8, ""))
        server.close()


async def test_much_data_against_slow_readers(here: PrivateWorld, echo: Echo) -> None:
    client = await here.connect()
    data = bytes(range(97, 123)) * 150_000  # 3.9 MB
    echo.pause.clear()
    client.writer.write(data)
    await asyncio.sleep(0.05)
    echo.pause.set()
    received = bytearray()
    while len(received) < len(data):
        received += await client.reader.read(10_000)
    assert received == data.upper()


async def test_refused(here: PrivateWorld, echo: Echo) -> None:
    here.decider.verdict = Outcome.DENIED
    await ends(await here.connect())
    assert echo.connections == 0
    assert here.infos() == [("START", 0, 0, "")]
    assert not here.sink.records[0].subject.allowed
    assert not here.vigil.running


async def test_a_decision_that_takes_a_while(here: PrivateWorld) -> None:
    here.decider.later = True
    client = await here.connect()
    await client.send(b"early")
    await here.until(lambda: here.decider.asked)
    here.decider.delay.set()
    assert await client.exactly(5) == b"EARLY"


async def test_disabled_before_and_meanwhile(here: PrivateWorld, echo: Echo) -> None:
    client = await here.connect()
    assert await says(client, b"a") == b"A"
    await here.serve(f"tcp://127.0.0.1:{echo.port}", mode=MODES.TCP, is_disabled=True)
    await ends(client)
    assert here.infos()[-1] == ("END", 1, 1, "the Service was disabled")
    await ends(await here.connect())
    assert echo.connections == 1


async def test_open_streams_are_cut_at_once(here: PrivateWorld) -> None:
    client, other = await here.connect(), await here.connect(BOB)
    for one in (client, other):
        assert await says(one, b"a") == b"A"
    relays = [one._relay for one in here.vigil.running if isinstance(one, Stream)]
    here.decider.revoke(here.base.entry())
    assert not here.vigil.running  # within the call
    for relay in relays:
        assert isinstance(relay, Splice)
        assert [one.fileno() for one in relay._sockets] == [-1, -1]
    for one in (client, other):
        with pytest.raises(ConnectionResetError):
            await one.rest()
    ends_ = [r for r in here.sink.records if r.method == b"END"]
    assert {r.error for r in ends_} == {"access ended while the stream was open"}
    assert not any(r.subject.allowed for r in ends_)
    assert not here.decider.watches


async def test_a_stream_ends_with_its_session(here: PrivateWorld) -> None:
    client = await here.connect()
    assert await says(client, b"a") == b"A"
    here.feed.delete(here.sessions[ANN])
    await ends(client)
    assert here.infos()[-1][3] == "the connection to the private network ended"


async def test_another_configuration_does_not_end_streams(here: PrivateWorld, echo: Echo) -> None:
    client = await here.connect()
    assert await says(client, b"a") == b"A"
    await here.serve("tcp://127.0.0.1:1", mode=MODES.TCP)
    assert await says(client, b"b") == b"B"
    await ends(await here.connect())
    assert "cannot be reached" in here.infos()[-1][3]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("tcp://127.0.0.1:1", "cannot be reached"),
        ("tcp://no.invalid:1", "cannot be reached"),
        ("nonsense://127.0.0.1", "has no port"),
    ],
)
async def test_no_upstream(url: str, problem: str) -> None:
    async with private_world() as here:
        await here.serve(url, mode=MODES.TCP)
        await ends(await here.connect())
        assert [kind for kind, *_ in here.infos()] == ["START", "END"]
        assert problem in here.infos()[1][3]
        assert not here.vigil.running


async def test_a_client_that_leaves_before_there_is_an_upstream(here: PrivateWorld) -> None:
    here.decider.later = True
    client = await here.connect()
    await here.until(lambda: here.decider.asked)
    client.writer.transport.abort()
    here.decider.delay.set()
    await here.until(lambda: len(here.sink.records) == 2)
    assert not here.vigil.running


async def test_connections_are_kept_alive(here: PrivateWorld) -> None:
    client = await here.connect()
    assert await says(client, b"a") == b"A"
    (running,) = here.vigil.running
    assert isinstance(running, Stream)
    assert isinstance(running._relay, Splice)
    for one in running._relay._sockets:
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certs.ca().chain.decode())
    context.check_hostname = False
    return context


@pytest.mark.parametrize(("down", "up"), [(True, False), (False, True), (True, True)])
async def test_tls_on_either_side(down: bool, up: bool) -> None:
    upstream = Echo()
    pair = certs.server("127.0.0.1", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(context, pair.chain, pair.key)
    await upstream.start(context if up else None)
    async with private_world() as here:
        here.feed.put(certificate_secret(DOMAIN, f"*.local.{DOMAIN}"))
        made = await here.serve(mode=MODES.TCP, is_tls=down)
        scheme = "tls" if up else "tcp"
        made.spec.config.upstream.url = f"{scheme}://localhost:{upstream.port}"
        if up:
            made.spec.config.tls.trusted_c_as.append(certs.ca().chain.decode())
        here.feed.put(made)
        options: dict[str, Any] = {"ssl": _trusting(), "server_hostname": "wiki.local"}
        client = await here.connect(**(options if down else {}))
        data = b"abc" * 200_000
        client.writer.write(data)
        assert await client.exactly(len(data)) == data.upper()
        client.close()
        await here.until(lambda: not here.vigil.running)
        assert here.infos()[-1][:3] == ("END", len(data), len(data))
    await upstream.close()


async def test_an_upstream_whose_certificate_is_not_trusted() -> None:
    upstream = Echo()
    await upstream.start()
    async with private_world() as here:
        await here.serve(f"tls://127.0.0.1:{upstream.port}", mode=MODES.TCP)
        client = await here.connect()
        await client.send(b"x" * 100)
        await ends(client)
        await here.until(lambda: "cannot be reached" in here.infos()[-1][3])
        assert not here.vigil.running
    await upstream.close()


async def test_a_container(echo: Echo) -> None:
    async with private_world() as here:
        made = private(contained(mode=MODES.TCP), here.port)
        made.spec.is_public = False
        await here.put(made)
        await ends(await here.connect())
        here.feed.put(containers(own="CrashLoopBackOff"))
        await ends(await here.connect())
        here.feed.put(containers(own=("127.0.0.1", echo.port)))
        client = await here.connect()
        await client.send(b"hello")
        assert await client.exactly(5) == b"HELLO"
        # What is open goes on: the Pod may let it come to its end.
        here.feed.put(containers(own="Starting"))
        await client.send(b"more")
        assert await client.exactly(4) == b"MORE"
        problems = [problem for kind, *_, problem in here.infos() if kind == "END"]
        assert problems == [
            "the container is starting",
            "the container is not ready: CrashLoopBackOff",
        ]
