"""Starlette applications on sockets that are passed in, within a loop that has other work too."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from email.utils import formatdate
from typing import TYPE_CHECKING

import uvicorn

from octelium.http.tasks import spawn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST_REQUEST = 10
"""Seconds that a stop waits for requests under way, at most; the supervisor's grace is shorter."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, since the process handles signals itself, and without
    its clock: it would wake the process ten times a second for as long as nobody asks anything.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        self.server_state.default_headers = self.config.encoded_headers
        await self._ending.wait()

    def end(self) -> None:
        """Have `serve` take no new requests and return."""
        self.should_exit = True
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Dated:
    """An application whose responses have the `Date` of RFC 9110, section 6.6.1."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                message = {**message, "headers": [date, *message.get("headers", ())]}
            await send(message)

        await self._app(scope, receive, dated)


class WebServer:
    """Serves one application until it is stopped."""

    def __init__(self, app: ASGIApp, sockets: Sequence[socket.socket], name: str) -> None:
        self._sockets = list(sockets)
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                _Dated(app),
                lifespan="off",
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_LONGEST_REQUEST,
                h11_max_incomplete_event_size=64 << 10,
                http="h11",
                ws="none",
            )
        )

    def start(self) -> None:
        """Serve in the background."""
        self._task = spawn(self._server.serve(sockets=self._sockets), name=self._name)

    async def stop(self) -> None:
        """Take no new requests and wait for those under way."""
        self._server.end()
        if self._task is not None:
            await self._task
