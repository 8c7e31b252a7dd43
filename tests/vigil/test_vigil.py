from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from octelium.http.tasks import spawn
from tests.http.origins import Origins
from tests.vigil.world import contained, containers

if TYPE_CHECKING:
    import pytest

    from tests.vigil.world import World


async def test_a_changed_service_counts_for_the_next_request(here: World) -> None:
    client = await here.connect()
    assert (await client.request()).status == 200
    here.serve(is_disabled=True)
    assert (await client.request()).status == 503
    here.serve()
    assert (await client.request()).status == 200


async def test_a_changed_domain_counts_for_the_next_request(here: World) -> None:
    browser = {"Accept": "text/html", "User-Agent": "Mozilla/5.0 (X11; Linux)"}
    first = await here.request(token=None, fields=browser)
    assert first.first(b"location") == (
        b"https://octelium.test/login?redirect=https%3A%2F%2Fwiki.octelium.test%2F"
    )
    here.feed.config.status.domain = "moved.test"
    here.feed.put(here.feed.config)
    moved = await here.request(token=None, host="wiki.moved.test", fields=browser)
    assert (moved.first(b"location") or b"").startswith(b"https://moved.test/login?")


async def test_counting(here: World) -> None:
    for _ in range(3):
        await here.request()
    assert here.vigil.served == 3
    assert not here.vigil.running


async def test_closing(here: World) -> None:
    listeners = len(here.replica.listeners)
    here.vigil.close()
    assert len(here.replica.listeners) == listeners - 1
    here.replica.listeners.append(here.vigil._changed)


async def test_readiness_counts_for_the_next_request(
    here: World, caplog: pytest.LogCaptureFixture
) -> None:
    here.feed.put(contained())
    client = await here.connect()
    there = ("127.0.0.1", here.origins.port)
    with caplog.at_level(logging.WARNING):
        for ready in (False, True, False, True):
            here.feed.put(containers(own=there if ready else "Starting"))
            reply = await client.request()
            assert reply.status == (200 if ready else 503)
            assert reply.first(b"retry-after") == (None if ready else b"5")
        here.feed.delete(containers())
        assert (await client.request()).body.endswith(b"wiki is starting. Try again in a moment.")
    assert not caplog.records  # it is an ordinary state
    starting = "the container is starting"
    assert [one.error for one in here.sink.records] == [starting, "", starting, "", starting]


async def test_containers_of_other_services_change_nothing(here: World) -> None:
    client = await here.connect()
    for port in (1, 2, 3):
        here.feed.put(containers(name="other.default", own=("127.0.0.1", port)))
        assert (await client.request()).status == 200
    assert here.origins.connections == 1


async def test_a_container_that_is_elsewhere_now(here: World) -> None:
    """What is under way comes to its end; no connection to the former place is kept."""
    second = Origins()
    await second.start()
    here.feed.put(contained(), containers(own=("127.0.0.1", here.origins.port)))
    idle, running = await here.connect(), await here.connect()
    assert (await idle.request()).status == 200
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12"]
    request = spawn(running.request(), name="a request")
    await here.until(lambda: len(here.origins.requests) == 2)
    assert (await idle.request()).status == 200
    assert here.origins.connections == 2
    here.feed.put(containers(own=("127.0.0.1", second.port)))
    await here.until(lambda: here.pool.counts() == (1, 0))
    assert (await idle.request()).status == 200
    assert len(second.requests) == 1
    here.origins.writers[0].write(b"34")
    assert (await request).body == b"1234"
    await here.until(lambda: here.pool.counts() == (1, 1))
    # And back again.
    here.feed.put(containers(own=("127.0.0.1", here.origins.port)))
    for _ in range(2):
        assert (await idle.request()).status == 200
    assert here.origins.connections == 3
    await second.close()
