from __future__ import annotations

import asyncio
import ssl
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from octelium.ingress.front import FrontConnection
from octelium.ingress.settings import Settings
from octelium.replica.arrival import FrontDoor
from tests.http import certs
from tests.vigil.world import DOMAIN, Client, World, certificate_secret, status_lines, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = (ip_network("127.0.0.0/8"),)
HELLO = b"PROXY TCP4 203.0.113.9 192.0.2.2 4321 443\r\n"
GET = f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()


def client_context(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certs.ca().chain.decode())
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def connect(
    here: World, name: str | None = f"wiki.{DOMAIN}", context: ssl.SSLContext | None = None
) -> Client:
    client = Client(
        *await asyncio.open_connection(
            "127.0.0.1",
            here.port,
            ssl=context or client_context("http/1.1"),
            server_hostname=name or "",
        )
    )
    here.clients.append(client)
    return client


def fronts(here: World) -> list[FrontConnection]:
    """Connections that have no codec yet."""
    return [one for one in here.ticker._members if isinstance(one, FrontConnection)]


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world(Settings(public_port=8443)) as made:
        made.feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}"))
        made.serve()
        yield made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_requests_over_tls(here: World, version: ssl.TLSVersion) -> None:
    context = client_context()
    context.minimum_version = context.maximum_version = version
    client = await connect(here, context=context)
    for _ in range(2):
        assert (await client.request()).body == b"ok"
    assert here.ingress.counters.handshakes == 1
    _, request, arrival = here.decider.asked[0]
    assert isinstance(arrival, FrontDoor)
    assert request.read(("http", "scheme")) == "https"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_of_tls(here: World) -> None:
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(here, context=context)


@pytest.mark.parametrize("name", [None, "other.example", f"x{DOMAIN}", f"{DOMAIN}.evil"])
async def test_names_outside_the_domain(here: World, name: str | None) -> None:
    context = client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(here, name, context)
    await here.until(lambda: here.ingress.counters.handshake_failures)
    await here.until(lambda: here.ingress.admission.connections == 0)


async def test_what_was_agreed_on(here: World) -> None:
    for offered, agreed in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), ((), None)):
        client = await connect(here, context=client_context(*offered))
        connection = client.writer.get_extra_info("ssl_object")
        assert connection.selected_alpn_protocol() == agreed


async def test_a_handshake_that_does_not_end() -> None:
    async with world(Settings()) as here:
        silent, started = await here.connect(), await here.connect()
        await started.send(b"\x16\x03\x01\x40\x00\x01\x00")
        await here.until(lambda: sorted(one._layered for one in fronts(here)) == [False, True])
        here.pass_time(here.ingress.settings.handshake_timeout - 1)
        assert len(fronts(here)) == 2
        here.pass_time(1)
        assert await silent.rest() == b""
        assert await started.rest() == b""
        await here.until(lambda: here.ingress.counters.handshake_failures == 2)
        await here.until(lambda: here.ingress.admission.connections == 0)


async def test_plain_http_on_the_port_for_tls(here: World) -> None:
    client = await here.connect()
    await client.send(f"GET /a?b=1 HTTP/1.1\r\nHost: wiki.{DOMAIN}:8443\r\n\r\n".encode())
    reply = await client.reply()
    assert reply.status == 301
    assert reply.first(b"location") == f"https://wiki.{DOMAIN}:8443/a?b=1".encode()
    assert here.decider.asked == []


@pytest.mark.parametrize(
    "data",
    [
        f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nContent-Length: 0\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
    ],
)
async def test_other_plain_text_is_refused(here: World, data: bytes) -> None:
    client = await here.connect()
    await client.send(data)
    assert (await client.reply()).status == 400
    assert here.decider.asked == []


@pytest.mark.parametrize(
    "data", [b"\x00\x00", b"\x80\x2e\x01", b"\r\n\r\n", HELLO[:0] + b"\x05\x01"]
)
async def test_other_first_bytes(here: World, data: bytes) -> None:
    assert await here.raw(data) == b""
    assert here.ingress.counters.bad_first_bytes == 1


async def test_a_proxy_header_of_a_stranger_is_no_identity(here: World) -> None:
    out = await here.raw(HELLO + b"\r\n\r\n")
    assert status_lines(out) == [400]
    assert here.decider.asked == []


