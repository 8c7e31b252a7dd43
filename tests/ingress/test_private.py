"""Who calls whom is told by the two addresses of a socket, and by nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from octelium.http.tasks import spawn
from octelium.ingress.private import speaks_h2
from octelium.ingress.settings import Settings
from octelium.replica.arrival import Tunnel
from octelium.schema.pb import core_v1_pb2 as core
from tests.http import certs
from tests.ingress.private_world import (
    ANN,
    BOB,
    MODES,
    WIKI,
    PrivateWorld,
    connected,
    free_port,
    private,
    private_world,
)
from tests.vigil.world import DOMAIN, certificate_secret, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def here() -> AsyncIterator[PrivateWorld]:
    async with private_world() as made:
        yield made


async def closes(here: PrivateWorld, source: str, to: str = WIKI) -> None:
    """A connection ends without a byte."""
    client = await here.connect(source, to=to)
    with contextlib.suppress(ConnectionResetError):
        assert await client.rest() == b""


async def test_a_request_is_its_sessions(here: PrivateWorld) -> None:
    await here.serve()
    reply = await here.request()
    assert (reply.status, reply.body) == (200, b"ok")
    assert (await here.request(source=BOB)).status == 200
    arrivals = [arrival for _, _, arrival in here.decider.asked]
    assert arrivals == [Tunnel("uid-ann-1", ANN), Tunnel("uid-bob-1", BOB)]
    assert [record.client_address for record in here.sink.records] == [ANN, BOB]


@pytest.mark.parametrize(
    "fields",
    [
        {"X-Octelium-Client-Address": BOB},
        {"X-Forwarded-For": BOB, "Forwarded": f"for={BOB}"},
        {"X-Octelium-Auth": "wrong"},
        {"Cookie": "octelium_auth=wrong"},
        {"Authorization": "Bearer wrong"},
        {"X-Octelium-Session-Uid": "uid-bob-1", "X-Octelium-Session-Ref": "bob-1"},
        {"X-Real-IP": BOB, "X-Original-URL": "/admin", "X-Rewrite-URL": "/admin"},
    ],
)
async def test_nothing_that_a_client_sends_changes_who_it_is(
    here: PrivateWorld, fields: dict[str, str]
) -> None:
    await here.serve()
    assert (await here.request("/x", fields=fields)).status == 200
    ((_, request, arrival),) = here.decider.asked
    assert arrival == Tunnel("uid-ann-1", ANN)
    assert request.client_address == ANN
    assert request.read(("ip",)) == ANN
    assert request.token is None
    assert request.read(("http", "path")) == "/x"
    assert b"x-octelium-client-address" not in dict(here.base.upstream_fields())


async def test_addresses_of_nobody(here: PrivateWorld) -> None:
    await here.serve()
    await closes(here, "127.65.0.99")
    assert here.server.counters.unknown_address == 1
    await closes(here, ANN, "127.64.0.99")
    assert here.server.counters.unknown_service == 1
    assert here.decider.asked == []
    await here.until(lambda: here.server.connections == 0)


async def test_the_port_must_be_the_services_own(here: PrivateWorld) -> None:
    await here.serve()
    other = private(service("other.default", here.base.url), free_port(), "127.64.0.17")
    await here.put(other)
    client = await here.connect(to="127.64.0.17", port=other.status.port)
    assert (await client.request(host="other.local", token=None)).status == 200
    wrong = await here.connect(to=WIKI, port=other.status.port)  # somebody's port, not wiki's
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await wrong.read_head()
    assert here.server.counters.unknown_service == 1


async def test_services_share_a_port(here: PrivateWorld) -> None:
    await here.serve()
    await here.put(private(service("other.default", here.base.url), here.port, "127.64.0.17"))
    client = await here.connect(to="127.64.0.17")
    assert (await client.request(host="other.local", token=None)).status == 200
    assert (await here.request()).status == 200
    names = [entry.name for entry, _, _ in here.decider.asked]
    assert names == ["other.default", "wiki.default"]
    assert len(here.server.listening) == 1


async def test_ports_come_and_go(here: PrivateWorld) -> None:
    made = await here.serve()
    assert here.server.listening == {("tcp", socket.AF_INET, here.port)}
    client = await here.connect()
    assert (await client.request(host="wiki.local", token=None)).status == 200
    here.feed.delete(made)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.read_head()  # what was open ends at once
    await here.until(lambda: not here.server.listening)
    assert here.sockets.released == [("tcp", socket.AF_INET, here.port)]
    with pytest.raises(ConnectionRefusedError):
        await here.connect()


async def test_a_socket_that_cannot_be_had_is_tried_again(
    here: PrivateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    here.sockets.refuse = OSError("no link process")
    here.feed.put(private(service(url=here.base.url), here.port))
    await here.until(lambda: "no link process" in caplog.text)
    here.sockets.refuse = None
    await here.until(lambda: here.server.listening)
    assert (await here.request()).status == 200


async def test_modes_that_nobody_serves_have_no_port(here: PrivateWorld) -> None:
    here.feed.put(private(service(mode=MODES.SSH, url="ssh://127.0.0.1"), here.port))
    made = private(service("x.default", here.base.url), free_port(), "127.64.0.18")
    await here.put(made)
    assert here.server.listening == {("tcp", socket.AF_INET, made.status.port)}


async def test_a_connection_ends_with_its_session(here: PrivateWorld) -> None:
    await here.serve()
    client, other = await here.connect(), await here.connect(BOB)
    for one in (client, other):
        assert (await one.request(host="wiki.local", token=None)).status == 200
    gone = connected("ann-1")
    gone.status.is_connected = False
    here.feed.put(gone)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.read_head()
    assert (await other.request(host="wiki.local", token=None)).status == 200
    assert here.server.connections == 1


async def test_an_address_that_passes_to_another_session(here: PrivateWorld) -> None:
    await here.serve()
    client = await here.connect()
    assert (await client.request(host="wiki.local", token=None)).status == 200
    here.feed.put(connected("eve-1", ANN))  # nothing of Ann's own Session changes
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.read_head()
    assert (await here.request()).status == 200
    assert here.decider.asked[-1][2] == Tunnel("uid-eve-1", ANN)


async def test_a_call_waits_for_what_was_acknowledged(here: PrivateWorld) -> None:
    await here.serve()
    here.base.freshness.fresh = False
    client = await here.connect("127.65.0.9")
    waiting = spawn(client.request(host="wiki.local", token=None), name="a request")
    await here.until(lambda: here.server.counters.behind == 1)
    here.feed.put(connected("new-1", "127.65.0.9"))  # known to whoever acknowledged it
    here.base.freshness.fresh = True
    here.base.freshness.caught_up.set()
    assert (await waiting).status == 200
    here.base.freshness.in_time = here.base.freshness.fresh = False
    assert (await client.request(host="wiki.local", token=None)).status == 503
    await closes(here, ANN)
    assert here.server.counters.refused_behind == 2


async def test_one_session_has_so_many_connections() -> None:
    settings = Settings(plaintext=True, max_each_session=3, max_unauthenticated=2)
    async with private_world(settings) as here:
        await here.serve()
        first, second = await here.connect(), await here.connect()
        await here.until(lambda: here.server.connections == 2)
        await closes(here, ANN)  # nothing was allowed yet on two of them
        for client in (first, second):
            assert (await client.request(host="wiki.local", token=None)).status == 200
        third = await here.connect()
        assert (await third.request(host="wiki.local", token=None)).status == 200
        await closes(here, ANN)
        assert (await here.request(source=BOB)).status == 200
        first.close()
        await here.until(lambda: here.server.connections == 3)  # Bob's is one of them
        assert (await here.request()).status == 200
        assert here.server.counters.over_limit == 2


async def test_the_sessions_of_one_user_share_places() -> None:
    async with private_world(Settings(plaintext=True, max_each_user=2)) as here:
        await here.serve()
        second = "127.65.0.9"
        here.feed.put(connected("ann-2", second), connected("bob-1", BOB, user="bob"))
        await here.until(lambda: "uid-ann-2" in here.base.replica.sessions)
        first = await here.connect()
        assert (await first.request(host="wiki.local", token=None)).status == 200
        assert (await here.request(source=second)).status == 200
        await closes(here, ANN)
        await closes(here, second)
        assert here.server.counters.over_limit == 2
        assert (await here.request(source=BOB)).status == 200


async def test_tls_with_the_certificate_of_the_namespace() -> None:
    async with private_world() as here:
        here.feed.put(
            certificate_secret(DOMAIN, f"*.{DOMAIN}", f"*.local.{DOMAIN}", name="crt-ns-default"),
            certificate_secret(f"*.prod.local.{DOMAIN}", name="crt-ns-prod"),
        )
        await here.serve(is_tls=True)
        names = {f"wiki.local.{DOMAIN}": True, "elsewhere.test": False}
        for name, right in names.items():
            context = ssl.create_default_context(cadata=certs.ca().chain.decode())
            context.check_hostname = right  # others get the Namespace's certificate all the same
            client = await here.connect(ssl=context, server_hostname=name)
            assert (await client.request(host="wiki.local", token=None)).status == 200
            client.close()
        plain = await here.connect()
        await plain.send(b"GET / HTTP/1.1\r\nHost: wiki.local\r\n\r\n")
        assert not (await plain.rest()).startswith(b"HTTP")


def test_who_may_begin_http2_in_the_clear() -> None:
    assert speaks_h2(service(mode=MODES.GRPC))
    assert speaks_h2(service(url="h2c://127.0.0.1:1"))
    assert not speaks_h2(service(url="http://127.0.0.1:1"))
    made = core.Service()
    made.spec.config.http.listen_http2 = True
    assert speaks_h2(made)
