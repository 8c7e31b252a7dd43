"""Faults of a handler end one request, and nothing else.

The server closes the connection of a request whose handler raises. Connections come from the proxy
in front, which sends other people's requests over them: those would fail with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger(__name__)


class Contained:
    """ASGI middleware that has `answer` say what happened, if nothing was said yet."""

    def __init__(
        self, app: ASGIApp, answer: Callable[[Request, Exception], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what a handler raises after it has begun to answer."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return  # nobody is left to read an answer
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            _LOG.exception("%s failed", scope["path"])
            response = await self._answer(Request(scope, receive), error)
            await response(scope, receive, send)
