from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from octelium.authserver import body
from octelium.authserver.body import BodyError, media_type, read_body, read_form

if TYPE_CHECKING:
    from collections.abc import Sequence

FORM = "application/x-www-form-urlencoded"


def request(*chunks: bytes, content_type: str = FORM, hangs: bool = False) -> Request:
    waiting: list[bytes] = list(chunks)

    async def receive() -> Any:
        if not waiting and hangs:
            import asyncio

            await asyncio.Event().wait()
        chunk = waiting.pop(0) if waiting else b""
        more = bool(waiting) or hangs
        return {"type": "http.request", "body": chunk, "more_body": more}

    headers: Sequence[tuple[bytes, bytes]] = [(b"content-type", content_type.encode())]
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
