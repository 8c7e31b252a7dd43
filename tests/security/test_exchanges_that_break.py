"""What would take more than its own exchange along: bugs, loops, bodies that never end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.pool import Origin
from octelium.vigil import relay
from octelium.vigil.client_side import _BODY_SECONDS as BODY_SECONDS
from octelium.vigil.cors import Cors
from octelium.vigil.rules import MAX_PASSES, RequestRules, ResponseRules
from tests.vigil.world import DOMAIN, World, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.http.message import FieldBlock


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.serve()
        yield made


def fail(*_: Any, **__: Any) -> FieldBlock:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("owner", "method", "status"),
    [
        (RequestRules, "render", 500),
        (ResponseRules, "render", 502),
        (Cors, "fields", 502),
        (relay, "find_credential", 500),
    ],
)
async def test_a_bug_ends_one_exchange_with_one_line(
    here: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: object,
    method: str,
    status: int,
) -> None:
    client = await here.connect()
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, fail)
        reply = await client.request(fields={"Origin": "https://a.example"})
    assert reply.status == status
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.exc_info is None
    assert "KeyError" in line.getMessage()
    assert (await here.request()).status == 200
    assert not here.vigil.running


@pytest.mark.parametrize("step", ["trailers", "_note_grpc"])
async def test_a_bug_in_the_middle_of_an_answer(
    here: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    here.origins.answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"]
    monkeypatch.setattr(ResponseRules if step == "trailers" else relay.Relay, step, fail)
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: alice\r\n".encode()
    )
    await client.send(b"\r\n")
    await client.read_head()
    here.origins.writers[0].write(b"0\r\n\r\n")
    await client.breaks()
    assert not here.vigil.running
    assert here.sink.records[-1].error.startswith("unexpected KeyError at")
    assert not any(record.exc_info for record in caplog.records)


async def test_an_upstream_that_is_the_front_door(here: World) -> None:
    made = service(url=f"http://127.0.0.1:{here.port}", is_anonymous=True)
    made.spec.config.http.header.host.value = f"wiki.{DOMAIN}"
    here.feed.put(made)
    async with asyncio.timeout(60):
        reply = await here.request(token=None)
    assert (reply.status, reply.body) == (508, b"Loop Detected: wiki cannot be served.")
    assert len(here.sink.records) == MAX_PASSES + 1
    # Nothing that a configuration may take away lets it go on for ever.
    made.spec.config.http.header.remove_request_headers.append("CDN-Loop")
    here.feed.put(made)
    async with asyncio.timeout(60):
        assert (await here.request(token=None)).status == 508


async def test_the_way_of_a_request(here: World) -> None:
    fields = {"CDN-Loop": "cdn.example; hops=3, other"}
    assert (await here.request(fields=fields)).status == 200
    first, own = [value for name, value in here.upstream_fields() if name == b"cdn-loop"]
    assert first == b"cdn.example; hops=3, other"
    assert own == here.environment.pseudonym
    assert b"octelium" not in own
    again = ", ".join([own.decode()] * MAX_PASSES)
    assert (await here.request(fields={"CDN-Loop": again})).status == 508
    again = ", ".join([own.decode() + "; hops=1"] * (MAX_PASSES - 1))
    assert (await here.request(fields={"CDN-Loop": again})).status == 200


def received(here: World) -> int:
    """Bytes of all bodies that are on their way."""
    relays = [each for each in here.vigil.running if isinstance(each, relay.Relay)]
    return sum(each._received for each in relays)


HEAD = f"POST / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nContent-Length: 4\r\n".encode()


async def test_somebody_unknown_who_does_not_send_the_body(here: World) -> None:
    here.serve(is_anonymous=True)
    client = await here.connect()
    await client.send(HEAD + b"\r\n")
    await here.until(lambda: here.origins.requests)
    here.pass_time(BODY_SECONDS)
    assert (await client.reply()).status == 408
    assert not here.vigil.running


async def test_a_body_that_goes_on_is_waited_for(here: World) -> None:
    here.serve(is_anonymous=True)
    slow, known = await here.connect(), await here.connect()
    await slow.send(HEAD + b"\r\n")
    await known.send(HEAD + b"X-Octelium-Auth: alice\r\n\r\n")
    await here.until(lambda: len(here.vigil.running) == 2)
    for number in range(3):
        here.pass_time(BODY_SECONDS - 1)
        await slow.send(b"x")
        await here.until(lambda sent=number + 1: received(here) == sent)
    here.pass_time(BODY_SECONDS - 1)
    await slow.send(b"x")
    assert (await slow.reply()).status == 200
    await known.send(b"body")
    assert (await known.reply()).status == 200


async def test_the_cluster_s_own_components_wait_for_nobody(here: World, tmp_path: Path) -> None:
    await here.origins.start_unix(tmp_path / "api")
    here.managed["portal"] = Origin("", 0, path=str(tmp_path / "api"))
    made = service(is_anonymous=True)
    made.status.managed_service.type = "portal"
    here.feed.put(made)
    client = await here.connect()
    await client.send(HEAD + b"\r\n")
    for number in range(3):
        await client.send(b"x")
        await here.until(lambda sent=number + 1: received(here) == sent)
        here.pass_time(BODY_SECONDS / 2 - 1)
    assert (await client.reply()).status == 408
