from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.policy.decision import Outcome
from tests.vigil.world import DOMAIN

if TYPE_CHECKING:
    from tests.vigil.world import World


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
