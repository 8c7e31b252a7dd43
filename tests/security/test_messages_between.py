"""What a message says to one side only: tokens, lengths, trailers, cookies without a name."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from octelium.identity.tokens import Signer, TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.vigil.world import DOMAIN, World, service, status_lines, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODES = core.ServiceSpecConfigHttpHeaderAuthorizationMode__


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.serve()
        yield made


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("mode", [MODES.PASS, MODES.DELETE, MODES.AUTHORIZATION_MODE_UNSET])
async def test_no_upstream_gets_a_token_of_the_cluster(
    here: World, anonymous: bool, mode: Any
) -> None:
    made = here.serve(is_anonymous=anonymous)
    made.spec.config.http.header.authorization_mode = mode
    here.feed.put(made)
    token = Signer(str(uuid.uuid4()), Ed25519PrivateKey.generate()).issue(
        TokenType.ACCESS, str(uuid.uuid4()), str(uuid.uuid4()), 1_900_000_000
    )
    for scheme in ("Bearer", "bearer"):
        fields = {"Authorization": f"{scheme} {token}", "X-Octelium-Auth": "alice"}
        assert (await here.request(token=None, fields=fields)).status == 200
        assert token.encode() not in here.origins.requests[-1]


async def test_a_length_that_the_upstream_calls_its_connection_s(here: World) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok"
    here.origins.answers = [head, head]
    client = await here.connect()
    for _ in range(2):
        reply = await client.request()
        assert reply.first(b"content-length") == b"2"
        assert reply.body == b"ok"


async def test_lengths_of_heads_without_a_body(here: World) -> None:
    here.origins.answers = [
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 60\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
    ]
    client = await here.connect()
    hint = await client.request()
    assert (hint.status, hint.first(b"content-length")) == (103, None)
    assert (await client.reply()).body == b"ok"


async def test_a_cookie_without_a_name(here: World) -> None:
    here.origins.answers = [
        (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: =octelium_auth=evil; Path=/\r\nSet-Cookie: sid=1\r\n"
            b"Set-Cookie: =octelium_rt=evil\r\nContent-Length: 2\r\n\r\nok"
        )
    ]
    assert (await here.request()).all(b"set-cookie") == [b"sid=1"]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("announced", [False, True])
async def test_trailers_of_a_request(here: World, announced: bool, later: bool) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framed = b"content-length" not in (await reader.readuntil(b"ok")).lower()
        trailers = b""
        if framed:
            await reader.readuntil(b"0\r\n")
            while (line := await reader.readline()) != b"\r\n":
                trailers += line
        received.set_result(trailers)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(origin, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    here.feed.put(service(url=f"http://127.0.0.1:{port}"))
    here.decider.later = later
    announcement = b"Connection: te\r\nTE: trailers\r\n" if announced else b""
    head = f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n".encode()
    forged = (
        b"X-Sum: 1\r\nX-Octelium-Session-Uid: forged\r\nX_Octelium_Auth: forged\r\n"
        b"X-Forwarded-For: forged\r\nRemote-User: forged\r\nContent-Type: forged\r\n"
    )
    client = await here.connect()
    await client.send(head + announcement + b"Transfer-Encoding: chunked\r\n\r\n")
    await client.send(b"2\r\nok\r\n0\r\n" + forged + b"\r\n")
    here.decider.delay.set()
    assert (await client.reply()).status == 204
    trailers = await received
    assert trailers == (b"x-sum: 1\r\n" if announced else b"")
    server.close()


async def test_fields_that_override_what_was_decided_on(here: World) -> None:
    names = ["X-Original-URL", "X_Rewrite_URL", "X-HTTP-Method-Override", "X.HTTP.Method"]
    names += ["X-Method-Override", "Remote-User", "remote_user", "X-Remote-User", "X-Host"]
    made = here.serve()
    made.spec.config.http.header.forwarded_mode = (
        core.ServiceSpecConfigHttpHeaderForwardedMode__.TRANSPARENT
    )
    here.feed.put(made)
    assert (await here.request(fields=dict.fromkeys(names, "forged"))).status == 200
    assert b"forged" not in here.origins.requests[0]


async def test_connections_stay_in_step(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok"
    ]
    one = f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
    data = await here.raw(f"{one}\r\n{one}Connection: close\r\n\r\n".encode())
    assert status_lines(data) == [200, 200]
    assert data.endswith(b"ok")
