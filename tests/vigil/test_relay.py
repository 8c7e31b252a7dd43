from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from octelium.policy.decision import Outcome
from octelium.vigil.relay import CLIENT_GONE
from octelium.visibility.batch import entry_id
from tests.vigil.world import DOMAIN, World, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.serve()
        yield made


async def test_an_allowed_request(here: World) -> None:
    reply = await here.request("/a?b=1")
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.first(b"server") == b"octelium"
    assert reply.first(b"strict-transport-security") == b"max-age=2592000"
    (request,) = here.origins.requests
    assert request.startswith(b"GET /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % here.origins.port)
    (record,) = here.sink.records
    assert (record.method, record.target, record.status) == (b"GET", b"/a?b=1", 200)
    assert (record.request_bytes, record.response_bytes) == (0, 2)
    assert record.subject.allowed
    assert record.client_address == "127.0.0.1"
    assert record.error == ""


async def test_the_log_knows_no_queries_of_logins(here: World) -> None:
    """They hold codes; those of other requests may be asked for by explanations."""
    fields = {"referer": "https://idp.test/consent?request=1"}
    for kind in ("", "portal", "authserver"):
        made = service()
        if kind:
            made.status.managed_service.type = kind
        here.feed.put(made)
        await here.request("/callback?code=sesame&state=1", fields=fields)
    other, portal, login = here.sink.records
    for record in (other, portal):
        assert record.target == b"/callback?code=sesame&state=1"
        assert record.referer == b"https://idp.test/consent?request=1"
    assert (login.target, login.referer) == (b"/callback", b"https://idp.test/consent")


async def test_connections_are_kept_on_both_sides(here: World) -> None:
    client = await here.connect()
    for _ in range(5):
        assert (await client.request()).body == b"ok"
    assert here.origins.connections == 1
    assert [record.connection for record in here.sink.records] == [1] * 5
    assert [record.number for record in here.sink.records] == [1, 2, 3, 4, 5]


async def test_pipelined_requests(here: World) -> None:
    client = await here.connect()
    one = f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    await client.send(one * 3)
    for _ in range(3):
        assert (await client.reply()).body == b"ok"
    assert len(here.origins.requests) == 3


async def test_nobody_and_the_denied(here: World) -> None:
    reply = await here.request(token=None)
    assert reply.status == 401
    here.decider.verdict = Outcome.DENIED
    reply = await here.request()
    assert reply.status == 403
    assert reply.first(b"x-octelium-unauthorized") == b"true"
    assert reply.body == b""
    assert here.origins.requests == []
    assert [record.status for record in here.sink.records] == [401, 403]


async def test_answers_of_octelium_s_own_name_their_log_entry(here: World) -> None:
    named = b"x-octelium-request-id"
    allowed = await here.request()
    assert allowed.first(named) is None
    nobody = await here.request(token=None)
    here.decider.verdict = Outcome.DENIED
    denied = await here.request()
    shown = await here.request(fields={"Accept": "text/html"}, token="robot")
    here.decider.verdict = Outcome.ERROR
    failed = await here.request()
    undecided = await here.request("/%00")
    assert undecided.first(named) is None
    assert [reply.first(named) for reply in (nobody, denied, shown, failed)] == [
        entry_id(here.sink.prefix, record.number).encode() for record in here.sink.records[1:]
    ]
    assert [record.number for record in here.sink.records] == [1, 2, 3, 4, 5]
    assert (shown.first(named) or b"none") in shown.body


async def test_an_upstream_cannot_name_a_log_entry(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 403 Forbidden\r\nX-Octelium-Request-Id: forged\r\nContent-Length: 0\r\n\r\n"
    ]
    reply = await here.request()
    assert reply.status == 403
    assert reply.first(b"x-octelium-request-id") is None


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.BAD_REQUEST, 400), (Outcome.ERROR, 500)])
async def test_decisions_that_fail(
    here: World, outcome: Outcome, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    here.decider.verdict = outcome
    here.decider.error = "what failed"
    reply = await here.request()
    assert (reply.status, reply.body) == (status, b"")
    assert reply.first(b"x-octelium-unauthorized") is None
    assert here.sink.records[0].error == "what failed"
    assert here.origins.requests == []
    assert ("what failed" in caplog.text) is (outcome is Outcome.ERROR)


async def test_a_disabled_service(here: World) -> None:
    here.serve(is_disabled=True)
    reply = await here.request()
    assert (reply.status, reply.body) == (503, b"")
    assert here.decider.asked == []


@pytest.mark.parametrize("target", ["/a/..%2fb", "/%00", "/a\\..\\b", "/%zz", "/..;/x"])
async def test_paths_that_are_read_differently(here: World, target: str) -> None:
    assert (await here.request(target)).status == 400
    assert here.decider.asked == []
    assert here.origins.requests == []


async def test_the_policy_sees_what_the_upstream_gets(here: World) -> None:
    await here.request("/a/./b/%2e%2e/c%20d?x=1;y=2")
    assert here.origins.requests[0].startswith(b"GET /a/c%20d?x=1&y=2 HTTP/1.1\r\n")
    _, request, _ = here.decider.asked[0]
    assert request.read(("http", "path")) == "/a/c d"
    assert request.read(("http", "uri")) == "/a/c%20d?x=1&y=2"
    assert request.read(("http", "queryParams", "y")) == "2"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_methods_that_would_show_secrets(here: World, method: str) -> None:
    reply = await here.request("/", method=method)
    assert reply.status in {400, 405}
    assert here.origins.requests == []


async def test_an_answer_to_head(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"]
    client = await here.connect()
    reply = await client.request(method="HEAD")
    assert reply.first(b"content-length") == b"500"
    assert (await client.request()).body == b"ok"


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


async def test_an_upstream_that_is_not_there(here: World) -> None:
    await here.origins.close()
    reply = await here.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    (record,) = here.sink.records
    assert record.status == 502
    assert record.subject.allowed
    assert "could not be reached" in record.error


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        b"220 smtp.example ESMTP\r\n\r\n",
    ],
)
async def test_an_upstream_that_does_not_speak_http(here: World, answer: bytes) -> None:
    here.origins.answers = [answer]
    reply = await here.request()
    assert (reply.status, reply.body[:12]) == (502, b"Bad Gateway:")
    assert here.sink.records[0].error


