from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.http.exchange import Failure
from octelium.http.h2.protocol import H2Client
from octelium.http.message import FieldBlock, UpstreamRequest
from octelium.http.pool import Origin, PoolLimits, UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from tests.http import certs
from tests.http.h1.wire import EMPTY, Response
from tests.http.h2.proxy import proxying
from tests.http.origins import Origins
from tests.http.test_tls import client_context, server_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


class Waiting(Response):
    """A response that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.done = asyncio.Event()

    def response_head(self, head, data, end) -> None:  # type: ignore[no-untyped-def]
        super().response_head(head, data, end)
        if end:
            self.done.set()

    def response_ended(self, trailers) -> None:  # type: ignore[no-untyped-def]
        super().response_ended(trailers)
        self.done.set()

    def response_failed(self, error) -> None:  # type: ignore[no-untyped-def]
        super().response_failed(error)
        self.done.set()

    async def wait(self) -> Waiting:
        await asyncio.wait_for(self.done.wait(), 60)
        return self


def get() -> UpstreamRequest:
    return UpstreamRequest(b"GET", b"/", b"a", EMPTY)


@pytest.fixture
async def origins() -> AsyncIterator[Origins]:
    made = Origins()
    yield made
    await made.close()


@pytest.fixture
async def make_pool() -> AsyncIterator[Callable[..., UpstreamPool]]:
    pools = []

    def make(**limits: float) -> UpstreamPool:
        pool = UpstreamPool(
            sections=SectionCache(),
            ticker=Ticker(),
            h2=H2Client,
            limits=PoolLimits(**{"handshake_timeout": 60.0, **limits}),  # type: ignore[arg-type]
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
    await asyncio.sleep(0.01)


def fetch(pool: UpstreamPool, origin: Origin) -> Waiting:
    response = Waiting()
    pool.open(origin, get(), response, end=True)
    return response


@pytest.fixture
async def hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection comes about."""

    async def hang(*_args: object, **_options: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", hang)


async def test_connections_are_used_again(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(), Origin("127.0.0.1", origins.port)
    for _ in range(5):
        assert (await fetch(pool, origin).wait()).body == b"ok"
    assert origins.connections == 1
    assert pool.counts() == (1, 1)
    together = [fetch(pool, origin) for _ in range(3)]
    for response in together:
        assert (await response.wait()).body == b"ok"
    assert origins.connections == 3


async def test_equal_origins_share_and_others_do_not(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool = make_pool()
    one, same = (Origin("127.0.0.1", origins.port, owner="s") for _ in range(2))
    other = Origin("127.0.0.1", origins.port, owner="t")
    assert pool.at(one) is pool.at(same)
    for origin in (one, same, other):
        await fetch(pool, origin).wait()
    assert origins.connections == 2


async def test_a_unix_socket(
    origins: Origins, make_pool: Callable[..., UpstreamPool], tmp_path: Path
) -> None:
    path = tmp_path / "s"
    await origins.start_unix(path)
    origin = Origin("", 0, path=str(path))
    assert (await fetch(make_pool(), origin).wait()).body == b"ok"
    assert str(origin) == f"unix:{path}"


async def test_tls(origins: Origins, make_pool: Callable[..., UpstreamPool]) -> None:
    await origins.start(tls=server_context())
    pool = make_pool()
    good = Origin(
        "127.0.0.1", origins.port, tls=client_context(), tls_key="k", server_name="a.example"
    )
    for _ in range(2):
        assert (await fetch(pool, good).wait()).body == b"ok"
    assert origins.connections == 1
    bad = Origin(
        "127.0.0.1", origins.port, tls=client_context(), tls_key="k", server_name="b.example"
    )
    response = await fetch(pool, bad).wait()
    assert response.error is not None
    assert response.error.failure is Failure.TLS
    assert response.error.untouched


async def test_an_address_for_a_name(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    context = server_context()
    pair = certs.server("127.0.0.1")
    from octelium.http.tls import load_certificate

    load_certificate(context, pair.chain, pair.key)
    await origins.start(tls=context)
    origin = Origin("127.0.0.1", origins.port, tls=client_context(), tls_key="k")
    assert (await fetch(make_pool(), origin).wait()).body == b"ok"


async def test_nobody_listens(make_pool: Callable[..., UpstreamPool], unused_port: int) -> None:
    response = await fetch(make_pool(), Origin("127.0.0.1", unused_port)).wait()
    assert response.error is not None
    assert response.error.failure is Failure.UNREACHABLE
    assert response.error.untouched


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as bound:  # and so nobody else's, but not listening
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_names_that_do_not_exist(
    make_pool: Callable[..., UpstreamPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = socket.getaddrinfo

    def find(host: str, *arguments: object, **options: object) -> object:
        if host == "no-such-name.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    for name in ("no-such-name.invalid", "a" * 300, "a..b"):
        response = await fetch(make_pool(), Origin(name, 80)).wait()
        assert response.error is not None
        assert response.error.failure is Failure.UNREACHABLE


async def test_a_handshake_that_does_not_end(
    make_pool: Callable[..., UpstreamPool],
) -> None:
    held = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = make_pool(handshake_timeout=0.05)
    response = await fetch(pool, Origin("127.0.0.1", port, tls=client_context())).wait()
    assert response.error is not None
    assert response.error.failure is Failure.TLS
    server.close()


async def test_connecting_takes_too_long(
    make_pool: Callable[..., UpstreamPool], hanging: None
) -> None:
    response = await fetch(make_pool(connect_timeout=0.02), Origin("192.0.2.1", 80)).wait()
    assert response.error is not None
    assert response.error.failure is Failure.CONNECT_TIMEOUT


async def test_a_bug_while_connecting_is_told(
    make_pool: Callable[..., UpstreamPool],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_args: object, **_options: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    response = await fetch(make_pool(), Origin("192.0.2.1", 80)).wait()
    assert response.error is not None
    assert "a bug" in caplog.text


async def test_a_body_that_waits_for_the_connection(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, response = make_pool(), Waiting()
    block = FieldBlock([(b"content-length", b"100000")])
    request = UpstreamRequest(b"POST", b"/", b"a", block, has_body=True)
    stream = pool.open(Origin("127.0.0.1", origins.port), request, response, b"x", end=False)
    stream.send_data(b"x" * 99_999)
    assert response.is_paused()
    stream.send_end()
    assert (await response.wait()).body == b"ok"
    assert not response.is_paused()


async def test_giving_up_before_there_is_a_connection(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, response = make_pool(), Waiting()
    origin = Origin("127.0.0.1", origins.port)
    pool.open(origin, get(), response, end=True).reset()
    await fetch(pool, origin).wait()
    assert response.head is None
    assert response.error is None
    assert len(origins.requests) == 1


async def test_the_number_of_connections_is_bounded(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    origins.answers = [b"HTTP/1.1 200 OK\r\n\r\n"] * 3
    pool = make_pool(connections_per_origin=2)
    origin = Origin("127.0.0.1", origins.port)
    running = []
    for _ in range(2):
        response = fetch(pool, origin)
        while response.head is None:
            await asyncio.sleep(0.001)
        running.append(response)
    third = await fetch(pool, origin).wait()
    assert third.error is not None
    assert "too many" in str(third.error)


async def test_idle_connections_do_not_stay(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(idle_timeout=90), Origin("127.0.0.1", origins.port)
    await fetch(pool, origin).wait()
    now = pool.ticker.now
    pool.tick(now + 80)
    assert pool.counts() == (1, 1)
    pool.tick(now + 100)
    await until(lambda: pool.counts() == (0, 0))


async def test_no_more_idle_connections_than_allowed(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(idle_per_origin=1), Origin("127.0.0.1", origins.port)
    for response in [fetch(pool, origin) for _ in range(3)]:
        await response.wait()
    assert pool.counts()[1] == 1


async def test_a_fresh_connection_on_demand(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(), Origin("127.0.0.1", origins.port)
    await fetch(pool, origin).wait()
    response = Waiting()
    pool.at(origin).open(get(), response, b"", True, fresh=True)
    await response.wait()
    assert origins.connections == 2


async def test_an_upstream_that_closes_the_idle_connection(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(), Origin("127.0.0.1", origins.port)
    await fetch(pool, origin).wait()
    origins.answers = [b""]
    response = await fetch(pool, origin).wait()
    assert response.error is not None
    assert response.error.stale
    assert (await fetch(pool, origin).wait()).body == b"ok"


async def test_http_1_1_where_http_2_was_hoped_for(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    context = server_context()
    context.set_alpn_protocols(["http/1.1"])
    await origins.start(tls=context)
    pool = make_pool()
    origin = Origin(
        "127.0.0.1",
        origins.port,
        tls=client_context("h2", "http/1.1"),
        server_name="a.example",
        h2=True,
    )
    for response in [fetch(pool, origin) for _ in range(3)]:
        assert (await response.wait()).body == b"ok"


async def test_closing_fails_what_is_running(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"]
    pool = make_pool()
    response = fetch(pool, Origin("127.0.0.1", origins.port))
    while response.head is None:
        await asyncio.sleep(0.001)
    pool.close()
    assert (await response.wait()).error is not None


async def test_an_upgrade_where_http_2_is_usual(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start(tls=server_context())
    origins.answers = [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw"]
    origin = Origin(
        "127.0.0.1",
        origins.port,
        tls=client_context("h2", "http/1.1"),
        upgrade_tls=client_context("http/1.1"),
        server_name="a.example",
        h2=True,
    )
    response = Waiting()
    request = UpstreamRequest(b"GET", b"/", b"a", EMPTY, upgrade=b"x")
    make_pool().open(origin, request, response, end=True)
    async with asyncio.timeout(60):
        while response.body != b"raw":
            await asyncio.sleep(0.001)
    assert response.head is not None
    assert response.head.status == 101


async def test_connections_that_are_being_made_count(
    make_pool: Callable[..., UpstreamPool], hanging: None
) -> None:
    pool = make_pool(connections_per_origin=2, connect_timeout=0.02)
    origin = Origin("192.0.2.1", 80)
    responses = [fetch(pool, origin) for _ in range(5)]
    errors = [(await response.wait()).error for response in responses]
    assert ["too many" in str(error) for error in errors] == [False, False, True, True, True]
    # Places of what failed are free again.
    assert "too many" not in str((await fetch(pool, origin).wait()).error)


async def test_few_requests_wait_for_one_connection(
    make_pool: Callable[..., UpstreamPool], hanging: None
) -> None:
    pool = make_pool(waiting_per_origin=2, connect_timeout=0.02)
    origin = Origin("192.0.2.1", 80, h2=True)
    given_up = pool.open(origin, get(), Waiting(), end=True)
    first = fetch(pool, origin)
    given_up.reset()
    second, third = fetch(pool, origin), fetch(pool, origin)
    assert third.error is None
    errors = [(await response.wait()).error for response in (first, second, third)]
    assert ["too many" in str(error) for error in errors] == [False, False, True]
    assert errors[2] is not None
    assert errors[2].untouched


async def test_an_origin_that_is_used_again_is_looked_after_again(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(), Origin("127.0.0.1", origins.port)
    kept = pool.at(origin)
    pool.ticker.now += 601
    pool.tick(pool.ticker.now)
    response = Waiting()
    kept.open(get(), response, b"", True)
    assert (await response.wait()).body == b"ok"
    assert pool.at(origin) is kept
    assert pool.counts() == (1, 1)
    pool.tick(pool.ticker.now + 100)
    async with asyncio.timeout(60):
        while kept.connections:
            await asyncio.sleep(0.001)


async def test_an_origin_that_was_made_twice_is_looked_after_twice(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, origin = make_pool(), Origin("127.0.0.1", origins.port)
    kept = pool.at(origin)
    pool.ticker.now += 601
    pool.tick(pool.ticker.now)
    assert pool.at(origin) is not kept
    response = Waiting()
    kept.open(get(), response, b"", True)
    await response.wait()
    await fetch(pool, origin).wait()
    assert pool.counts() == (2, 2)
    pool.tick(pool.ticker.now + 100)
    async with asyncio.timeout(60):
        while pool.counts() != (0, 0):
            await asyncio.sleep(0.001)
    assert not kept.idle


async def test_connections_that_somebody_else_makes(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    dialled = 0

    async def dial() -> socket.socket:
        nonlocal dialled
        dialled += 1
        made = socket.create_connection(("127.0.0.1", origins.port))
        made.setblocking(False)
        return made

    pool = make_pool()
    mine = pool.separate(Origin("192.0.2.1", 1, dial=dial))
    assert not mine.ready(upgrade=False)
    for _ in range(3):
        response = Waiting()
        mine.open(get(), response, b"", True)
        assert (await response.wait()).body == b"ok"
    assert dialled == 1
    assert mine.ready(upgrade=True)
    assert pool.at(mine.origin) is not mine
    mine.close()
    await asyncio.sleep(0)
    assert not mine.ready(upgrade=False)
    assert not mine.busy()


async def test_somebody_else_cannot_make_a_connection(
    make_pool: Callable[..., UpstreamPool],
) -> None:
    async def dial() -> socket.socket:
        raise OSError("nobody there")

    response = Waiting()
    make_pool().separate(Origin("192.0.2.1", 1, dial=dial)).open(get(), response, b"", True)
    failed = await response.wait()
    assert failed.error is not None
    assert failed.error.failure is Failure.UNREACHABLE
    assert failed.error.untouched


async def test_a_place_that_is_given_up(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool, port = make_pool(), origins.port
    mine, other = Origin("127.0.0.1", port, owner="me"), Origin("127.0.0.1", port, owner="you")
    kept = pool.at(mine)
    for origin in (mine, other):
        await fetch(pool, origin).wait()
    pool.retire("me", {("127.0.0.1", port + 1), ("127.0.0.2", port)})
    assert pool.counts() == (2, 2)
    origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12"]
    running = fetch(pool, mine)
    pool.retire("me", {("127.0.0.1", port)})
    assert pool.counts() == (2, 1)
    await until(lambda: len(origins.requests) == 3)
    origins.writers[0].write(b"34")
    assert (await running.wait()).body == b"1234"
    await until(lambda: pool.counts() == (1, 1))
    assert pool.at(mine) is not kept
    # Whoever still has it may use it, for one exchange each.
    response = Waiting()
    kept.open(get(), response, b"", True)
    assert (await response.wait()).body == b"ok"
    await until(lambda: pool.counts() == (1, 1))
    pool.tick(pool.ticker.now + 10_000)
    response = Waiting()
    kept.open(get(), response, b"", True)
    assert (await response.wait()).body == b"ok"
    assert pool.at(mine) is not kept


async def test_http_2_connections_to_a_place_that_is_given_up(
    origins: Origins, make_pool: Callable[..., UpstreamPool]
) -> None:
    await origins.start()
    pool = make_pool()
    async with proxying(Origin("127.0.0.1", origins.port)) as server:
        origin, places = (
            Origin("127.0.0.1", server.port, h2=True, owner="me"),
            {("127.0.0.1", server.port)},
        )
        assert (await fetch(pool, origin).wait()).body == b"ok"
        assert pool.counts() == (1, 0)
        pool.retire("me", places)
        await until(lambda: pool.counts() == (0, 0))
        origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12"]
        running = fetch(pool, origin)
        await until(lambda: len(origins.requests) == 2)
        pool.retire("me", places)
        pool.tick(pool.ticker.now)
        assert pool.counts() == (1, 0)
        origins.writers[0].write(b"34")
        assert (await running.wait()).body == b"1234"
        pool.tick(pool.ticker.now)
        await until(lambda: pool.counts() == (0, 0))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)
