from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from octelium.cluster.sockets import listen_unix
from octelium.cluster.web import WebServer

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request


async def test_an_application_is_served_on_a_passed_socket_until_it_is_stopped(
    tmp_path: Path,
) -> None:
    async def hello(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    listener = listen_unix(tmp_path / "web.sock")
    server = WebServer(Starlette(routes=[Route("/", hello)]), [listener], "web: test")
    server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "web.sock"))
    async with httpx.AsyncClient(transport=transport) as http:
        answer = await http.get("http://local/")
    assert answer.text == "hello"
    assert "server" not in answer.headers
    assert parsedate_to_datetime(answer.headers["date"]).tzinfo is UTC
    await server.stop()
