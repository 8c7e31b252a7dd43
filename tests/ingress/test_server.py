from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from octelium.http.h1.requests import _split_line
from octelium.http.target import _normalise
from octelium.http.tasks import spawn
from octelium.ingress.settings import Settings
from tests.ingress.test_front import connect
from tests.vigil.world import DOMAIN, World, certificate_secret, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GET = f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n\r\n".encode()


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.serve()
        yield made


async def test_every_name_of_a_service(here: World) -> None:
    for host in (f"wiki.{DOMAIN}", f"WIKI.{DOMAIN}:8443", f"wiki.default.{DOMAIN}"):
        assert (await here.request(host=host)).status == 200
    hosts = {request.read(("http", "host")) for _, request, _ in here.decider.asked}
    assert hosts == {f"wiki.default.{DOMAIN}"}


@pytest.mark.parametrize("host", [f"none.{DOMAIN}", "wiki.evil", "127.0.0.1", "localhost"])
async def test_names_without_a_service(here: World, host: str) -> None:
    reply = await here.request(host=host)
    assert (reply.status, reply.body) == (404, b"")
    assert reply.first(b"server") == b"octelium"
    assert reply.first(b"strict-transport-security") == b"max-age=2592000"
    assert here.ingress.counters.not_found == 1
    assert here.decider.asked == []


async def test_a_service_comes_and_goes(here: World) -> None:
    client = await here.connect()
    made = service("new.default", here.url)
    assert (await client.request(host=f"new.{DOMAIN}")).status == 404
    here.feed.put(made)
    assert (await client.request(host=f"new.{DOMAIN}", token=None)).status == 401
    assert (await client.request(host=f"new.{DOMAIN}")).status == 200
    here.feed.delete(made)
    assert (await client.request(host=f"new.{DOMAIN}")).status == 404


async def test_a_name_outside_the_certificate() -> None:
    async with world(Settings()) as here:
        here.feed.put(
            certificate_secret(DOMAIN, f"*.{DOMAIN}"),
            certificate_secret(f"*.prod.{DOMAIN}", name="crt-ns-prod"),
        )
        here.serve()
        here.feed.put(service("web.prod", here.url))
        client = await connect(here)
        assert (await client.request()).status == 200
        reply = await client.request(host=f"web.prod.{DOMAIN}")
        assert (reply.status, reply.body) == (421, b"")
        assert here.ingress.counters.misdirected == 1
        assert (await client.request(host=f"none.{DOMAIN}")).status == 404
        assert (await client.request()).status == 200
        other = await connect(here, f"web.prod.{DOMAIN}")
        assert (await other.request(host=f"web.prod.{DOMAIN}")).status == 200


async def test_an_address_means_the_api_only_where_its_name_was_asked_for() -> None:
    async with world(Settings()) as here:
        here.feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}"))
        here.serve()
        api = await connect(here, f"octelium-api.{DOMAIN}")
        for host in ("127.0.0.1", "127.0.0.1:8443", "[::1]:8443"):
            assert (await api.request(host=host)).status == 404  # no Service serves this path
        assert (await api.request(host="elsewhere.test")).status == 421
        wiki = await connect(here, f"wiki.{DOMAIN}")
        assert (await wiki.request(host="127.0.0.1")).status == 421
        assert here.ingress.counters.misdirected == 2


async def test_the_client_address_behind_trusted_proxies(here: World) -> None:
    forged = {"X-Forwarded-For": "198.51.100.1, 203.0.113.5"}
    await here.request(fields=forged)
    here.feed.config.spec.ingress.xff_num_trusted_hops = 1
    here.feed.put(here.feed.config)
    await here.request(fields=forged)
    addresses = [request.client_address for _, request, _ in here.decider.asked]
    assert addresses == ["127.0.0.1", "203.0.113.5"]
    assert [r.client_address for r in here.sink.records] == addresses


async def test_a_request_waits_for_what_was_acknowledged(here: World) -> None:
    here.freshness.fresh = False
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: new.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n"
        "Content-Length: 10\r\n\r\nhello".encode()
    )
    await here.until(lambda: here.ingress.counters.behind)
    await client.send(b"world")
    await asyncio.sleep(0.01)
    assert here.decider.asked == []
    here.feed.put(service("new.default", here.url))
    here.freshness.caught_up.set()
    assert (await client.reply()).body == b"ok"
    assert here.origins.requests[0].endswith(b"helloworld")


async def test_a_replica_that_does_not_catch_up(
    here: World, caplog: pytest.LogCaptureFixture
) -> None:
    here.freshness.fresh = False
    here.freshness.in_time = False
    here.freshness.caught_up.set()
    with caplog.at_level(logging.ERROR):
        assert (await here.request()).status == 503
    assert here.ingress.counters.refused_behind == 1
    assert "catch up" in caplog.text
    assert here.decider.asked == []


async def test_the_client_goes_away_while_the_replica_catches_up(here: World) -> None:
    here.freshness.fresh = False
    client = await here.connect()
    await client.send(GET)
    await here.until(lambda: here.ingress.counters.behind)
    client.close()
    await here.until(lambda: not here.ingress.codecs)
    here.freshness.caught_up.set()
    await asyncio.sleep(0.01)
    assert here.decider.asked == []


async def test_closing_lets_running_requests_end(here: World) -> None:
    idle, running = await here.connect(), await here.connect()
    await idle.request()
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe"]
    await running.send(GET)
    await running.read_head()
    closing = spawn(here.ingress.close(60), name="closing")
    assert await idle.rest() == b""
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await here.connect()
    here.origins.writers[-1].write(b"lo")
    assert await running.rest() == b"helo"
    await asyncio.wait_for(closing, 60)


async def test_closing_does_not_wait_for_ever(here: World) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe"]
    client = await here.connect()
    await client.send(GET)
    await client.read_head()
    await here.ingress.close(0.05)
    await client.breaks()


async def test_credentials_are_not_remembered_for_long(here: World) -> None:
    for _ in range(2):
        await here.request("/?token=secret")
    assert len(here.sections) > 0
    lines, targets = _split_line.cache_info().currsize, _normalise.cache_info().currsize
    assert lines
    assert targets
    now = here.ticker.now
    for later in (100, 200, 300):
        here.ingress.tick(now + later)
    assert len(here.sections) == 0
    assert _split_line.cache_info().currsize == 0
    assert _normalise.cache_info().currsize == 0