async def test_an_upstream_that_breaks_off(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart"]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    await client.read_head()
    here.origins.writers[0].close()
    await client.breaks()
    await here.until(lambda: here.sink.records)
    assert here.sink.records[0].status == 200
    assert "closed" in here.sink.records[0].error


async def test_an_idle_connection_that_the_upstream_closed(here: World) -> None:
    client = await here.connect()
    assert (await client.request()).body == b"ok"
    here.origins.answers = [b""]
    # The origin closes on the second request instead of answering; it is sent again.
    assert (await client.request()).body == b"ok"
    assert here.origins.connections == 2


async def test_a_post_is_not_sent_twice(here: World) -> None:
    client = await here.connect()
    assert (await client.request()).body == b"ok"
    here.origins.answers = [b""]
    assert (await client.request(method="POST", body=b"pay")).status == 502
    assert len(here.origins.requests) == 2


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


async def test_a_streamed_answer(here: World) -> None:
    here.origins.answers = [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n"
            b"\r\n6\r\nfirst\n\r\n"
        )
    ]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    assert b"Transfer-Encoding: chunked" in await client.read_head()
    assert await client.exactly(11) == b"6\r\nfirst\n\r\n"
    assert len(here.decider.watches) == 1
    here.origins.writers[0].write(b"7\r\nsecond\n\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert await client.exactly(17) == b"7\r\nsecond\n\r\n0\r\n\r\n"
    await here.until(lambda: here.sink.records)
    assert here.sink.records[0].response_bytes == 13
    assert here.sink.records[0].content_type == b"text/event-stream"
    assert not here.decider.watches


async def test_a_stream_whose_access_ends(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n"
    ]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    await client.read_head()
    here.decider.revoke(here.entry())
    await client.breaks()
    (record,) = here.sink.records
    assert record.error.startswith("access ended")
    assert not record.subject.allowed
    assert not here.vigil.running
    await here.until(lambda: here.pool.counts() == (0, 0))


async def test_an_upload_whose_access_ends(here: World) -> None:
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Content-Length: 1000\r\n\r\npart".encode()
    )
    await here.until(lambda: here.origins.requests)
    assert len(here.decider.watches) == 1
    here.decider.revoke(here.entry())
    reply = await client.reply()
    assert reply.status == 403
    assert reply.first(b"connection") == b"close"


