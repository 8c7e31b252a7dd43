from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from octelium.authserver.contained import Contained

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response


async def answer(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"failed: {type(error).__name__}", 500)


async def deep(_request: Request) -> Response:
    raise RecursionError


async def gone(_request: Request) -> Response:
    raise ClientDisconnect


async def half(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        raise RuntimeError("half-way")

    return StreamingResponse(pieces())


async def serve(path: str) -> list[dict[str, Any]]:
    """What the application sends for a request, as its server sees it."""
    app = Starlette(
        routes=[Route("/deep", deep), Route("/gone", gone), Route("/half", half)],
        middleware=[Middleware(Contained, answer)],
    )
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "app": None,
    }
    await app(scope, receive, send)
    return sent


async def test_a_fault_is_answered_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    head, body = await serve("/deep")
    assert (head["status"], body["body"]) == (500, b"failed: RecursionError")
    assert "/deep failed" in caplog.text


async def test_who_is_gone_gets_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    assert await serve("/gone") == []
    assert caplog.text == ""


async def test_half_an_answer_is_broken_off() -> None:
    with pytest.raises(RuntimeError, match="half-way"):
        await serve("/half")