async def test_a_proxy_header_of_a_listed_peer() -> None:
    async with world(Settings(plaintext=True, proxy_peers=LOOPBACK)) as here:
        here.serve()
        client = await here.connect()
        for byte in HELLO:
            await client.send(bytes([byte]))
        await client.send(GET)
        assert (await client.reply()).status == 200
        _, request, arrival = here.decider.asked[0]
        assert arrival == FrontDoor("203.0.113.9", 4321)
        assert request.client_address == "203.0.113.9"
        assert here.sink.records[0].client_address == "203.0.113.9"


@pytest.mark.parametrize("data", [GET, b"\x16\x03\x01", b"PROXY TCP4 x y 1 2\r\n" + GET])
async def test_a_listed_peer_must_send_one(data: bytes) -> None:
    async with world(Settings(plaintext=True, proxy_peers=LOOPBACK)) as here:
        here.serve()
        assert await here.raw(data) == b""
        assert here.ingress.counters.bad_first_bytes == 1
        assert here.decider.asked == []


async def test_a_load_balancer_s_own_connection() -> None:
    async with world(Settings(plaintext=True, proxy_peers=LOOPBACK)) as here:
        here.serve()
        client = await here.connect()
        await client.send(b"PROXY UNKNOWN\r\n" + GET)
        assert (await client.reply()).status == 200
        assert here.decider.asked[0][2] == FrontDoor("127.0.0.1", here.decider.asked[0][2].port)  # type: ignore[union-attr]


async def test_connections_of_one_peer_are_bounded_until_it_is_known() -> None:
    async with world(Settings(plaintext=True, max_unauthenticated=2)) as here:
        here.serve()
        first, second = await here.connect(), await here.connect()
        await here.until(lambda: here.ingress.admission.connections == 2)
        third = await here.connect()
        assert await third.rest() == b""
        assert here.ingress.counters.over_limit == 1
        assert (await first.request(token=None)).status == 401
        assert await (await here.connect()).rest() == b""
        assert (await first.request()).status == 200
        assert (await first.request()).status == 200
        fourth = await here.connect()
        assert (await fourth.request(token=None)).status == 401
        second.close()
        fourth.close()
        first.close()
        await here.until(lambda: here.ingress.admission.connections == 0)
        assert here.ingress.admission.unauthenticated == 0


async def test_being_allowed_without_identity_makes_nobody_known() -> None:
    async with world(Settings(plaintext=True, max_unauthenticated=2)) as here:
        here.serve(is_anonymous=True)
        for _ in range(2):
            assert (await (await here.connect()).request(token=None)).status == 200
        assert here.ingress.admission.unauthenticated == 2
        third = await here.connect()
        assert await third.rest() == b""
        assert here.ingress.counters.over_limit == 1


async def test_listed_peers_are_counted_by_whom_they_stand_for() -> None:
    settings = Settings(plaintext=True, max_unauthenticated=1, proxy_peers=LOOPBACK)
    async with world(settings) as here:
        here.serve()
        clients = []
        for number in range(3):
            client = await here.connect()
            await client.send(HELLO.replace(b"203.0.113.9", b"203.0.113.%d" % number))
            assert (await client.request(token=None)).status == 401
            clients.append(client)
        again = await here.connect()
        await again.send(HELLO.replace(b"203.0.113.9", b"203.0.113.1"))
        assert await again.rest() == b""


async def test_all_connections_are_bounded() -> None:
    async with world(Settings(plaintext=True, max_connections=1)) as here:
        here.serve()
        first = await here.connect()
        await here.until(lambda: here.ingress.admission.connections == 1)
        assert await (await here.connect()).rest() == b""
        assert (await first.request()).status == 200


async def test_a_certificate_is_replaced_while_clients_are_connected(here: World) -> None:
    before = await connect(here)
    assert (await before.request()).status == 200
    first = before.writer.get_extra_info("ssl_object").getpeercert()
    here.feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}", f"*.prod.{DOMAIN}"))
    after = await connect(here)
    assert (await before.request()).status == 200
    assert after.writer.get_extra_info("ssl_object").getpeercert() != first
    assert (await after.request()).status == 200


async def test_no_certificate_no_service() -> None:
    async with world(Settings()) as here:
        here.serve()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(here)


async def test_a_slow_head_over_tls() -> None:
    async with world(Settings()) as here:
        here.feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}"))
        client = await connect(here)
        await client.send(b"GET / HT")
        await here.until(lambda: any(getattr(one, "_buffer", b"") for one in here.ingress.codecs))
        here.pass_time(here.ingress.settings.limits.head_timeout)
        assert (await client.reply()).status == 408
