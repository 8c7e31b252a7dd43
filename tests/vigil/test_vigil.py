from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