async def test_a_waiting_request_is_watched_once_something_changes(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 100 Continue\r\n\r\n"]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    await here.until(lambda: here.origins.requests)
    assert not here.decider.watches
    here.feed.put(here.feed.config)
    assert len(here.decider.watches) == 1
    here.decider.revoke(here.entry(), Outcome.UNAUTHENTICATED)
    assert (await client.reply()).status == 401


async def test_disabling_a_service_ends_what_runs(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ]
    streaming, waiting = await here.connect(), await here.connect()
    one = f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    await streaming.send(one)
    await streaming.read_head()
    await waiting.send(one)
    await here.until(lambda: len(here.origins.requests) == 2)
    here.serve(is_disabled=True)
    assert (await waiting.reply()).status == 503
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await streaming.reader.readexactly(50)


async def test_a_decision_that_takes_time(here: World) -> None:
    here.decider.later = True
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Content-Length: 10\r\n\r\nhello".encode()
    )
    await here.until(lambda: here.decider.asked)
    await client.send(b"world")
    await asyncio.sleep(0.01)
    assert here.origins.requests == []
    here.decider.delay.set()
    assert (await client.reply()).body == b"ok"
    assert here.origins.requests[0].endswith(b"helloworld")


async def test_a_decision_that_takes_time_and_fails(
    here: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    here.decider.decide = lambda *_: fail()  # type: ignore[method-assign,assignment]
    assert (await here.request()).status == 500
    assert "a bug" in caplog.text
    assert here.origins.requests == []


async def test_the_client_goes_away_while_the_decision_is_made(here: World) -> None:
    here.decider.later = True
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()
    )
    await here.until(lambda: here.decider.asked)
    client.close()
    await here.until(lambda: not here.ingress.codecs)
    here.decider.delay.set()
    await asyncio.sleep(0.01)
    assert here.origins.requests == []


async def test_a_web_socket(here: World) -> None:
    here.origins.answers = [
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: abc\r\n\r\nfrom upstream"
        )
    ]
    client = await here.connect()
    await client.send(
        f"GET /chat HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    reply = await client.reply()
    assert reply.status == 101
    assert reply.first(b"upgrade") == b"websocket"
    assert reply.first(b"sec-websocket-accept") == b"abc"
    assert await client.exactly(13) == b"from upstream"
    fields = dict(here.upstream_fields())
    assert fields[b"upgrade"] == b"websocket"
    assert fields[b"sec-websocket-key"] == b"k"
    assert b"x-octelium-auth" not in fields
    await client.send(b"raw\r\n\r\n")
    await here.until(lambda: here.origins.requests[-1] == b"raw\r\n\r\n")
    assert len(here.decider.watches) == 1
    here.decider.revoke(here.entry())
    await client.breaks()
    assert here.sink.records[0].status == 101


async def test_a_web_socket_that_ends(here: World) -> None:
    here.origins.answers = [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    ]
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Connection: Upgrade\r\nUpgrade: x\r\n\r\n".encode()
    )
    await client.reply()
    here.origins.writers[0].write(b"bye")
    here.origins.writers[0].close()
    assert await client.rest() == b"bye"
    await here.until(lambda: here.sink.records)
    assert not here.decider.watches
    assert not here.vigil.running


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
    assert sent < 32 << 20  # what the sockets' buffers hold
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    await client.read_head()
    received = 0
    while received < size:
        received += len(await asyncio.wait_for(client.reader.read(1 << 20), 10))
    assert received == size
    server.close()


async def test_an_upload_larger_than_every_buffer(here: World) -> None:
    gate = asyncio.Event()
    size = 32 << 20

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    made = here.serve()
    made.spec.config.upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    here.feed.put(made)
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
    await asyncio.sleep(0.01)
