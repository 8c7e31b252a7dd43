"""Requests that two HTTP implementations could read differently: 400, closed, nothing upstream.

The payloads are of the kinds collected by the http-garden project and by RFC 9112, section 11.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

import pytest

from octelium.ingress.settings import Settings
from tests.ingress.test_front import connect
from tests.vigil.world import DOMAIN, World, certificate_secret, service, status_lines, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from octelium.policy.request import Request

HOST = f"wiki.{DOMAIN}"
BASE = f"Host: {HOST}\r\nX-Octelium-Auth: alice\r\n"
HIDDEN = f"GET /hidden HTTP/1.1\r\n{BASE}\r\n"


def post(fields: str, body: str = "") -> bytes:
    return f"POST /x HTTP/1.1\r\n{BASE}{fields}\r\n{body}".encode("latin-1")


FRAMING = {
    "CL.TE": post(
        f"Content-Length: {len(HIDDEN) + 5}\r\nTransfer-Encoding: chunked\r\n", f"0\r\n\r\n{HIDDEN}"
    ),
    "TE.CL": post(
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", f"5c\r\n{HIDDEN}\r\n0\r\n\r\n"
    ),
    "TE.TE": post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
    "TE obfuscated": post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    "TE chunked twice": post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    "TE with a tab inside": post("Transfer-Encoding: chun\tked\r\n", "0\r\n\r\n"),
    "TE vertical tab": post("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
    "TE space before colon": post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    "TE leading space": post(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "TE folded": post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    "TE after bare LF": post("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "TE after bare CR": post("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "TE in quotes": post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"),
    "TE with NUL": post("Transfer-Encoding: chunked\x00\r\n", "0\r\n\r\n"),
    "CL twice, equal": post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    "CL twice, different": post("Content-Length: 5\r\nContent-Length: 0\r\n", f"hello{HIDDEN}"),
    "CL list": post("Content-Length: 5, 5\r\n", "hello"),
    "CL plus": post("Content-Length: +5\r\n", "hello"),
    "CL minus": post("Content-Length: -5\r\n", "hello"),
    "CL hex": post("Content-Length: 0x5\r\n", "hello"),
    "CL underscore": post("Content-Length: 1_0\r\n", "helloworld"),
    "CL octal": post("Content-Length: 0o5\r\n", "hello"),
    "CL inner space": post("Content-Length: 1 0\r\n", "helloworld"),
    "CL empty": post("Content-Length:\r\n", ""),
    "CL superscript": post("Content-Length: \xb2\r\n", "he"),
    "CL form feed": post("Content-Length:\x0c5\r\n", "hello"),
    "CL huge": post("Content-Length: 99999999999999999999\r\n", ""),
    "CL space before colon": post("Content-Length : 5\r\n", "hello"),
    "CL folded": post("Content-Length:\r\n 5\r\n", "hello"),
    "field without colon": post("Content-Length\r\n", ""),
    "field with NUL": post("X\x00: y\r\n", ""),
    "value with NUL": post("X: a\x00b\r\n", ""),
    "empty name": post(": y\r\n", ""),
    "name with space": post("X Y: z\r\n", ""),
    "obs-fold": post("X: y\r\n  z\r\n", ""),
    "bare LF ends the head": f"GET /x HTTP/1.1\n{BASE}\n".replace("\r", "").encode(),
    "bare LF at the end": f"GET /x HTTP/1.1\r\n{BASE}\n".encode(),
    "two spaces": f"GET  /x HTTP/1.1\r\n{BASE}\r\n".encode(),
    "tab": f"GET\t/x\tHTTP/1.1\r\n{BASE}\r\n".encode(),
    "NUL in target": f"GET /x\x00y HTTP/1.1\r\n{BASE}\r\n".encode(),
    "space in target": f"GET /x y HTTP/1.1\r\n{BASE}\r\n".encode(),
    "no version": f"GET /x\r\n{BASE}\r\n".encode(),
    "no host": b"GET /x HTTP/1.1\r\nX-Octelium-Auth: alice\r\n\r\n",
    "two hosts": f"GET /x HTTP/1.1\r\n{BASE}Host: other.{DOMAIN}\r\n\r\n".encode(),
    "the same host twice": f"GET /x HTTP/1.1\r\n{BASE}Host: {HOST}\r\n\r\n".encode(),
    "absolute form, another host": (f"GET http://other.{DOMAIN}/x HTTP/1.1\r\n{BASE}\r\n".encode()),
    "host with userinfo": f"GET /x HTTP/1.1\r\nHost: a@{HOST}\r\n\r\n".encode(),
    "chunks in 1.0": post("", "").replace(
        b"HTTP/1.1\r\n", b"HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"
    ),
    "Connection hides a field": post("Connection: X-Octelium-Auth\r\n", ""),
}

CHUNKS = {
    "size with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
    "size with plus": "+5\r\nhello\r\n0\r\n\r\n",
    "size with underscore": "0_5\r\nhello\r\n0\r\n\r\n",
    "size with space": "5 \r\nhello\r\n0\r\n\r\n",
    "size overflow": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size with bare LF": "5\nhello\r\n0\r\n\r\n",
    "data with bare LF": "5\r\nhello\n0\r\n\r\n",
    "data too long": "5\r\nhello!\r\n0\r\n\r\n",
    "data too short": "6\r\nhello\r\n0\r\n\r\n",
    "LF in the extension": f"5;a\n{HIDDEN}\r\nhello\r\n0\r\n\r\n",
    "CR in the extension": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension without end": "5;" + "a" * 5000,
    "empty size": "\r\nhello\r\n0\r\n\r\n",
    "bad trailer": "5\r\nhello\r\n0\r\nbad\r\n\r\n",
    "folded trailer": "5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n",
}


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.serve()
        made.feed.put(service("other.default", made.url))
        yield made


def seen_whole(here: World) -> list[bytes]:
    """The requests that the origin could take for complete."""
    whole = []
    for request in here.origins.requests:
        chunked = b"transfer-encoding: chunked" in request.lower()
        if not chunked:
            whole.append(request)
    return whole


@pytest.mark.parametrize("data", FRAMING.values(), ids=FRAMING.keys())
async def test_ambiguous_framing(here: World, data: bytes) -> None:
    out = await here.raw(data + HIDDEN.encode())
    assert status_lines(out) == [400]
    assert b"Connection: close\r\n" in out
    assert here.origins.requests == []
    assert here.decider.asked == []


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
async def test_bad_chunks(here: World, body: str) -> None:
    out = await here.raw(post("Transfer-Encoding: chunked\r\n", body) + HIDDEN.encode())
    assert status_lines(out) == [400]
    assert here.origins.requests == []


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
async def test_bad_chunks_that_come_later(here: World, body: str) -> None:
    """The head is at the upstream by then; it must not take what follows for a whole request."""
    client = await here.connect()
    await client.send(post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n"))
    await here.until(lambda: here.origins.requests)
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] * 5
    await client.send(body.encode("latin-1") + HIDDEN.encode())
    await client.rest()
    await here.until(lambda: not here.vigil.running)
    assert seen_whole(here) == []
    assert not any(b"/hidden" in request.partition(b"\r\n")[0] for request in here.origins.requests)


@pytest.mark.parametrize("data", list(FRAMING.values())[::6])
async def test_the_same_over_tls_byte_by_byte(data: bytes) -> None:
    async with world(Settings()) as here:
        here.feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}"))
        here.serve()
        client = await connect(here)
        for byte in data:
            client.writer.write(bytes([byte]))
        assert b" 400 " in (await client.rest()).partition(b"\r\n")[0]
        assert here.origins.requests == []


async def test_a_refused_message_ends_what_was_pipelined(here: World) -> None:
    out = await here.raw(HIDDEN.encode() + FRAMING["CL.TE"] + HIDDEN.encode())
    assert status_lines(out) == [200, 400]
    assert len(here.origins.requests) == 1


async def test_random_breakage_never_adds_a_request(here: World) -> None:
    """Whatever is done to a request with another one in its body, the origin finds exactly the
    requests that were decided on."""
    chance = random.Random(1)
    whole = post(f"Connection: close\r\nContent-Length: {len(HIDDEN)}\r\n", HIDDEN)
    noise = [b"\r", b"\n", b"\x00", b" ", b"\t", b":", b",", b"0", b"\x0b", b"Transfer-Encoding"]

    def decided_on() -> list[Request]:
        return [request for _, request, _ in here.decider.asked if request.token == b"alice"]

    async def attack() -> None:
        data = whole
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(whole) - len(HIDDEN))
            data = data[:place] + chance.choice(noise) + data[place + chance.randint(0, 1) :]
        await (await here.connect()).send(data)

    async def settled() -> None:
        """All takes turns in this loop: what came before has gone as far by the time that later
        requests are answered.
        """
        for _ in range(5):
            assert (await here.request("/settled", token="robot")).status == 200

    await asyncio.gather(*(attack() for _ in range(200)))
    await settled()
    await here.until(lambda: len(here.origins.requests) - 5 >= len(decided_on()))
    await settled()
    found = [each for each in here.origins.requests if not each.startswith(b"GET /settled ")]
    known = decided_on()
    assert len(found) > 5
    assert len(found) == len(known)
    lines = sorted(request.partition(b" HTTP/1.1\r\n")[0] for request in found)
    decided = [
        (request.read(("http", "method")), request.read(("http", "uri"))) for request in known
    ]
    assert lines == sorted(f"{method} {uri}".encode() for method, uri in decided)


RESPONSES = {
    "TE and CL": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "CL twice": b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "CL plus": b"Content-Length: +5\r\n\r\nhello",
    "TE unknown": b"Transfer-Encoding: x\r\n\r\n",
    "fold": b"X: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "space before colon": b"Content-Length : 0\r\n\r\n",
    "NUL": b"X: \x00\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"X: y\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("rest", RESPONSES.values(), ids=RESPONSES.keys())
async def test_ambiguous_responses(here: World, rest: bytes) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\n" + rest]
    client = await here.connect()
    reply = await client.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    assert (await client.request()).status == 200
    assert here.origins.connections == 2


async def test_a_response_that_brings_another_one(here: World) -> None:
    """Bytes after a response never answer the next request."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + evil]
    client = await here.connect()
    assert (await client.request()).body == b"ok"
    assert (await client.request()).body == b"ok"
    assert here.origins.connections == 2


async def test_two_clients_never_get_each_other_s_answers(here: World) -> None:
    clients = [await here.connect() for _ in range(8)]

    async def work(number: int) -> None:
        for turn in itertools.count():
            if turn == 20:
                return
            here_is = f"/{number}/{turn}"
            assert (await clients[number].request(here_is)).body == here_is.encode()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
                await asyncio.sleep(0)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target) + target
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    made = here.serve()
    made.spec.config.upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    here.feed.put(made)
    await asyncio.gather(*(work(number) for number in range(len(clients))))
    here.pool.close()
    server.close()
    await asyncio.sleep(0.01)
