"""HTTP/2 in the clear where a Service has it, TLS, and clients that never get that far."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

from octelium.ingress.private_connection import PrivateConnection
from octelium.ingress.settings import Settings
from tests.http import certs
from tests.ingress.private_world import MODES, PrivateWorld, private_world
from tests.vigil.world import DOMAIN, certificate_secret

if TYPE_CHECKING:
    from tests.vigil.world import Client

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def beginning(here: PrivateWorld) -> list[PrivateConnection]:
    """Connections that have no codec yet."""
    return [one for one in here.base.ticker._members if isinstance(one, PrivateConnection)]


async def ends(client: Client) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await client.rest() == b""


@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_http2_in_the_clear(piece: int) -> None:
    async with private_world() as here:
        made = await here.serve()
        made.spec.config.http.listen_http2 = True
        here.feed.put(made)
        client = await here.connect()
        data = PREFACE + SETTINGS
        for start in range(0, len(data), piece):
            await client.send(data[start : start + piece])
            await asyncio.sleep(0)
        assert (await client.exactly(9))[3] == 4  # SETTINGS (RFC 9113, section 6.5)
        other = await here.connect()  # HTTP/1.1 all the same
        reply = await other.request(host="wiki.local", token=None)
        assert reply.status == 200


async def test_no_http2_elsewhere() -> None:
    async with private_world() as here:
        await here.serve()
        client = await here.connect()
        await client.send(PREFACE + SETTINGS)
        assert (await client.rest()).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("first", [b"", b"P", PREFACE[:-1]])
async def test_a_client_that_says_too_little(first: bytes) -> None:
    async with private_world() as here:
        await here.serve(mode=MODES.GRPC)
        client = await here.connect()
        await client.send(first)
        await here.until(lambda: [one._first for one in beginning(here)] == [first])
        here.pass_time(Settings().handshake_timeout)
        await ends(client)
        await here.until(lambda: here.server.connections == 0)


async def test_tls_with_http2_and_a_handshake_that_never_comes() -> None:
    async with private_world() as here:
        here.feed.put(certificate_secret(f"*.local.{DOMAIN}"))
        await here.serve(is_tls=True)
        mute = await here.connect()
        await here.until(lambda: len(beginning(here)) == 1)
        context = ssl.create_default_context(cadata=certs.ca().chain.decode())
        context.set_alpn_protocols(["h2", "http/1.1"])
        client = await here.connect(ssl=context, server_hostname=f"wiki.local.{DOMAIN}")
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        await client.send(PREFACE + SETTINGS)
        assert (await client.exactly(9))[3] == 4
        here.pass_time(Settings().handshake_timeout)
        await ends(mute)
        assert here.server.connections == 1


async def test_without_any_certificate() -> None:
    async with private_world() as here:
        await here.serve(is_tls=True)
        context = ssl.create_default_context(cadata=certs.ca().chain.decode())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await here.connect(ssl=context, server_hostname=f"wiki.local.{DOMAIN}")
        await here.until(lambda: here.server.connections == 0)
