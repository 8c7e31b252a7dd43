"""Ends cookies that a page of a Service has planted beside those of a browser's Session.

Of several cookies of one name none counts here (`cookies.py`). Without this, somebody whose browser
sends several could not sign in until they have found and deleted them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.authserver.cookies import TOKENS, several
from octelium.http.planted_cookies import expiries

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from octelium.authserver.site import Site


class PlantedCookies:
    """Has each answer end what was planted, if the request brought any of it."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification, version 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
        names = [name.encode() for name in TOKENS if several(lines, name)]
        if not names:
            await self._app(scope, receive, send)
            return
        domain = self._site.domain.encode()
        path = scope.get("raw_path") or scope["path"].encode()
        ended = [(b"set-cookie", value) for value in expiries(names, path, domain, domain)]

        async def send_ended(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *ended]}
            await send(message)

        await self._app(scope, receive, send_ended)
