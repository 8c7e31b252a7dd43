from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.policy.decision import Outcome
from octelium.visibility.batch import entry_id
from tests.vigil.world import DOMAIN, service

if TYPE_CHECKING:
    from tests.vigil.world import World


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
