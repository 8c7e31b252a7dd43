from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from octelium.authserver import body
from octelium.authserver.body import BodyError, media_type, read_body, read_form, read_json
from octelium.http.budget import Budget
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Sequence

FORM = "application/x-www-form-urlencoded"


def request(
    *chunks: bytes, content_type: str = FORM, hangs: bool = False, address: str = "192.0.2.1"
) -> Request:
    waiting: list[bytes] = list(chunks)

    async def receive() -> Any:
        if not waiting and hangs:
            await asyncio.Event().wait()
        chunk = waiting.pop(0) if waiting else b""
        more = bool(waiting) or hangs
        return {"type": "http.request", "body": chunk, "more_body": more}

    headers: Sequence[tuple[bytes, bytes]] = [
        (b"content-type", content_type.encode()),
        (b"x-octelium-client-address", address.encode()),
    ]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_bodies() -> None:
    assert await read_body(request(b"ab", b"cd"), 4) == b"abcd"
    assert await read_body(request(), 4) == b""
    with pytest.raises(BodyError) as caught:
        await read_body(request(b"ab", b"cde"), 4)
    assert caught.value.status == 413


async def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.01)
    with pytest.raises(BodyError) as caught:
        await read_body(request(b"a", hangs=True), 4)
    assert caught.value.status == 408


async def test_forms() -> None:
    sent = request(b"a=1&b=2", content_type=f"{FORM.upper()}; charset=utf-8")
    assert media_type(sent) == FORM
    assert await read_form(sent, 100) == {"a": "1", "b": "2"}
    assert await read_form(request(b"a=QUJD%0D%0AREVG%0A"), 100, wrapped=True) == {"a": "QUJDREVG"}


@pytest.mark.parametrize(
    "sent",
    [
        request(b"a=1", content_type="application/json"),
        request(b"a=1", content_type="text/plain"),
        request(b"a"),
        request(b"a=1&a=2"),
        request(b"a=%0a"),
    ],
)
async def test_what_is_no_form(sent: Request) -> None:
    with pytest.raises(BodyError) as caught:
        await read_form(sent, 100)
    assert caught.value.status == 400


async def test_all_bodies_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_READING", Budget(100, 30))

    async def reading(address: str) -> int:
        with pytest.raises(BodyError) as caught:
            await read_body(request(b"x" * 10, hangs=True, address=address), 100)
        return caught.value.status

    victim = spawn(reading("192.0.2.1"), name="victim")
    await asyncio.sleep(0)
    flood = [spawn(reading(f"2001:db8::{n:x}"), name="flood") for n in range(10)]
    async with asyncio.timeout(60):
        while sum(one.done() for one in flood) < 7:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)  # time for one too many
    assert [one.result() for one in flood if one.done()] == [503] * 7
    assert not victim.done()
    assert await read_body(request(b"x" * 30, address="192.0.2.9"), 100) == b"x" * 30
    monkeypatch.setattr(body, "SECONDS", 0.01)
    for one in (victim, *flood):
        one.cancel()
    await asyncio.gather(victim, *flood, return_exceptions=True)
    assert body._READING.taken == 0


async def test_who_is_turned_out_at_the_moment_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever takes the place notices nothing."""
    monkeypatch.setattr(body, "_READING", Budget(100, 30))
    monkeypatch.setattr(body, "SECONDS", 0.001)

    async def late() -> int:
        with pytest.raises(BodyError) as caught:
            await read_body(request(b"x" * 10, hangs=True), 100)
        return caught.value.status

    victim = spawn(late(), name="victim")
    await asyncio.sleep(0)
    time.sleep(0.01)  # its time is over when the loop goes on
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert body._READING.taken == 10  # but it has not left yet
    monkeypatch.setattr(body, "SECONDS", 60.0)
    assert await read_body(request(b"x" * 30), 100) == b"x" * 30
    assert await victim == 503
    assert body._READING.taken == 0


async def test_json() -> None:
    assert await read_json(request(b'{"a": [1, {"b": null}]}'), 100) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"{",
        b"\xff\xfe\x00",
        b"[" * 4000,
        b'{"a":' * 800,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(BodyError) as caught:
        await read_json(request(text), 8192)
    assert caught.value.status == 400


@given(st.one_of(st.binary(max_size=64), st.text('[]{}",:0e-.nultrfas', max_size=64)))
def test_json_is_an_object_or_refused(text: bytes | str) -> None:
    data = text.encode() if isinstance(text, str) else text

    async def read() -> None:
        try:
            value = await read_json(request(data), 4096)
        except BodyError:
            return
        assert value == json.loads(data)

    asyncio.run(read())
